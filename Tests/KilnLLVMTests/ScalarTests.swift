// Every ScalarFunction on every dtype it accepts, at special values, against plain Swift: exact, in lanes and outside them.

import Foundation
import KilnIR
import KilnKernels
import KilnLLVM
import Testing

@Suite struct ScalarTests {
    /// All pairs of special values go through the function, once in vectors (with a tail) and once one by one.
    private func check(_ function: ScalarFunction, _ dtype: DType, as result: DType, target: Target = host,
                       _ reference: ([Scalar]) -> Scalar) throws -> Int {
        let values = specialValues(dtype)
        let tuples = function.arity == 1 ? values.map { [$0] } : function.arity == 2 ? values.flatMap { a in values.map { [a, $0] } }
            : values.flatMap { a in values.flatMap { b in values.prefix(9).map { [a, b, $0] } } }
        let inputs = (0..<function.arity).map { operand in Literal(dtype, [tuples.count], scalars: tuples.map { $0[operand] }) }
        let count = Dim.constant(tuples.count)
        func body(_ i: Dim, _ output: Int) -> [Statement] {
            inputs.indices.map { load($0, $0, i) } + [apply(9, function, Array(inputs.indices), result), store(output, i, 9)]
        }
        let type = TensorType(result, [count])
        let made = program("scalar", inputs: inputs.map(\.type), outputs: [type, type], body: [
            lanesLoop(count, width: 16) { body($0, inputs.count) },
            .loop(Loop(variable: 7, to: count, body: body(.index(7), inputs.count + 1))),
        ])
        let results = try run(made, inputs, target: target)
        for (position, tuple) in tuples.enumerated() {
            let rounded = Literal(result, [1], scalars: [reference(inputs.map { $0[position] })])[0]
            for (kind, found) in zip(["lanes", "scalar"], results.map { $0[position] }) {
                #expect(isSame(found, rounded), "\(function.rawValue) of \(dtype) \(tuple) as \(result), \(kind): \(found), not \(rounded)")
            }
        }
        return tuples.count
    }

    /// Equal by bits, but any NaN is as good as another.
    private func isSame(_ a: Scalar, _ b: Scalar) -> Bool {
        if case (.real(let x), .real(let y)) = (a, b), x.isNaN, y.isNaN { return true }
        return a == b
    }

    static let integerFunctions: [ScalarFunction] = [
        .add, .subtract, .multiply, .divide, .remainder, .negate, .absolute, .maximum, .minimum, .fusedMultiplyAdd, .and, .or, .xor,
        .not, .shiftLeft, .shiftRight, .equal, .notEqual, .less, .lessEqual, .greater, .greaterEqual, .isNaN, .floor, .round,
    ]

    @Test(arguments: DType.integers, integerFunctions) func integers(dtype: DType, function: ScalarFunction) throws {
        let result: DType = function.isComparison ? .bool : dtype
        _ = try check(function, dtype, as: result) { integerReference(function, $0, dtype) }
    }

    @Test(arguments: [DType.u32, .u64, .i32]) func highProducts(dtype: DType) throws {
        _ = try check(.multiplyHigh, dtype, as: dtype) { x in
            switch dtype {
            case .u32: .unsigned((UInt64(truncatingIfNeeded: x[0].int64) * UInt64(truncatingIfNeeded: x[1].int64)) >> 32)
            case .i32: .integer((x[0].int64 * x[1].int64) >> 32)
            default: .unsigned(UInt64(bitPattern: x[0].int64).multipliedFullWidth(by: UInt64(bitPattern: x[1].int64)).high)
            }
        }
    }

    static let floatFunctions: [ScalarFunction] = [
        .add, .subtract, .multiply, .divide, .negate, .absolute, .maximum, .minimum, .fusedMultiplyAdd, .floor, .ceil, .round,
        .truncate, .squareRoot, .remainder, .equal, .notEqual, .less, .lessEqual, .greater, .greaterEqual, .isNaN,
    ]

    @Test(arguments: DType.floats, floatFunctions) func floats(dtype: DType, function: ScalarFunction) throws {
        let result: DType = function.isComparison ? .bool : dtype
        _ = try check(function, dtype, as: result) { floatReference(function, $0.map(\.double), dtype) }
    }

    @Test(arguments: [ScalarFunction.add, .maximum, .minimum, .fusedMultiplyAdd, .floor, .round]) func floatsWithoutAVX512(function: ScalarFunction) throws {
        let target = try #require(HostTarget.named("x86-64-v3"))
        for dtype in DType.floats {
            _ = try check(function, dtype, as: dtype, target: target) { floatReference(function, $0.map(\.double), dtype) }
        }
    }

    @Test(arguments: [ScalarFunction.and, .or, .xor, .not, .equal, .notEqual, .less]) func truthValues(function: ScalarFunction) throws {
        _ = try check(function, .bool, as: .bool) { x in
            let (a, b) = (x[0].isTrue, x.last!.isTrue)
            return switch function {
            case .and: .bool(a && b)
            case .or: .bool(a || b)
            case .xor, .notEqual: .bool(a != b)
            case .not: .bool(!a)
            case .equal: .bool(a == b)
            default: .bool(!a && b)
            }
        }
    }

    @Test(arguments: DType.all, DType.all) func conversions(from: DType, to: DType) throws {
        _ = try check(.convert, from, as: to) { convertReference($0[0], from, to) }
        if from.byteCount == to.byteCount, from != .bool, to != .bool {
            _ = try check(.bitcast, from, as: to) { Literal(to, [1], bytes: Literal(from, [1], scalars: [$0[0]]).bytes)[0] }
        }
    }

