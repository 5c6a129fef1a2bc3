// That loops are no longer, for each operation of a graph, where the graph is longer; and that no chain is too long for a small stack.

import Foundation
import KilnCompiler
import KilnIR
import KilnKernels
import KilnOps
import Testing

struct CodeGrowthTests {
    struct Growing: Sendable, CustomTestStringConvertible {
        var name: String
        var sizes: (few: Int, many: Int)
        var body: @Sendable (GraphBuilder, Int) -> Value
        var testDescription: String { name }
        init(_ name: String, _ few: Int, _ many: Int, _ body: @escaping @Sendable (GraphBuilder, Int) -> Value) {
            (self.name, self.sizes, self.body) = (name, (few, many), body)
        }
    }

    static let growing = [
        Growing("activations", 40, 160) { builder, count in
            (0..<count).reduce(builder.input("x", TensorType(.f32, [1_024]))) { x, step in step % 2 == 0 ? x.tanh() : x.gelu() }
        },
        Growing("softmaxes", 10, 40) { builder, count in (0..<count).reduce(builder.input("x", TensorType(.f32, ["n", 64]))) { x, _ in x.softmax(1) } },
        Growing("rolls", 10, 40) { builder, count in
            (0..<count).reduce(builder.input("x", TensorType(.f32, [64]))) { x, step in
                Value.concatenate([x.slice(axis: 0, from: -29 - step % 5), x.slice(axis: 0, to: -29 - step % 5)])
            }
        },
        Growing("doubled", 4, 13) { builder, count in
            (0..<count).reduce(builder.input("x", TensorType(.f32, ["n"]))) { x, _ in
                Value.concatenate([x, x.flip(0)]).narrow(0, start: 1, length: x.dims[0])
            }
        },
        Growing("appends", 32, 128) { builder, count in
            (0..<count).reduce(builder.input("cache", TensorType(.f32, [16, 8]))) { cache, step in
                Value.concatenate([cache, builder.input("x\(step)", TensorType(.f32, [1, 8]))])
            }
        },
        Growing("concatenated", 11, 44) { builder, count in
            let x = builder.input("x", TensorType(.f32, [4, 64]))
            return Value.concatenate((0..<count).map { (x * Double($0 + 1)).softmax(1).sqrt() }, axis: 1)
        },
        Growing("pools", 1, 3) { builder, count in
            (0..<count).reduce(builder.input("x", TensorType(.f32, [1, 4, 16, 16]))) { x, _ in x.maxPool2d(5, stride: 1, padding: 2) }
        },
    ]

    private static func loops(_ growing: Growing, _ size: Int) throws -> Program {
        let builder = GraphBuilder("growing"), options = Options()
        let graph = try builder.finish([("y", growing.body(builder, size))])
        let groups = try Pipeline.fuse(Pipeline.simplify(graph, options), options)
        return try Pipeline.lower(groups, checks: SizeChecks(of: graph, in: groups), options)
    }

    @Test(arguments: growing) func loopsGrowNoFasterThanGraphs(_ growing: Growing) throws {
        func perOperation(_ size: Int) throws -> Double { Double(try Self.loops(growing, size).description.utf8.count) / Double(size) }
        let (few, many) = (try perOperation(growing.sizes.few), try perOperation(growing.sizes.many))
        #expect(many <= 1.5 * few, "\(growing.name): \(few) bytes for each of \(growing.sizes.few), \(many) for each of \(growing.sizes.many)")
    }

    /// Compiled as far as loops on a thread whose stack is a quarter of what unoptimised code needs for as many nested calls.
    @Test(arguments: [
        Growing("additions", 0, 20_000) { builder, count in (0..<count).reduce(builder.input("x", TensorType(.f32, ["n"]))) { $0 + Double($1 + 1) } },
        Growing("turned", 0, 2_000) { builder, count in (0..<count).reduce(builder.input("x", TensorType(.f32, [8, 8]))) { x, _ in x.t() + 1.0 } },
        Growing("views", 0, 2_000) { builder, count in
            (0..<count).reduce(builder.input("x", TensorType(.f32, [4, 6]))) { x, _ in x.t().reshape([4, 6]) }
        },
    ]) func chainsNeedNoDeepStack(_ growing: Growing) async throws {
        let kernels: Int = try await withCheckedThrowingContinuation { continuation in
            let thread = Thread { continuation.resume(with: Result { try Self.loops(growing, growing.sizes.many).kernels.count }) }
            thread.stackSize = 512 << 10
            thread.start()
        }
        #expect(kernels > 1)
    }
}
