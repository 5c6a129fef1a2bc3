// Elementwise ops drawn at random from the catalogue, of many dtypes and on the numbers at which kernels go wrong, as one fused kernel:
// each op rounds to its dtype inside the kernel as outside, so every bit is the interpreter's.

import KilnIR
import KilnOps
import Testing

struct FusionTests {
    private static let dtypes: [DType] = [.bool, .i8, .u16, .i32, .i64, .u64, .f16, .bf16, .f32, .f64]

    /// Ops whose result is the exact one, rounded once, by dtype. An fma of f16 is rounded to f32 in between.
    private static let exact: [(op: OpDefinition, dtype: DType)] = dtypes.flatMap { dtype in
        Catalogue.all.filter { op in
            guard op.ulp == 0, op.attributeNames.isEmpty, let count = op.operandCount, count > 0, op.dtypes.contains(dtype),
                  let sample = op.samples(dtype).first, dtype.byteCount != 2 || !dtype.isFloat || count < 3 || sample.operands[0].dtype == .bool,
                  case .elementwise? = try? op.form(OpContext(op: op, operands: sample.operands)) else { return false }
            return true
        }.map { ($0, dtype) }
    }

    @Test(arguments: 0..<4, Runner.all) func randomChainsOfExactOps(_ part: Int, _ runner: Runner) {
        let count = runner.share(of: 100)
        for seed in 0..<count {
            do { try Self.check(UInt64(part * count + seed), runner) } catch { Issue.record("seed \(seed) of part \(part): \(error)") }
        }
        print("chains of elementwise ops on \(runner.testDescription): \(count) cases from \(Self.exact.count) ops and dtypes")
    }

    private static func check(_ seed: UInt64, _ runner: Runner) throws {
        var random = SampleNumbers(seed: seed &* 104_729)
        let builder = GraphBuilder("chain")
        let shape: Shape = [[37], [3, 17], [129]][random.below(3)]
        var values: [DType: [Value]] = [:]
        var inputs: [Value] = []
        for dtype in dtypes {
            inputs.append(builder.input("x\(dtype)", TensorType(dtype, shape)))
            values[dtype] = [inputs[inputs.count - 1]]
        }
        var made: [Value] = []
        for _ in 0..<4 + random.below(12) {
            let result: Value
            if random.below(4) == 0 {
                let source = dtypes[random.below(dtypes.count)], target = dtypes[random.below(dtypes.count)]
                result = builder.append(Elementwise.cast, [pick(values[source]!, &random)], ["dtype": .dtype(target)])[0]
            } else {
                let (op, dtype) = exact[random.below(exact.count)]
                let types = op.samples(dtype)[0].operands
                result = builder.append(op, types.map { pick(values[$0.dtype]!, &random) })[0]
            }
            values[result.dtype]!.append(result)
            made.append(result)
        }
        let graph = try builder.finish(made.suffix(3).enumerated().map { ("y\($0)", $1) })
        let literals = inputs.map { random.special($0.dtype, $0.type.constantShape ?? []) }
        let expected = try Interpreter.run(graph, inputs: literals)
        let got = try Compiled.all(graph, runner).flatMap { try zip($0.runInEveryOrder(literals, runner), expected) }
        for (a, b) in got {
            guard let problem = Bound.exact.disagreement(a, b) else { continue }
            Issue.record("seed \(seed): \(problem)\n\(graph)")
            return
        }
    }

    /// Of two, mostly the later.
    private static func pick(_ values: [Value], _ random: inout SampleNumbers) -> Value {
        values[max(random.below(values.count), random.below(values.count))]
    }

    /// Maxima and minima of short floats that a kernel widens first: windows, rows, pairs, limits.
    @Test(arguments: [DType.f16, .bf16], Runner.all) func extremesOfWidenedFloats(_ dtype: DType, _ runner: Runner) throws {
        let builder = GraphBuilder("extremes")
        let x = builder.input("x", TensorType(dtype, [5, 3, 12, 12])), y = builder.input("y", TensorType(dtype, [5, 3, 12, 12]))
        let (wide, other) = (x.cast(to: .f32), y.cast(to: .f32))
        var outputs = [x.maxPool2d(2), wide.maxPool2d(2), wide.maxPool2d(3, stride: 2, padding: 1).cast(to: dtype), wide.relu().cast(to: dtype)]
        for op in [Elementwise.max, Elementwise.min] {
            outputs += [Value.apply(op, wide, other, at: .unknown), Value.apply(op, wide, other, at: .unknown).cast(to: dtype),
                        Value.apply(op, Value.apply(op, wide, other, at: .unknown), -wide, at: .unknown)]
        }
        for axis in 0..<4 { outputs += [wide.max(axis), wide.min(axis).cast(to: dtype), x.max(axis), wide.cummax(axis)] }
        let pairs = wide.reshape(5, 3, 72, 2)
        outputs += [pairs.max(3), pairs.min(3), pairs.argmax(3), wide.reshape(540, 4).max(1), wide.clamp(-1.0, 2.0).cast(to: dtype)]
        let graph = try builder.finish(outputs.enumerated().map { ("y\($0)", $1) })
        var random = SampleNumbers(seed: 5)
        let literals = [random.special(dtype, [5, 3, 12, 12]), random.special(dtype, [5, 3, 12, 12])]
        let expected = try Interpreter.run(graph, inputs: literals)
        for compiled in try Compiled.all(graph, runner) {
            for (number, (a, b)) in zip(try compiled.runInEveryOrder(literals, runner), expected).enumerated() {
                if let problem = Bound.exact.disagreement(a, b) { Issue.record("y\(number): \(problem)\n\(graph)") }
            }
        }
        print("extremes of widened floats on \(runner.testDescription): \(outputs.count) cases of \(dtype)")
    }
}
