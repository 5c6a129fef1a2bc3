// Graphs that grow: each workload of `compile_growth` by name, with its sizes from the smallest to the largest.
// A size comes in; the graph of that size goes out.

import KilnIR
import KilnOps

/// A kind of graph that is compiled at several sizes.
struct GrowingGraph: Sendable {
    let name: String
    /// From the smallest to the largest.
    let sizes: [Int]
    /// Adds the operations of the given size, and gives the outputs.
    let build: @Sendable (GraphBuilder, Int) -> [Value]

    init(_ name: String, _ sizes: [Int], _ build: @escaping @Sendable (GraphBuilder, Int) -> [Value]) {
        self.name = name
        self.sizes = sizes
        self.build = build
    }

    func graph(size: Int) throws -> Graph {
        let builder = GraphBuilder(name)
        let outputs = build(builder, size)
        return try builder.finish(outputs.enumerated().map { ("y\($0.offset)", $0.element) })
    }

    static func named(_ name: String) -> GrowingGraph? { all.first { $0.name == name } }

    static let all: [GrowingGraph] = [
        GrowingGraph("mixed", [1_000, 10_000, 100_000]) { builder, operations in
            var x = builder.input("x", TensorType(.f32, [64, 64]))
            for layer in 0..<operations / 33 { x = mixed(builder, x, layer) }
            return [x]
        },
        GrowingGraph("layers_equal", [1_000, 3_000, 10_000]) { builder, layers in
            var x = builder.input("x", TensorType(.f32, [4, 32]))
            for layer in 0..<layers { x = linear(builder, x, width: 32, "\(layer)").relu() }
            return [x]
        },
        GrowingGraph("layers_different", [1_000, 10_000]) { builder, layers in
            // Widths that no other layer has in this order: each 509 layers take steps of their own.
            var x = builder.input("x", TensorType(.f32, [4, 8]))
            for layer in 0..<layers { x = linear(builder, x, width: 8 + layer % 509 * (37 + layer / 509) % 509, "\(layer)").relu() }
            return [x]
        },
        GrowingGraph("uses", [500, 5_000]) { builder, uses in
            let x = builder.input("x", TensorType(.f32, [256]))
            return [(1...uses).reduce(x) { $0 + x * Double($1) }]
        },
        GrowingGraph("uses_apart", [500, 5_000]) { builder, uses in
            // Each use a kernel of its own.
            let x = builder.input("x", TensorType(.f32, [64, 16])).exp()
            let sums = (1...uses).map { (x * Double($0)).sum(0) }
            return [Value.stack(Array(sums.prefix(8))), sums.reduce(sums[0]) { $0 + $1 }]
        },
        GrowingGraph("outputs", [500, 5_000]) { builder, outputs in
            let x = builder.input("x", TensorType(.f32, [256]))
            return (1...outputs).map { (x * Double($0)).exp() }
        },
        GrowingGraph("outputs_different", [500, 5_000]) { builder, outputs in
            let x = builder.input("x", TensorType(.f32, [8_192]))
            return (1...outputs).map { (x.slice(axis: 0, to: 1 + $0) * Double($0)).exp() }
        },
        GrowingGraph("softmaxes", [30, 300]) { builder, count in
            (0..<count).reduce(into: [builder.input("x", TensorType(.f32, ["n", 64]))]) { x, _ in x = [x[0].softmax(1)] }
        },
        GrowingGraph("rolls", [10, 40]) { builder, count in
            var x = builder.input("x", TensorType(.f32, [64]))
            for step in 0..<count { x = roll(x, by: 29 + step % 5) }
            return [x]
        },
        GrowingGraph("flips", [4, 13]) { builder, levels in
            var x = builder.input("x", TensorType(.f32, ["n"]))
            for level in 0..<levels {
                let length = x.dims[0], doubled = Value.concatenate([x, x.flip(0)])
                x = level % 2 == 0 ? doubled.narrow(0, start: 1, length: length) : doubled
            }
            return [x]
        },
        GrowingGraph("appends", [64, 512]) { builder, count in
            var cache = builder.input("cache", TensorType(.f32, [16, 8]))
            for step in 0..<count { cache = Value.concatenate([cache, builder.input("x\(step)", TensorType(.f32, [1, 8]))]) }
            return [cache]
        },
        GrowingGraph("appends_read", [64, 512]) { builder, count in
            // Each state of the cache is read.
            var cache = builder.input("cache", TensorType(.f32, [16, 8]))
            var sums: [Value] = []
            for step in 0..<count {
                cache = Value.concatenate([cache, builder.input("x\(step)", TensorType(.f32, [1, 8])).exp()])
                sums.append(cache.sum(0))
            }
            return [Value.stack(sums)]
        },
        GrowingGraph("concatenated", [11, 91]) { builder, count in
            let x = builder.input("x", TensorType(.f32, [4, 64]))
            return [Value.concatenate((0..<count).map { (x * Double($0 + 1)).softmax(1).sqrt() }, axis: 1)]
        },
        GrowingGraph("activations", [100, 1_000, 10_000, 100_000]) { builder, count in
            let x = builder.input("x", TensorType(.f32, [1_024]))
            return [(0..<count).reduce(x) { x, step in step % 4 == 0 ? x.tanh() : step % 4 == 1 ? x.sigmoid() : step % 4 == 2 ? x.relu() : x.gelu() }]
        },
        GrowingGraph("additions", [100, 1_000, 10_000, 100_000]) { builder, count in
            let x = builder.input("x", TensorType(.f32, ["n"]))
            return [(0..<count).reduce(x) { $0 + Double($1 + 1) }]
        },
        GrowingGraph("diamonds", [10, 100]) { builder, count in
            // Each value is read twice, each time in another order.
            let x = builder.input("x", TensorType(.f32, [32, 32]))
            return [(0..<count).reduce(x) { x, _ in (x + x.t()) * 0.5 }]
        },
        GrowingGraph("transformer", [12, 24]) { builder, layers in
            // BERT-base without its embedding: layers that are equal, each with weights of its own.
            let x = builder.input("x", TensorType(.f32, [128, 768]))
            return [(0..<layers).reduce(x) { encoder(builder, $0, "\($1)") }]
        },
        GrowingGraph("pools", [1, 3]) { builder, count in
            let x = builder.input("x", TensorType(.f32, [1, 16, 40, 40]))
            return [(0..<count).reduce(x) { x, _ in x.maxPool2d(5, stride: 1, padding: 2) }]
        },
    ]

