// What is found among elements, of sizes that depend on them: compiled for the host and for the emulated grid, against the
// interpreter and against plain Swift.

import KilnIR
import KilnOps
import Testing

struct FoundTests {
    private static func literal(_ values: [Int], _ shape: [Int], _ dtype: DType = .f32) -> Literal {
        Literal(dtype, shape, scalars: values.map { Scalar.integer(Int64($0)).converted(to: dtype) })
    }

    /// Runs the graph compiled; the interpreter must give the same.
    private static func run(_ graph: Graph, _ runner: Runner, _ inputs: [Literal]) throws -> [Literal] {
        try graph.verify()
        let expected = try Interpreter.run(graph, inputs: inputs)
        for compiled in try Compiled.all(graph, runner) {
            for (number, (got, wanted)) in try zip(compiled.runInEveryOrder(inputs, runner), expected).enumerated() {
                #expect(got.shape == wanted.shape && got.bytes == wanted.bytes, "\(graph.outputs[number].name): \(got) and not \(wanted)")
            }
        }
        return expected
    }

    private static func integers(_ literal: Literal) -> [Int] { (0..<literal.count).map { Int(literal[$0].int64) } }

    private static let patterns: [[Int]] = [[0, 0, 0, 0, 0, 0], [0, 0, 0, 5, 0, 0], [1, 2, 3, 4, 5, 6], [3, 0, -1, 0, 0, 7]]

    @Test(arguments: Runner.all) func nonZero(_ runner: Runner) throws {
        let b = GraphBuilder("nonzero")
        let x = b.input("x", TensorType(.f32, ["n", 3]))
        let found = x.nonZero()
        let chosen = x.flatten().take(found.select(axis: 0, index: 0) * 3 + found.select(axis: 0, index: 1), axis: 0)
        let graph = try b.finish([("found", found), ("chosen", chosen), ("sum", chosen.sum()), ("scalar", x.sum().nonZero())])
        for pattern in Self.patterns {
            let results = try Self.run(graph, runner, [Self.literal(pattern, [2, 3])])
            let places: [Int] = pattern.indices.filter { pattern[$0] != 0 }, sum: Int = pattern.reduce(0, +)
            let coordinates: [Int] = places.map { $0 / 3 } + places.map { $0 % 3 }
            #expect(Self.integers(results[0]) == coordinates && Self.integers(results[1]) == places.map { pattern[$0] })
            #expect(results[0].shape == [2, places.count] && results[3].shape == [0, sum == 0 ? 0 : 1] && results[2].doubles == [Double(sum)])
        }
        #expect(try Self.run(graph, runner, [Self.literal([], [0, 3])])[0].shape == [2, 0])
    }

    @Test(arguments: Runner.all) func compress(_ runner: Runner) throws {
        let b = GraphBuilder("compress")
        let x = b.input("x", TensorType(.i32, [2, 3])), two = b.input("two", TensorType(.bool, [2])), five = b.input("five", TensorType(.bool, [5]))
        let graph = try b.finish([("rows", x.compress(two, axis: 0)), ("columns", x.compress(two, axis: -1)), ("flat", x.compress(five))])
        for bits in [[0, 1, 1, 0, 1], [0, 0, 0, 0, 0], [1, 1, 1, 1, 1]] {
            let results = try Self.run(graph, runner, [Self.literal(Array(1...6), [2, 3], .i32), Self.literal(Array(bits.prefix(2)), [2], .bool),
                                                       Self.literal(bits, [5], .bool)])
            let kept = [0, 1].filter { bits[$0] == 1 }
            let rows: [Int] = kept.flatMap { row -> [Int] in [row * 3 + 1, row * 3 + 2, row * 3 + 3] }
            let columns: [Int] = [0, 3].flatMap { row -> [Int] in kept.map { row + $0 + 1 } }
            let flat: [Int] = (0..<5).filter { bits[$0] == 1 }.map { $0 + 1 }
            #expect(results.map(Self.integers) == [rows, columns, flat] && results[1].shape == [2, kept.count])
        }
    }

