// Elementwise ops: the expression that kernels compute against the reference in plain Swift, and gradients against differences.

import KilnIR
import KilnOps
import Testing

private let elementwise = Catalogue.all.filter { $0.reference?.real != nil || $0.reference?.integer != nil }

@Suite struct ElementwiseTests {
    /// Bounds: the op's own in f32 and f64; in f16 and bf16 the f32 error is below a rounding, which it may turn once.
    @Test(arguments: elementwise.map(\.name))
    func expressionsMeanWhatTheReferencesMean(_ name: String) throws {
        let op = try #require(Catalogue.op(named: name))
        var (cases, worst) = (0, 0.0)
        for dtype in op.dtypes {
            let sample = try #require(op.samples(dtype).first)
            let context = OpContext(op: op, operands: sample.operands, attributes: sample.attributes)
            guard case .elementwise(let expression) = try op.form(context) else { Issue.record("\(name) is not elementwise"); return }
            let result = try op.infer(context)[0].dtype
            #expect(expression.dtype == result)
            let bound = op.ulp == 0 ? 0 : dtype == .f32 || dtype == .f64 ? op.ulp + 0.5 : 1
            for arguments in arguments(op, dtype, sample) {
                let expected = reference(op, arguments, dtype, result)
                var evaluator = ScalarEvaluator(expression)
                let found = evaluator(arguments)
                let error = distance(found, expected, result)
                #expect(error != nil && error! <= bound, "\(name) \(dtype) \(arguments): \(found), reference \(expected)")
                worst = max(worst, error ?? 0)
                cases += 1
            }
        }
        #expect(cases >= 4)
        print("cases: \(cases) expressions of \(name), at most \(worst) ulp from the reference")
    }

    private func arguments(_ op: OpDefinition, _ dtype: DType, _ sample: OpSample) -> [[Scalar]] {
        var numbers = SampleNumbers(seed: 7)
        var lists = combinations(sample.operands.map { type in
            let all = specials(type.dtype)
            return sample.operands.count < 3 || all.count <= 11 ? all : Array(all.prefix(6) + all.suffix(3))
        })
        for sample in op.samples(dtype) {
            for _ in 0..<20 {
                if let drawn = try? sample.draw(&numbers, symbols: ["n": 1]) { lists.append(drawn.map { $0[0] }) }
            }
        }
        return lists
    }

    private func reference(_ op: OpDefinition, _ arguments: [Scalar], _ dtype: DType, _ result: DType) -> Scalar {
        if dtype.isFloat, let real = op.reference?.real { return Scalar.real(real(arguments.map(\.double))).converted(to: result) }
        return op.reference!.integer!(arguments, dtype).converted(to: result)
    }

    /// Pullbacks in f64 against central differences, whose error is about 1e-9 here.
    @Test(arguments: elementwise.map(\.name))
    func gradientsAreDifferences(_ name: String) throws {
        let op = try #require(Catalogue.op(named: name))
        guard op.dtypes.contains(.f64), let pullback = op.pullback else { return }
        for (number, sample) in op.samples(.f64).enumerated() where sample.isSmooth {
            var numbers = SampleNumbers(seed: 100 + UInt64(number))
            let point = try sample.draw(&numbers, symbols: ["n": 2])
            let builder = GraphBuilder("gradient")
            let operands = sample.operands.enumerated().map { builder.input("x\($0.offset)", $0.element) }
            let result = Value.apply(op, operands, sample.attributes, regions: [], at: .unknown)[0]
            guard result.dtype == .f64 else { return }
            let context = OpContext(op: op, operands: sample.operands, attributes: sample.attributes)
            let cotangent = builder.full(1, result.type)
            let gradients = try pullback(PullbackContext(context: context, operands: operands, results: [result], cotangents: [cotangent]))
            #expect(gradients.count == operands.count)
            for (operand, gradient) in gradients.enumerated() where operands[operand].dtype == .f64 {
                let slopes = try differences(op, sample, point, operand)
                var found = [Double](repeating: 0, count: slopes.count)
                if let gradient {
                    let copy = try builder.finish([("g", gradient)])
                    found = try Interpreter.run(copy, inputs: point)[0].doubles
                }
                for (a, b) in zip(found, slopes) { #expect(abs(a - b) <= 1e-6 * max(1, abs(b)), "\(name) operand \(operand) at \(point.map(\.doubles))") }
            }
        }
    }

    private func differences(_ op: OpDefinition, _ sample: OpSample, _ point: [Literal], _ operand: Int) throws -> [Double] {
        let step = 1e-6
        let ends = try [step, -step].map { step in
            var moved = point
            moved[operand] = Literal(.f64, point[operand].shape, doubles: point[operand].doubles.map { $0 + step })
            return try Interpreter.apply(op, moved, sample.attributes)[0].doubles
        }
        return zip(ends[0], ends[1]).map { ($0 - $1) / (2 * step) }
    }
}

/// Meanings that are written down here once more, as numbers.
@Suite struct ElementwiseValueTests {
    private func one(_ op: OpDefinition, _ dtype: DType, _ arguments: Scalar...) throws -> Scalar {
        try Interpreter.apply(op, arguments.map { Literal(dtype, [], scalars: [$0]) })[0][0]
    }