    /// Around every number of an 8-bit float and every tie between two of them, and at every power of two of an f32.
    @Test(arguments: DType.floats8, runnable(["x86-64-v3", "x86-64-v4"])) func eightBitFloats(dtype: DType, level: String) throws {
        let target = try #require(HostTarget.named(level))
        let numbers = (0..<127).map { Double(Float(Float8(dtype).value(UInt8($0)))) }.filter(\.isFinite)
        let ties = zip(numbers, numbers.dropFirst()).map { ($0 + $1) / 2 }
        let near = (numbers + ties).flatMap { [Double(Float($0).nextDown), $0, Double(Float($0).nextUp)] }
        let values = (near + (-149...127).map { Double(sign: .plus, exponent: $0, significand: 1) } + [464, 465, 61439, 61440, 1e30]).flatMap { [$0, -$0] }
        let singles = Literal(.f32, [values.count], doubles: values)
        let narrowing = program("narrow", inputs: [singles.type], outputs: [TensorType(dtype, [.constant(values.count)])], body: [
            lanesLoop(.constant(values.count), width: 16) { i in [load(0, 0, i), apply(1, .convert, [0], dtype), store(1, i, 1)] },
        ])
        #expect(try run(narrowing, [singles], target: target)[0] == Literal(dtype, [values.count], doubles: values))
        let all = Literal(dtype, [256], bytes: Array(UInt8.min...UInt8.max))
        let widening = program("widen", inputs: [all.type], outputs: [TensorType(.f32, [256])], body: [
            lanesLoop(256, width: 16) { i in [load(0, 0, i), apply(1, .convert, [0], .f32), store(1, i, 1)] },
        ])
        for (found, wanted) in zip(try run(widening, [all], target: target)[0].doubles, all.doubles) { #expect(found == wanted || found.isNaN && wanted.isNaN) }
    }

    @Test(arguments: DType.all) func selects(dtype: DType) throws {
        let values = specialValues(dtype)
        let condition = Literal(.bool, [values.count], scalars: values.indices.map { .bool($0 % 3 == 0) })
        let (a, b) = (Literal(dtype, [values.count], scalars: values), Literal(dtype, [values.count], scalars: values.reversed()))
        let made = program("select", inputs: [condition.type, a.type, b.type], outputs: [a.type], body: [
            lanesLoop(.constant(values.count), width: 8) { i in
                [load(0, 0, i), load(1, 1, i), load(2, 2, i), apply(3, .select, [0, 1, 2], dtype), store(3, i, 3)]
            },
        ])
        let expected = values.indices.map { $0 % 3 == 0 ? a[$0] : b[$0] }
        for (found, wanted) in zip(try run(made, [condition, a, b])[0].scalars, expected) { #expect(isSame(found, wanted)) }
    }

    /// libm's functions of f64, and our own of f32, within one unit in the last place of what the wider type gives.
    @Test(arguments: [ScalarFunction.exp, .log, .sin, .cos, .tanh, .erf, .power, .log1p, .expm1, .atan])
    func transcendentals(function: ScalarFunction) throws {
        for dtype in [DType.f64, .f32] {
            // The last ones are beyond the range of the cheap reduction of sin and cos.
            let last: Double = function == .sin || function == .cos ? 1e6 : 0.1
            let x = Literal(dtype, [99], doubles: (1...99).map { (i: Int) -> Double in i < 90 ? Double(i) / 20 : Double(i) * last })
            let operands = Array(repeating: 0, count: function.arity)
            let made = program("maths", inputs: [x.type], outputs: [x.type], body: [
                lanesLoop(99, width: 16) { i in [load(0, 0, i), apply(1, function, operands, dtype), store(1, i, 1)] },
            ])
            let found = try run(made, [x])[0].doubles
            for (value, argument) in zip(found, x.doubles) {
                let exact = libm(function, argument)
                let unit = dtype == .f64 ? exact.ulp : Double(Float(exact).ulp)
                #expect(abs(value - exact) <= 2 * unit, "\(function.rawValue)(\(argument)) as \(dtype): \(value), not \(exact)")
            }
        }
    }
}

/// Values at which functions tend to go wrong, with their neighbours.
func specialValues(_ dtype: DType) -> [Scalar] {
    if dtype == .bool { return [true, false] }
    if dtype.isFloat {
        let tiny: [DType: Double] = [.f16: 0x1p-24, .bf16: 0x1p-133, .f32: 0x1p-149, .f64: 0x1p-1074,
                                     .f8e4m3: 0x1p-9, .f8e5m2: 0x1p-16]
        let large: [DType: Double] = [.f16: 65504, .bf16: 0x1.fep127, .f32: Double(Float.greatestFiniteMagnitude), .f64: .greatestFiniteMagnitude,
                                      .f8e4m3: 448, .f8e5m2: 57344]
        return [0, -0.0, 1, -1, .nan, .infinity, -.infinity, 0.5, 1.5, 2.5, -2.5, 3, -7, 0.1, 100.25, 255, 256.5, -129, 40000, 3e9, -3e9, 1e19,
                tiny[dtype]!, -tiny[dtype]!, large[dtype]!, -large[dtype]!, 0x1.ffcp-15, 0x1.01p0].map { .real($0) }
    }
    let bits = Int64(dtype.bitWidth)
    let top: Int64 = dtype.isSigned ? .min >> (64 - bits) : dtype == .u64 ? -1 : (1 << bits) - 1
    return ([0, 1, 2, 3, 5, 7, 8, 31, 63, 100, -1, -2, -3, -100, top, top &+ 1, top &- 1, top / 2] as [Int64])
        .map { Literal(dtype, [1], scalars: [.integer($0)])[0] }
}
