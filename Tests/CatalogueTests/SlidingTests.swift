// Depthwise and grouped convolutions against the interpreter: sizes of 1, primes and one past a vector or a block, every way in which a
// window can lie, images and weights that are computed where they are read, and what is made of the result.

import KilnIR
import KilnOps
import Testing

struct SlidingTests {
    private static func convolution(_ dtype: DType, _ image: Shape, _ weight: [Int], strides: [Int]? = nil, low: [Dim]? = nil, high: [Dim]? = nil,
                                    dilations: [Int]? = nil, groups: Int, _ views: [InputView] = [.plain, .plain]) throws -> Case {
        let axes = image.count - 2, ones = Array(repeating: 1, count: axes), zeros = ones.map { _ in Dim.constant(0) }
        let sample = OpSample([TensorType(dtype, image), TensorType(dtype, weight.map { .constant($0) })],
                              ["strides": .ints(strides ?? ones), "low": .dims(low ?? zeros), "high": .dims(high ?? zeros),
                               "dilations": .ints(dilations ?? ones), "groups": .int(groups)])
        return Case(try #require(Catalogue.op(named: "convolution")), sample, views: views)
    }

    /// Windows of all kinds over images of known sizes.
    private static func fixed(_ dtype: DType) throws -> [Case] {
        try [
            convolution(dtype, [1, 3, 56, 56], [3, 1, 7, 7], low: [3, 3], high: [3, 3], groups: 3),
            convolution(dtype, [2, 3, 17, 33], [3, 1, 3, 3], low: [1, 1], high: [1, 1], groups: 3),
            convolution(dtype, [2, 2, 1, 1], [2, 1, 3, 3], low: [1, 1], high: [1, 1], groups: 2),
            convolution(dtype, [1, 2, 13, 1], [2, 1, 3, 1], low: [1, 0], high: [1, 0], groups: 2),
            convolution(dtype, [1, 5, 7, 7], [5, 1, 5, 5], low: [2, 2], high: [2, 2], groups: 5),
            convolution(dtype, [1, 2, 31, 65], [2, 1, 3, 3], strides: [2, 2], low: [1, 1], high: [1, 1], groups: 2),
            convolution(dtype, [1, 2, 30, 64], [2, 1, 5, 5], strides: [2, 2], low: [1, 2], high: [2, 1], groups: 2),
            convolution(dtype, [1, 2, 23, 50], [2, 1, 2, 4], strides: [3, 3], low: [0, 2], high: [4, 0], groups: 2),
            convolution(dtype, [1, 2, 19, 40], [2, 1, 3, 3], strides: [1, 2], low: [3, 0], high: [0, 5], dilations: [3, 2], groups: 2),
            convolution(dtype, [1, 2, 19, 41], [2, 1, 3, 3], strides: [2, 1], low: [-2, -1], high: [3, -4], dilations: [1, 5], groups: 2),
            convolution(dtype, [1, 2, 9, 33], [2, 1, 2, 2], strides: [3, 5], low: [1, 4], high: [2, 1], groups: 2),
            convolution(dtype, [1, 1, 150, 270], [1, 1, 3, 3], low: [1, 1], high: [1, 1], groups: 1),
            convolution(dtype, [1, 2, 20, 23], [2, 1, 13, 11], low: [6, 5], high: [6, 5], groups: 2),
            convolution(dtype, [1, 2, 8, 90], [2, 1, 1, 63], strides: [1, 2], low: [0, 31], high: [0, 31], groups: 2),
            convolution(dtype, [1, 2, 6, 70], [2, 1, 2, 70], strides: [1, 3], low: [0, 60], high: [0, 60], dilations: [1, 2], groups: 2),
            convolution(dtype, [3, 2, 1031], [2, 1, 4], low: [3], groups: 2),
            convolution(dtype, [1, 3, 5, 6, 19], [3, 1, 3, 2, 3], strides: [1, 2, 1], low: [1, 0, 1], high: [1, 1, 1], groups: 3),
        ]
    }

    private static func channelsAndViews(_ dtype: DType) throws -> [Case] {
        var cases: [Case] = []
        // Several results of an image, several images of a result, and both.
        for (inputs, outputs, groups) in [(3, 9, 3), (8, 4, 4), (6, 9, 3), (4, 34, 2), (1, 1, 1), (6, 1, 1), (1, 3, 1)] {
            cases.append(try convolution(dtype, [2, .constant(inputs), 9, 18], [outputs, inputs / groups, 3, 2], low: [1, 1], high: [1, 0], groups: groups))
        }
        // Computed where they are read.
        for view in InputView.allCases {
            let image: Shape = [2, 4, 11, 21]
            cases.append(try convolution(dtype, image, [4, 1, 3, 3], low: [1, 1], high: [1, 1], groups: 4, [view, .plain]))
            cases.append(try convolution(dtype, image, [4, 1, 3, 3], strides: [2, 2], low: [1, 0], high: [1, 2], groups: 4, [.plain, view]))
        }
        return cases
    }

    @Test(arguments: [DType.f32, .i8]) func windowsOverImagesOfKnownSizes(_ dtype: DType) throws {
        let cases = try Self.fixed(dtype)
        #expect(checkKernels(cases, on: .host) == cases.count)
    }

    @Test(arguments: [DType.f64, .f16, .bf16, .i32]) func channelsAndViewsOfImages(_ dtype: DType) throws {
        let cases = try Self.channelsAndViews(dtype)
        #expect(checkKernels(cases, on: .host) == cases.count)
    }

    @Test func windowsOnGPUs() throws {
        let cases = try Self.channelsAndViews(.f32)
        #expect(checkKernels(cases, on: .grid([.sm80])) == cases.count)
    }

    @Test(arguments: [DType.f32, .bf16]) func windowsOverImagesOfAnySize(_ dtype: DType) throws {
        let image: Shape = ["n", 4, "h", "w"]
        let cases = try [
            Self.convolution(dtype, image, [4, 1, 3, 3], low: [1, 1], high: [1, 1], groups: 4),
            Self.convolution(dtype, image, [4, 1, 3, 3], strides: [2, 2], low: [1, 1], high: [1, 1], groups: 4),
            Self.convolution(dtype, image, [8, 1, 5, 4], strides: [3, 2], low: [2, 3], high: [2, 0], dilations: [1, 2], groups: 4),
            Self.convolution(dtype, image, [6, 2, 2, 3], low: [1, 0], high: [0, 2], groups: 2, [.permuted, .plain]),
            Self.convolution(dtype, ["n", 2, "h", 11], [2, 1, 7, 7], low: [3, 3], high: [3, 3], groups: 2),
            Self.convolution(dtype, ["n", 2, 11, "w"], [2, 1, 3, 2], strides: [3, 3], low: [0, 1], groups: 2, [.plain, .reversed]),
            Self.convolution(dtype, ["n", 2, "w"], [2, 1, 4], low: [3], groups: 2),
        ]
        let sizes = [["n": 2, "h": 5, "w": 5], ["n": 1, "h": 7, "w": 300], ["n": 1, "h": 70, "w": 33], ["n": 0, "h": 9, "w": 6]]
        #expect(checkKernels(cases, symbols: sizes, on: .host) == cases.count * sizes.count)
    }

    /// Elementwise work before, between and after, a sum of the result, and an image that is padded and in another order in memory.
    private static func block(_ dtype: DType, _ n: Dim, _ h: Dim, _ w: Dim) throws -> Graph {
        let b = GraphBuilder("a block")
        func input(_ name: String, _ shape: Dim...) -> Value { b.input(name, TensorType(dtype, shape)) }
        let x = input("x", n, h, w, 6)
        let image = x.permuting([0, 3, 1, 2]).padding(low: [0, 0, 1, 2], high: [0, 0, 0, 1])
        let same = SlidingWindow([3, 3], low: [1, 1], high: [1, 1])
        let deep = (image * 2).convolving(input("deep", 6, 1, 3, 3) + 1, same, bias: input("deep.bias", 6), groups: 6).relu()
        let gate = deep.mean([2, 3], keepDims: true).sigmoid()
        let half = (deep * gate).convolving(input("half", 6, 1, 5, 5), SlidingWindow([5, 5], strides: [2, 2], low: [2, 2], high: [2, 2]), groups: 6)
        let wide = (half.tanh() * half).convolving(input("wide", 12, 1, 3, 3), same, groups: 6)
        return try b.finish([("deep", deep), ("half", half), ("wide", wide.tanh()), ("total", wide.sum(2, 3))])
    }

    @Test(arguments: [DType.f32, .f64]) func blocksOfDepthwiseConvolutions(_ dtype: DType) throws {
        let graph = try Self.block(dtype, "n", "h", "w")
        let symbolic = try Compiled(graph)
        for (h, w) in [(1, 1), (9, 11), (24, 8), (17, 42)] {
            let symbols = ["n": 2, "h": h, "w": w]
            var numbers = SampleNumbers(seed: UInt64(h * w))
            let inputs = try graph.inputTypes.map { try OpSample([$0], domain: -1...1).draw(&numbers, symbols: symbols)[0] }
            let fixed = try Self.block(dtype, 2, .constant(h), .constant(w))
            let expected = try Interpreter.run(fixed, inputs: inputs, symbols: [:])
            let limits = try Perturbation.limits(fixed, inputs, expected)
            for compiled in try [symbolic, Compiled(fixed)] {
                for (number, (got, wanted)) in zip(try compiled.run(inputs), expected).enumerated() {
                    let bound = Bound.absolute(Array(repeating: limits[number], count: wanted.count))
                    if let problem = bound.disagreement(got, wanted) { Issue.record("\(graph.outputs[number].name) of \(h) x \(w): \(problem)\n\(compiled.groups)") }
                }
            }
        }
    }

    /// A sum of a convolution's result leaves it a kernel of its own, which lanes along the image compute.
    @Test func sumsDoNotTakeWindowsIn() throws {
        let b = GraphBuilder("pooled")
        let x = b.input("x", TensorType(.f32, [1, 32, 14, 14])), weights = b.input("w", TensorType(.f32, [32, 1, 3, 3]))
        let pooled = x.convolving(weights, SlidingWindow([3, 3], low: [1, 1], high: [1, 1]), groups: 32).relu().mean([2, 3])
        let compiled = try Compiled(b.finish([("pooled", pooled)]))
        #expect(compiled.program.kernels[0].name.hasSuffix("contraction"))
        #expect(compiled.program.kernels[1].name.hasSuffix("rows"))
    }
}