    @Test func integersWrapAndDivideByZero() throws {
        #expect(try one(Elementwise.add, .i8, 127, 1) == .integer(-128))
        #expect(try one(Elementwise.mul, .u64, .unsigned(.max), .unsigned(.max)) == .unsigned(1))
        #expect(try one(Elementwise.div, .i32, 7, 0) == .integer(-1))
        #expect(try one(Elementwise.div, .u16, 7, 0) == .unsigned(65535))
        #expect(try one(Elementwise.div, .i64, .integer(.min), -1) == .integer(.min))
        #expect(try one(Elementwise.div, .i32, -7, 2) == .integer(-3))
        #expect(try one(Elementwise.rem, .i32, -7, 2) == .integer(-1))
        #expect(try one(Elementwise.rem, .i32, 7, 0) == .integer(7))
        #expect(try one(Elementwise.rem, .i64, .integer(.min), -1) == .integer(0))
        #expect(try one(Elementwise.neg, .u8, 1) == .unsigned(255))
        #expect(try one(Elementwise.abs, .i8, -128) == .integer(-128))
        #expect(try one(Elementwise.pow, .i32, 3, 5) == .integer(243))
        #expect(try one(Elementwise.pow, .i32, -1, -3) == .integer(-1))
        #expect(try one(Elementwise.pow, .i32, 2, -1) == .integer(0))
        #expect(try one(Elementwise.pow, .u8, 3, 200) == .unsigned(161))
        #expect(try one(Elementwise.mulhi, .u32, .unsigned(0xFFFF_FFFF), .unsigned(0xFFFF_FFFF)) == .unsigned(0xFFFF_FFFE))
        #expect(try one(Elementwise.mulhi, .u64, .unsigned(1 << 63), 6) == .unsigned(3))
    }

    @Test func shiftsBeyondTheWidthLeaveTheSign() throws {
        #expect(try one(Elementwise.shl, .i8, 1, 7) == .integer(-128))
        #expect(try one(Elementwise.shl, .i8, 1, 8) == .integer(0))
        #expect(try one(Elementwise.shr, .i8, -128, 8) == .integer(-1))
        #expect(try one(Elementwise.shr, .u8, 128, 8) == .unsigned(0))
        #expect(try one(Elementwise.shr, .i32, -8, 1) == .integer(-4))
        #expect(try one(Elementwise.shl, .i32, 5, -1) == .integer(0))
    }

    @Test func extremesPropagateNaNAndOrderZeros() throws {
        #expect(try one(Elementwise.max, .f32, .real(.nan), 1).double.isNaN)
        #expect(try one(Elementwise.min, .f64, 1, .real(.nan)).double.isNaN)
        #expect(try one(Elementwise.max, .f32, -0.0, 0.0) == .real(0))
        #expect(try one(Elementwise.min, .f32, 0.0, -0.0) == .real(-0.0))
        #expect(try one(Elementwise.relu, .f16, .real(.nan)).double.isNaN)
        #expect(try one(Elementwise.sign, .f32, .real(.nan)).double.isNaN)
        #expect(try one(Elementwise.sign, .f32, -3.5) == .real(-1))
    }

    @Test func functionsDoNotOverflowOnTheWay() throws {
        #expect(try one(Elementwise.sigmoid, .f32, -1000) == .real(0))
        #expect(try one(Elementwise.sigmoid, .f32, 1000) == .real(1))
        #expect(try one(Elementwise.softplus, .f32, 1000) == .real(1000))
        #expect(try one(Elementwise.softplus, .f64, -1000) == .real(0))
        #expect(try one(Elementwise.add, .f16, 65504, 65504) == .real(.infinity))
        #expect(try one(Elementwise.add, .f16, 2048, 1) == .real(2048))
    }
}