    /// x · w + b, with parameters of its own.
    private static func linear(_ builder: GraphBuilder, _ x: Value, width: Int, _ name: String) -> Value {
        let w = builder.input("w\(name)", TensorType(x.dtype, [x.dims[1], .constant(width)]))
        return x.matmul(w) + builder.input("b\(name)", TensorType(x.dtype, [.constant(width)]))
    }

    private static func encoder(_ builder: GraphBuilder, _ x: Value, _ name: String) -> Value {
        func heads(_ part: String) -> Value { linear(builder, x, width: 768, part + name).reshape(128, 12, 64).permute(1, 0, 2) }
        let scores = heads("q").matmul(heads("k").transpose(1, 2)) * 0.125
        let attended = scores.softmax(2).matmul(heads("v")).permute(1, 0, 2).reshape(128, 768)
        let y = normalized(builder, x + linear(builder, attended, width: 768, "o\(name)"), "a\(name)")
        return normalized(builder, y + linear(builder, linear(builder, y, width: 3_072, "u\(name)").gelu(), width: 768, "d\(name)"), "m\(name)")
    }

    private static func normalized(_ builder: GraphBuilder, _ x: Value, _ name: String) -> Value {
        let centred = x - x.mean(1, keepDims: true)
        let type = TensorType(.f32, [x.dims[1]])
        let normal = centred * (centred.square().mean(1, keepDims: true) + 1e-12).rsqrt()
        return normal * builder.input("scale_\(name)", type) + builder.input("shift_\(name)", type)
    }

    private static func roll(_ x: Value, by count: Int) -> Value {
        Value.concatenate([x.slice(axis: 0, from: -count), x.slice(axis: 0, to: -count)])
    }

    /// 33 operations: normalization, a product, an activation, a softmax, views, and what is added to the way around.
    private static func mixed(_ builder: GraphBuilder, _ x: Value, _ layer: Int) -> Value {
        let mean = x.mean(1, keepDims: true)
        let centred = x - mean
        let normal = centred * (centred.square().mean(1, keepDims: true) + 1e-5).rsqrt()
        let product = linear(builder, normal, width: 64, "\(layer)").sigmoid()
        let weights = product.t().softmax(1)
        let halves = Value.concatenate([weights.slice(axis: 1, from: 32), weights.slice(axis: 1, to: 32)], axis: 1)
        return x + halves * product
    }
}
