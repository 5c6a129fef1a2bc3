// Weights of contractions: where an operand is a constant, its panels are laid out before the first call, and the results are to the bit
// those of the same contraction of an input.

import KilnCompiler
import KilnIR
import KilnKernels
import KilnLLVM
import KilnOps
import Testing

@Suite struct PackedConstantTests {
    struct Sample: Sendable, CustomTestStringConvertible {
        let testDescription: String
        let shape: [Int]
        let weight: [Int]
        /// The type of the input, whose sizes may be symbols.
        var type: Shape?
        /// Whether columns are so few that the weight's rows lie in vectors (of 16 numbers).
        var isTransposed = false
        let apply: @Sendable (Value, Value) -> Value
    }

    static let samples = [
        Sample(testDescription: "rows of any number", shape: [3, 70], weight: [70, 100], type: ["n", 70]) { $0.matmul($1) },
        Sample(testDescription: "one row of any number", shape: [1, 70], weight: [100, 70], type: ["n", 70]) { $0.linear($1) },
        Sample(testDescription: "wide", shape: [33, 64], weight: [64, 96]) { $0.matmul($1) * 2 + 1 },
        Sample(testDescription: "transposed", shape: [20, 65], weight: [90, 65]) { $0.matmul($1.t()) },
        Sample(testDescription: "part", shape: [20, 33], weight: [70, 80]) { $0.matmul($1.slice(axis: 0, from: 5, to: 38).slice(axis: 1, from: 8, to: 72)) },
        Sample(testDescription: "cut along the sum", shape: [16, 3000], weight: [3000, 40]) { $0.matmul($1) },
        Sample(testDescription: "cut along the sum, on the left", shape: [3000, 40], weight: [16, 3000]) { $1.matmul($0) },
        Sample(testDescription: "batch of its own", shape: [4, 9, 30], weight: [4, 30, 50]) { $0.matmul($1) },
        Sample(testDescription: "batch of heads", shape: [2, 4, 9, 30], weight: [4, 30, 50]) { $0.matmul($1) },
        Sample(testDescription: "heads", shape: [5, 11, 48], weight: [48, 3, 20]) { $0.einsum("bse,ehd->bhsd", $1) },
        Sample(testDescription: "convolution", shape: [2, 5, 17, 19], weight: [24, 5, 3, 3]) { $0.conv2d($1, padding: 1) },
        Sample(testDescription: "pointwise convolution", shape: [1, 40, 9, 9], weight: [64, 40, 1, 1]) { $0.conv2d($1) },
        Sample(testDescription: "deep convolution", shape: [1, 256, 7, 7], weight: [32, 256, 3, 3], isTransposed: true) { $0.conv2d($1, padding: 1) },
        Sample(testDescription: "small image", shape: [1, 48, 14, 14], weight: [96, 48, 3, 3], isTransposed: true) { $0.conv2d($1, padding: 1) * 2 + 1 },
        Sample(testDescription: "smaller image", shape: [1, 160, 7, 7], weight: [92, 160, 1, 1], isTransposed: true) { $0.conv2d($1).relu() },
        Sample(testDescription: "steps", shape: [2, 40, 13, 13], weight: [64, 40, 3, 3], isTransposed: true) { $0.conv2d($1, stride: 2, padding: 1) },
        Sample(testDescription: "few columns", shape: [320, 7], weight: [70, 320], isTransposed: true) { $1.matmul($0) },
        Sample(testDescription: "convolution of any batch", shape: [3, 5, 12, 12], weight: [24, 5, 3, 3], type: ["n", 5, 12, 12]) { $0.conv2d($1) },
    ]

    private static func values(_ dtype: DType, _ shape: [Int], _ seed: Int) -> Literal {
        Literal(dtype, shape, doubles: (0..<shape.reduce(1, *)).map { Double(($0 * 7919 + seed) % 61 - 30) / (dtype.isFloat ? 16 : 1) })
    }

    private static func graph(_ sample: Sample, _ dtype: DType, _ weight: (GraphBuilder) -> Value) throws -> Graph {
        let builder = GraphBuilder("product")
        let x = builder.input("x", TensorType(dtype, sample.type ?? sample.shape.map { .constant($0) }))
        return try builder.finish([("y", sample.apply(x, weight(builder)))])
    }

    @Test(arguments: samples, [DType.f32, .f64, .i32]) func packsBeforeTheCall(sample: Sample, dtype: DType) throws {
        let weight = Self.values(dtype, sample.weight, 3), x = Self.values(dtype, sample.shape, 1)
        let shared = Literal(dtype, weight.shape, region: ByteRegion(copying: [7] + weight.bytes), offset: 1)
        let constant = try Compiled(Self.graph(sample, dtype) { $0.literal(shared) })
        let input = try Compiled(Self.graph(sample, dtype) { $0.input("w", weight.type) })
        let packed = constant.program.buffers.count { if case .packed = $0.storage { true } else { false } }
        #expect(packed == 1, "\(constant.program)")
        if sample.isTransposed {
            if dtype != .f64, Compiled.options.target.vectorBytes == 64 { #expect("\(constant.program)".contains("transpose")) }
        } else {
            #expect(constant.program.kernels.reduce(0) { $0 + $1.launches.count } <= input.program.kernels.reduce(0) { $0 + $1.launches.count })
        }
        let (a, b) = (try constant.run([x]), try input.run([x, weight]))
        #expect(a[0].bytes == b[0].bytes)
        #expect(try Program.parse("\(constant.program)") == constant.program)
    }

    /// Registers are fewer and shorter there.
    @Test(arguments: samples.filter(\.isTransposed), ["x86-64", "x86-64-v3"]) func servesOtherProcessors(sample: Sample, level: String) throws {
        let weight = Self.values(.f32, sample.weight, 3), x = Self.values(.f32, sample.shape, 1)
        let graph = try Self.graph(sample, .f32) { $0.literal(weight) }
        let older = try Compiled(graph, for: #require(HostTarget.named(level)))
        #expect(try older.run([x])[0].bytes == Compiled(graph).run([x])[0].bytes)
    }

    /// Two layers with one weight lay it out once, and the weight itself is not kept where only its panels are read.
    @Test func keepsOneOfEach() throws {
        let builder = GraphBuilder("tied")
        let x = builder.input("x", TensorType(.f32, ["n", 64]))
        let w = builder.literal(Self.values(.f32, [64, 64], 5))
        let artifact = try Pipeline.compile(builder.finish([("y", x.matmul(w).relu().matmul(w))]), options: Compiled.options)
        #expect(artifact.code.constants.byteCounts == [64 * 64 * 4])
    }
}
