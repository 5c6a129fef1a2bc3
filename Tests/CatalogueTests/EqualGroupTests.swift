// That groups of one shape, which are lowered once, become the loops that each would become alone: programs with equal layers are lowered both ways.

import KilnCompiler
import KilnIR
import KilnKernels
import KilnLLVM
import KilnOps
import KilnPasses
import Testing

struct EqualGroupTests {
    private static let targets = ["x86-64-v3", "x86-64-v4"]

    private static func layer(_ x: Value, _ weight: Value, _ bias: Value) -> Value { ((x.matmul(weight) + bias).gelu() + x).softmax(1) }

    /// Lowers a graph with and without what is kept of groups.
    private static func compare(_ graph: Graph, _ target: String) throws -> Program {
        let options = Options(target: try #require(HostTarget.named(target)), verifies: true)
        let groups = try Pipeline.fuse(Pipeline.simplify(graph, options), options), checks = try SizeChecks(of: graph, in: groups)
        let program = try ProgramWriter.lower(groups, checks: checks, target: options.target)
        try program.verify()
        #expect(try program == ProgramWriter.lower(groups, checks: checks, target: options.target, sharesLoops: false))
        return program
    }

    @Test(arguments: targets) func layersWithWeightsOfTheirOwn(_ target: String) throws {
        let b = GraphBuilder("own")
        var x = b.input("x", TensorType(.f32, ["n", 40]))
        for number in 0..<6 {
            x = Self.layer(x, b.input("w\(number)", TensorType(.f32, [40, 40])), b.input("b\(number)", TensorType(.f32, [40])))
        }
        #expect(try Self.compare(b.finish([("y", x)]), target).kernels.count >= 6)
    }

    @Test(arguments: targets) func layersOfWhichSomeShareWeights(_ target: String) throws {
        // Panels of a weight with several readers are packed by a kernel of their own, once.
        let b = GraphBuilder("shared")
        var x = b.input("x", TensorType(.f32, [64, 40]))
        let weights = (0..<3).map { b.input("w\($0)", TensorType(.f32, [40, 40])) }
        let bias = b.input("b", TensorType(.f32, [40]))
        for number in [0, 1, 2, 0, 0, 1] { x = Self.layer(x, weights[number], bias) }
        #expect(try Self.compare(b.finish([("y", x)]), target).kernels.contains { $0.name.hasSuffix("_pack") })
    }

    @Test(arguments: targets) func layersWithConstants(_ target: String) throws {
        let b = GraphBuilder("constants")
        var x = b.input("x", TensorType(.f32, [64, 40]))
        for number in 0..<4 {
            // Two layers have one weight, so that the program packs it once.
            let elements = (0..<1_600).map { Double(($0 + number / 2) % 7) * 0.1 }
            x = Self.layer(x, b.literal(Literal(.f32, [40, 40], doubles: elements)), b.literal(Literal(.f32, [40], doubles: Array(elements.prefix(40)))))
        }
        #expect(try Self.compare(b.finish([("y", x)]), target).buffers.contains { if case .packed = $0.storage { true } else { false } })
    }

    @Test(arguments: targets) func layersInsideAndOutsideOfLoops(_ target: String) throws {
        let b = GraphBuilder("loops")
        let x = b.input("x", TensorType(.f32, [64, 40])), w = b.input("w", TensorType(.f32, [40, 40])), v = b.input("v", TensorType(.f32, [40, 40]))
        let bias = b.input("b", TensorType(.f32, [40])), rounds = b.input("rounds", TensorType(.i64, []))
        let first = Self.layer(Self.layer(x, w, bias), v, bias)
        let operands = [b.full(0, TensorType(.i64, [])), first, rounds, w, bias]
        let types = operands.map(\.type)
        let test = b.region("test", types) { [$0[0] .< $0[2]] }
        let round = b.region("round", types) { [$0[0] + 1, Self.layer(Self.layer($0[1], $0[3], $0[4]), $0[3], $0[4])] }
        let results = b.append(Catalogue.op(named: "while")!, operands, ["carried": .int(2)], regions: [test, round])
        #expect(try Self.compare(b.finish([("y", Self.layer(results[1], v, bias)), ("z", first.exp().sum(0))]), target).kernels.count > 4)
    }

    @Test(arguments: targets) func convolutionsAndAttention(_ target: String) throws {
        let b = GraphBuilder("mixed")
        var image = b.input("image", TensorType(.f32, [1, 8, 12, 12])), x = b.input("x", TensorType(.f32, [2, 32, 16]))
        for number in 0..<3 {
            let weight = b.input("k\(number)", TensorType(.f32, [8, 8, 3, 3]))
            image = image.conv2d(weight, padding: 1).relu().maxPool2d(3, stride: 1, padding: 1)
            let keys = b.input("keys\(number)", TensorType(.f32, [2, 32, 16]))
            x = (x.matmul(keys.transpose(1, 2)) * 0.25).softmax(2).matmul(keys)
        }
        #expect(try Self.compare(b.finish([("image", image), ("x", x)]), target).kernels.count > 4)
    }
}
