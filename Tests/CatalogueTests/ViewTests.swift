// Chains of views drawn at random, read by an elementwise op, a reduction, a scan or a product: views vanish into their consumers' index
// maps, and what comes out must be the interpreter's, bit for bit.

import KilnIR
import KilnOps
import Testing

struct ViewTests {
    /// Chains on i32, where everything is exact, and on f32 with what only moves or compares.
    @Test(arguments: [DType.i32, .f32, .u8], Runner.all) func chainsOfViews(_ dtype: DType, _ runner: Runner) {
        let count = runner.share(of: 240)
        for seed in 0..<count {
            do { try Self.check(dtype, UInt64(seed), runner) } catch { Issue.record("seed \(seed) of \(dtype): \(error)") }
        }
        print("chains of views on \(runner.testDescription): \(count) cases of \(dtype)")
    }

    private static func check(_ dtype: DType, _ seed: UInt64, _ runner: Runner) throws {
        var random = SampleNumbers(seed: seed &* 7919 &+ UInt64(dtype.rawValue))
        let builder = GraphBuilder("chain")
        let sizes = [1, 2, 3, 5, 8, 17]
        let shape = (0..<1 + random.below(3)).map { _ in Dim.constant(sizes[random.below(sizes.count)]) }
        let inputs = [builder.input("a", TensorType(dtype, shape)), builder.input("b", TensorType(dtype, shape))]
        var value = inputs[0]
        for _ in 0..<1 + random.below(5) { value = step(value, inputs[1], &random) }
        let graph = try builder.finish([("y", consumer(value, &random)), ("x", value)])
        let literals = try inputs.map { try random.plain($0.type, -9...9) }
        let expected = try Interpreter.run(graph, inputs: literals)
        let got = try Compiled.all(graph, runner).flatMap { try zip($0.runInEveryOrder(literals, runner), expected) }
        for (a, b) in got {
            guard let problem = Bound.exact.disagreement(a, b) else { continue }
            Issue.record("seed \(seed) of \(dtype): \(problem)\n\(graph)")
            return
        }
    }

    /// One more view, or an elementwise op between two.
    private static func step(_ x: Value, _ other: Value, _ random: inout SampleNumbers) -> Value {
        let rank = x.rank, axis = rank == 0 ? 0 : random.below(rank)
        let size = rank == 0 ? 1 : x.dims[axis].constant ?? 1
        let elements = x.type.elementCount.constant ?? 0
        if rank == 0 || elements == 0 || elements > 4000 { return x.reshaping(to: [.constant(elements)]) }
        let zeros = [Dim](repeating: 0, count: rank)
        switch random.below(11) {
        case 0: return x.permuting(Array(0..<rank).shuffled(using: &random))
        case 1: return x.flipping([axis])
        case 2:
            var (starts, ends, steps) = (zeros, x.dims, zeros.map { _ in 1 })
            starts[axis] = .constant(random.below(size))
            ends[axis] = .constant(min(size, starts[axis].constant! + 1 + random.below(size)))
            steps[axis] = 1 + random.below(3)
            return x.slicing(starts: starts, ends: ends, steps: steps)
        case 3:
            var (low, high) = (zeros, zeros)
            low[axis] = .constant(random.below(4) - (size > 1 ? 1 : 0))
            high[axis] = .constant(random.below(3))
            return x.padding(low: low, high: high, value: Scalar.integer(Int64(random.below(5))).converted(to: x.dtype))
        case 4:
            var shape = x.dims
            shape.insert(.constant(1 + random.below(3)), at: axis)
            return x.broadcasting(to: shape, axes: x.dims.indices.map { $0 < axis ? $0 : $0 + 1 })
        case 5: return x.reshaping(to: [.constant(elements)])
        case 6:
            let divisors = (1...elements).filter { elements % $0 == 0 }
            let rows = divisors[random.below(divisors.count)]
            return x.reshaping(to: [.constant(rows), .constant(elements / rows)])
        case 7: return Value.concatenate([x, x.flipping([axis])], axis: axis)
        case 8: return x.dilating([axis], by: [1 + random.below(3)])
        case 9 where size >= 2:
            return x.windowing([axis], sizes: [2], strides: [1 + random.below(2)], dilations: [1])
        case 10 where x.dims == other.dims: return x - other
        default: return .apply(Elementwise.neg, x, at: .unknown)
        }
    }

    private static func consumer(_ x: Value, _ random: inout SampleNumbers) -> Value {
        let axis = x.rank == 0 ? 0 : random.below(x.rank)
        let isEmpty = x.type.elementCount == 0
        switch random.below(5) {
        case 0 where x.rank > 0 && !isEmpty: return .apply(Structural.reduceMax, x, attributes: ["axes": .ints([axis])], at: .unknown)
        case 1 where x.rank > 0 && !x.dtype.isFloat: return .apply(Structural.reduceSum, x, attributes: ["axes": .ints([axis])], at: .unknown)
        case 2 where x.rank > 0: return .apply(Structural.scanMax, x, attributes: ["axis": .int(axis), "reverse": .bool(true), "exclusive": .bool(false)],
                                               at: .unknown)
        case 3 where x.rank > 0 && !x.dtype.isFloat && (x.type.elementCount.constant ?? 0) < 600:
            return x.contracting(x, reduce: ([axis], [axis]))
        default: return .apply(Elementwise.neg, x, at: .unknown)
        }
    }
}
