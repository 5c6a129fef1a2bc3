// Windows over images whose sizes only a call knows: one compilation of convolutions, pooling and what is made of them, run on
// images of several sizes.

import KilnIR
import KilnOps
import Testing

struct WindowTests {
    /// Heights, widths and batches from less than a vector to several tiles, few of them multiples of anything.
    private static let sizes: [[String: Int]] = [["n": 2, "h": 5, "w": 5], ["n": 1, "h": 7, "w": 40], ["n": 1, "h": 15, "w": 18], ["n": 0, "h": 9, "w": 6]]

    private static func convolution(_ dtype: DType, _ image: Shape, _ weight: [Int], strides: [Int]? = nil, low: [Dim]? = nil, high: [Dim]? = nil,
                                    dilations: [Int]? = nil, groups: Int = 1, _ view: InputView = .plain) throws -> Case {
        let axes = image.count - 2, ones = Array(repeating: 1, count: axes), zeros = ones.map { _ in Dim.constant(0) }
        let sample = OpSample([TensorType(dtype, image), TensorType(dtype, weight.map { .constant($0) })],
                              ["strides": .ints(strides ?? ones), "low": .dims(low ?? zeros), "high": .dims(high ?? zeros),
                               "dilations": .ints(dilations ?? ones), "groups": .int(groups)])
        return Case(try #require(Catalogue.op(named: "convolution")), sample, views: [view, .plain])
    }

    @Test(arguments: [(DType.f32, Runner.host), (.bf16, .host), (.i32, .host), (.f32, .grids), (.bf16, .grid([.sm80]))]) func convolutions(_ dtype: DType, _ runner: Runner) throws {
        let image: Shape = ["n", 4, "h", "w"]
        let cases = try [
            Self.convolution(dtype, image, [9, 4, 3, 3], low: [1, 1], high: [1, 1]),
            Self.convolution(dtype, image, [17, 4, 1, 1]),
            Self.convolution(dtype, image, [5, 4, 3, 3], strides: [2, 2], low: [1, 1], high: [1, 1]),
            Self.convolution(dtype, image, [4, 1, 3, 3], low: [1, 1], high: [1, 1], groups: 4),
            Self.convolution(dtype, image, [8, 1, 5, 3], strides: [2, 1], low: [2, 0], high: [2, 1], groups: 4),
            Self.convolution(dtype, image, [6, 2, 2, 3], low: [1, 0], high: [0, 2], dilations: [1, 2], groups: 2, .permuted),
            Self.convolution(dtype, ["n", 2, "h", 11], [3, 2, 3, 3], low: [1, 1], high: [1, 1]),
            Self.convolution(dtype, ["n", 2, 11, "w"], [7, 2, 3, 2], strides: [3, 3], low: [0, 1]),
            Self.convolution(dtype, ["n", 3, "h"], [8, 3, 4], strides: [4], low: [3], high: [2]),
            Self.convolution(dtype, ["n", 2, 5, "h", "w"], [3, 2, 2, 3, 2], low: [1, 1, 1], high: [0, 1, 1]),
            Self.convolution(dtype, ["n", 1, 3, 4, "h", 4], [2, 1, 2, 2, 3, 2], low: [0, 0, 1, 0], high: [0, 0, 1, 0]),
        ]
        let count = checkKernels(cases, symbols: Self.sizes, on: runner)
        print("convolutions of symbolic sizes on \(runner.testDescription): \(count) cases of \(dtype)")
        #expect(count == cases.count * Self.sizes.count)
    }

    /// Images that are so small that their columns are packed once and then shared out with the rows, in blocks of few tiles.
    @Test(arguments: [DType.f32, .bf16, .i32]) func smallImages(_ dtype: DType) throws {
        let cases = try [
            Self.convolution(dtype, [1, 5, 14, 14], [130, 5, 3, 3], low: [1, 1], high: [1, 1]),
            Self.convolution(dtype, [1, 5, 13, 15], [130, 5, 3, 3], strides: [1, 1], .permuted),
        ]
        #expect(checkKernels(cases, on: .host) == cases.count)
    }

    // MARK: Programs

    /// What detectors are made of, from images of any size.
    private static func detector(_ dtype: DType, _ n: Dim, _ h: Dim, _ w: Dim) throws -> Graph {
        let b = GraphBuilder("a detector")
        func weight(_ name: String, _ shape: Dim...) -> Value { b.input(name, TensorType(dtype, shape)) }
        let x = b.input("x", TensorType(dtype, [n, 3, h, w]))
        let half = SlidingWindow([3, 3], strides: [2, 2])
        let stem = x.convolving(weight("stem", 8, 3, 3, 3), half.paddedToKeepSizes([h, w]), bias: weight("stem.bias", 8)).relu()
        let deep = stem.convolving(weight("deep", 8, 1, 5, 5), SlidingWindow([5, 5], low: [2, 2], high: [2, 2]), groups: 8)
        let gate = deep.mean([2, 3], keepDims: true).convolving(weight("gate", 8, 8, 1, 1), SlidingWindow([1, 1])).sigmoid()
        let wide = (deep * gate).convolving(weight("wide", 12, 8, 1, 1), SlidingWindow([1, 1])).tanh()
        let pooled = wide.maxPooling(SlidingWindow([3, 3], strides: [2, 2], low: [1, 1], high: [1, 1]), roundsUp: true)
        let means = wide.averagePooling(SlidingWindow([3, 2], strides: [2, 2], low: [1, 0], high: [1, 0]), roundsUp: true, countsPadding: false)
        let up = pooled.convolvingTransposed(weight("up", 12, 4, 2, 2), SlidingWindow([2, 2], strides: [2, 2]), bias: weight("up.bias", 4)).relu()
        let over = up.convolvingTransposed(weight("over", 4, 2, 4, 3), SlidingWindow([4, 3], strides: [2, 2], low: [1, 1], high: [1, 1]),
                                           outputPadding: [0, 1])
        let norms = stem.normPooling(SlidingWindow([2, 2], strides: [3, 1], dilations: [1, 2]))
        let (most, places) = stem.maxPoolingPositions(SlidingWindow([2, 2], strides: [2, 2]), countsByColumns: true)
        return try b.finish([("map", over.sigmoid()), ("means", means), ("norms", norms), ("most", most), ("places", places), ("sum", over.sum(2, 3))])
    }

    @Test(arguments: [(DType.f32, Runner.host), (.f64, .host), (.f32, .grids)]) func oneDetectorServesEveryImage(_ dtype: DType, _ runner: Runner) throws {
        let graph = try Self.detector(dtype, "n", "h", "w")
        try graph.verify()
        let programs = try Compiled.all(graph, runner)
        for (h, w) in [(9, 11), (24, 8), (17, 42)] {
            let symbols = ["n": 2, "h": h, "w": w]
            var numbers = SampleNumbers(seed: UInt64(h * w))
            let inputs = try graph.inputTypes.map { try OpSample([$0], domain: -1...1).draw(&numbers, symbols: symbols)[0] }
            let expected = try Interpreter.run(graph, inputs: inputs, symbols: symbols)
            let limits = try Perturbation.limits(Self.detector(dtype, 2, .constant(h), .constant(w)), inputs, expected)
            for compiled in programs {
                let got = try compiled.runInEveryOrder(inputs, runner)
                for (number, port) in graph.outputs.enumerated() {
                    let wanted = expected[number]
                    let bound: Bound = wanted.dtype.isFloat ? .absolute(Array(repeating: limits[number], count: wanted.count)) : .exact
                    if let problem = bound.disagreement(got[number], wanted) { Issue.record("\(port.name) of \(h) x \(w): \(problem)\n\(compiled.groups)") }
                }
            }
        }
    }
}