    @Test(arguments: [true, false], Runner.all) func unique(_ sorted: Bool, _ runner: Runner) throws {
        let b = GraphBuilder("unique")
        let x = b.input("x", TensorType(.f32, ["n"]))
        let found = x.unique(sorted: sorted)
        let graph = try b.finish([("y", found.values), ("indices", found.indices), ("inverse", found.inverse), ("counts", found.counts)])
        for values in [[2, 1, 1, 3, 4, 3], [5, 5, 5], [1], []] {
            let results = try Self.run(graph, runner, [Self.literal(values, [values.count])]).map(Self.integers)
            var order: [Int] = []
            for value in values where !order.contains(value) { order.append(value) }
            if sorted { order.sort() }
            let indices: [Int] = order.map { values.firstIndex(of: $0)! }, inverse: [Int] = values.map { order.firstIndex(of: $0)! }
            let counts: [Int] = order.map { value in values.filter { $0 == value }.count }
            #expect(results == [order, indices, inverse, counts])
        }
    }

    @Test(arguments: [0, 1, 2], Runner.all) func uniqueSlices(_ axis: Int, _ runner: Runner) throws {
        let shape = [3, 4, 2], numbers = [1, 0, 0, 1, 1, 0, 0, 0, 0, 0, 0, 1, 0, 0, 0, 0, 1, 0, 0, 1, 1, 0, 0, 0]
        let slices: [[Int]] = (0..<shape[axis]).map { position -> [Int] in
            numbers.indices.filter { [$0 / 8, $0 / 2 % 4, $0 % 2][axis] == position }.map { numbers[$0] }
        }
        for sorted in [true, false] {
            let b = GraphBuilder("slices")
            let found = b.input("x", TensorType(.i8, shape.map { .constant($0) })).unique(axis: axis, sorted: sorted)
            let graph = try b.finish([("y", found.values), ("indices", found.indices), ("inverse", found.inverse), ("counts", found.counts)])
            let results = try Self.run(graph, runner, [Self.literal(numbers, shape, .i8)])
            var order: [[Int]] = []
            for slice in slices where !order.contains(slice) { order.append(slice) }
            if sorted { order.sort { $0.lexicographicallyPrecedes($1) } }
            #expect(results[0].shape == shape.indices.map { $0 == axis ? order.count : shape[$0] })
            let indices: [Int] = order.map { slices.firstIndex(of: $0)! }, inverse: [Int] = slices.map { order.firstIndex(of: $0)! }
            let counts: [Int] = order.map { slice in slices.filter { $0 == slice }.count }
            #expect(results.dropFirst().map(Self.integers) == [indices, inverse, counts])
        }
    }

    @Test(arguments: [true, false], Runner.all) func nonMaxSuppression(_ centerPoint: Bool, _ runner: Runner) throws {
        let b = GraphBuilder("boxes")
        let boxes = b.input("boxes", TensorType(.f32, [2, 6, 4])), scores = b.input("scores", TensorType(.f32, [2, 2, 6]))
        let most = b.input("most", TensorType(.i64, [1])), overlap = b.input("overlap", TensorType(.f32, [1])), least = b.input("least", TensorType(.f32, []))
        let found = Value.nonMaxSuppression(boxes: boxes, scores: scores, maxOutputBoxesPerClass: most, iouThreshold: overlap, scoreThreshold: least,
                                            centerPoint: centerPoint)
        let graph = try b.finish([("found", found)])
        // Pairs of boxes shifted by a tenth of their size, the corners of some the other way round.
        let starts: [Double] = [0, 0.1, 0, 10, 10.1, 100]
        let one: [Double] = starts.enumerated().flatMap { number, x -> [Double] in
            if centerPoint { return [0.5, x + 0.5, 1, 1] }
            return number % 2 == 0 ? [0, x, 1, x + 1] : [1, x + 1, 0, x]
        }
        let all = Literal(.f32, [2, 6, 4], doubles: one + one)
        let (half, few) = (Literal(.f32, [1], doubles: [0.5]), Literal(.f32, [], doubles: [0.05]))
        let rates: [[Double]] = [[0.9, 0.75, 0.6, 0.95, 0.5, 0.3], [0.5, 0.5, 0.5, 0.5, 0.5, 0.5], [0.1, 0.2, 0.3, 0.4, 0.5, 0.6], [0, 0, 0, 0, 0, 0]]
        let kept = [[3, 0, 5], [0, 3, 5], [5, 4, 2], []]
        for most in [0, 1, 2, 9] {
            let scores = Literal(.f32, [2, 2, 6], doubles: Array(rates.joined()))
            let got = try Self.run(graph, runner, [all, scores, Self.literal([most], [1], .i64), half, few])
            let wanted: [Int] = kept.enumerated().flatMap { row, boxes -> [Int] in boxes.prefix(most).flatMap { [row / 2, row % 2, $0] } }
            #expect(Self.integers(got[0]) == wanted && got[0].shape == [wanted.count / 3, 3], "\(most)")
        }
    }
}
