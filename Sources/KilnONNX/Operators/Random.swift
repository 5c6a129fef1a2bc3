// Random numbers from a counter and a key: the node's seed, or else its name. Every run of a compiled model draws the same ones.

import KilnIR
import KilnOps

extension Operators {
    static let random: [Operator] = [
        Operator("RandomNormal") { node in try normal(node, node.givenShape, .float) },
        Operator("RandomNormalLike") { node in
            let like = try node.stored(0)
            return try normal(node, like.value.dims, like.element)
        },
        Operator("RandomUniform") { node in try uniform(node, node.givenShape, .float) },
        Operator("RandomUniformLike") { node in
            let like = try node.stored(0)
            return try uniform(node, like.value.dims, like.element)
        },
        Operator("Bernoulli") { node in
            let x = try node.tensor(0), wide = x.inSingle
            return (Value.uniform(key: node.key, x.dims, dtype: wide.dtype) .< wide).cast(to: try node.drawn(ElementType(x.dtype)))
        },
        // The number of classes whose probabilities add up to no more than a uniform number.
        Operator("Multinomial") { node in
            let logarithms = try node.tensor(0).inSingle, batch = logarithms.size(axis: 0), classes = logarithms.size(axis: 1)
            let samples = Dim.constant(node.integer("sample_size", 1))
            let sums = logarithms.softmax(1).cumsum(1).unsqueezed(1)
            let draws = Value.uniform(key: node.key, [batch, samples, 1], dtype: logarithms.dtype)
            let below = (sums .<= draws).sum(2)
            return below.minimum(node.size(classes - 1)).cast(to: try node.drawn(.int32))
        },
    ]

    private static func normal(_ node: NodeContext, _ shape: Shape, _ element: ElementType) throws -> Value {
        .normal(key: node.key, shape, dtype: try node.drawn(element), mean: node.real("mean", 0), deviation: node.real("scale", 1))
    }

    private static func uniform(_ node: NodeContext, _ shape: Shape, _ element: ElementType) throws -> Value {
        .uniform(key: node.key, shape, dtype: try node.drawn(element), low: node.real("low", 0), high: node.real("high", 1))
    }
}

extension NodeContext {
    fileprivate var givenShape: Shape { (integers("shape") ?? []).map { .constant($0) } }

    /// The dtype that the node asks for.
    fileprivate func drawn(_ otherwise: ElementType) throws -> DType {
        let element = try element("dtype") ?? otherwise
        guard element.isNative, let dtype = element.dtype else { throw Unsupported(reason: "random numbers of type \(element)") }
        return dtype
    }

    /// The key of the node's stream: the bits of its seed, or its name's hash (G. Fowler, L. C. Noll and K.-P. Vo, FNV-1a).
    var key: Value {
        let seed = real("seed")?.bitPattern ?? integer("seed").map { UInt64(bitPattern: Int64($0)) }
            ?? name.utf8.reduce(0xcbf2_9ce4_8422_2325) { ($0 ^ UInt64($1)) &* 0x100_0000_01b3 }
        return literal(Literal(.u32, [2], scalars: [.unsigned(seed & 0xFFFF_FFFF), .unsigned(seed >> 32)]))
    }
}
