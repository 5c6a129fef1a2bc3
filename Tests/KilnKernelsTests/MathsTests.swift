// The expansions of elementary functions, evaluated node by node, against Double's within the bound that their ops state.

import KilnIR
import KilnKernels
import KilnOps
import Testing

struct MathsTests {
    static let unary = ScalarFunction.allCases.filter { $0.arity == 1 && Maths.expand($0, .f32) != nil }
    static let reduced = ScalarFunction.allCases.filter { Maths.expandSmall($0, .f32) != nil }

    @Test func everyTranscendentalFunctionOfF32IsExpanded() {
        let names = "rsqrt exp exp2 expm1 log log2 log1p sin cos tan asin acos atan sinh cosh tanh asinh acosh atanh erf pow"
        let expanded = ScalarFunction.allCases.filter { Maths.expand($0, .f32) != nil }.map(\.rawValue)
        #expect(expanded == names.split(separator: " ").map(String.init))
        #expect(ScalarFunction.allCases.allSatisfy { Maths.expand($0, .f16) == nil && Maths.expand($0, .bf16) == nil })
    }

    @Test(arguments: unary + [.power])
    func usesPrimitiveFunctionsAlone(_ function: ScalarFunction) throws {
        let expansion = try #require(Maths.expand(function, .f32))
        #expect(expansion.dtype == .f32)
        for (node, dtype) in zip(expansion.nodes, expansion.dtypes) {
            switch node {
            case .apply(let used, _): #expect(Maths.expand(used, .f32) == nil, "\(used)")
            case .constant(.real(let value)) where dtype == .f32: #expect(value.isNaN || Double(Float(value)) == value, "\(value)")
            default: break
            }
        }
    }

    @Test(arguments: unary)
    func staysWithinItsBound(_ function: ScalarFunction) throws {
        try check(function, #require(Maths.expand(function, .f32)), MathsSamples.all)
    }

    @Test(arguments: reduced)
    func staysWithinItsBoundForSmallArguments(_ function: ScalarFunction) throws {
        let small = MathsSamples.all.filter { !(Double($0.magnitude) >= Maths.smallLimit && $0.isFinite) }
        try check(function, #require(Maths.expandSmall(function, .f32)), small)
    }

    private func check(_ function: ScalarFunction, _ expansion: ScalarExpr, _ samples: [Float]) throws {
        let op = try #require(Catalogue.op(named: function.rawValue))
        let reference = try #require(op.reference?.real)
        var evaluate = ScalarEvaluator(expansion)
        var worst = Worst()
        for x in samples {
            let value = Float(evaluate([.real(Double(x))]).double)
            worst.add(FloatError(value, exact: reference([Double(x)])).ulp, "\(x): \(value)")
        }
        #expect(op.ulp > 0 && worst.ulp <= op.ulp, "\(function) at \(worst.place)")
    }

    /// Against libm's Double, whose own error takes part of the two ulp.
    @Test(arguments: ScalarFunction.allCases.filter { $0.arity == 1 && Maths.expand($0, .f64, hasLibrary: false) != nil })
    func staysWithinTwoUlpInDouble(_ function: ScalarFunction) throws {
        let reference = try #require(Catalogue.op(named: function.rawValue)?.reference?.real)
        var evaluate = try ScalarEvaluator(#require(Maths.expand(function, .f64, hasLibrary: false)))
        var worst = Worst()
        // Those that only targets without a libm take are also held against the host's on the emulated grid.
        let step = Maths.expand(function, .f64) == nil ? 16 : 1
        for x in stride(from: 0, to: MathsSamples.doubles.count, by: step).map({ MathsSamples.doubles[$0] }) {
            let value = evaluate([.real(x)]).double, exact = reference([x])
            if value.isNaN, exact.isNaN { continue }
            let isRight = value == exact && value.sign == exact.sign
            let error = exact.isFinite && exact != 0 ? abs(value - exact) / exact.ulp : .infinity
            worst.add(isRight ? 0 : error.isNaN ? .infinity : error, "\(x): \(value)")
        }
        #expect(worst.ulp <= 2, "\(function) at \(worst.place)")
    }

    @Test func powerStaysWithinTwoUlpInDouble() throws {
        let reference = try #require(Catalogue.op(named: "pow")?.reference?.real)
        var evaluate = try ScalarEvaluator(#require(Maths.expand(.power, .f64, hasLibrary: false)))
        var worst = Worst()
        let special = MathsSamples.special.flatMap { x in MathsSamples.special.map { (x: x, y: $0) } }
        for (x, y) in (special + MathsSamples.pairs).map({ (Double($0.x), Double($0.y)) }) {
            let value = evaluate([.real(x), .real(y)]).double, exact = reference([x, y])
            if value.isNaN, exact.isNaN { continue }
            let isRight = value == exact && value.sign == exact.sign
            let error = exact.isFinite && exact != 0 ? abs(value - exact) / exact.ulp : .infinity
            worst.add(isRight ? 0 : error.isNaN ? .infinity : error, "(\(x), \(y)): \(value)")
        }
        #expect(worst.ulp <= 2, "pow at \(worst.place)")
    }

    @Test func powerStaysWithinItsBound() throws {
        let op = try #require(Catalogue.op(named: "pow")), reference = try #require(op.reference?.real)
        var evaluate = try ScalarEvaluator(#require(Maths.expand(.power, .f32)))
        var worst = Worst()
        let special = MathsSamples.special.flatMap { x in MathsSamples.special.map { (x: x, y: $0) } }
        for (x, y) in special + MathsSamples.pairs {
            let value = Float(evaluate([.real(Double(x)), .real(Double(y))]).double)
            worst.add(FloatError(value, exact: reference([Double(x), Double(y)])).ulp, "(\(x), \(y)): \(value)")
        }
        #expect(op.ulp > 0 && worst.ulp <= op.ulp, "pow at \(worst.place)")
    }
}

/// The greatest error met and where.
private struct Worst {
    var ulp = 0.0
    var place = "none"

    mutating func add(_ error: Double, _ place: @autoclosure () -> String) {
        guard error > ulp else { return }
        ulp = error
        self.place = place() + ", \(error) ulp"
    }
}
