// Pools over windows and over whole images, and the reverse of the greatest ones.

import KilnIR
import KilnOps

extension Operators {
    static let pooling: [Operator] = [
        Operator("MaxPool", items: { node in
            let (x, window) = try pool(node)
            let roundsUp = node.flag("ceil_mode")
            guard node.wants(1) else { return [.tensor(x.maxPooling(window, roundsUp: roundsUp))] }
            let (values, positions) = x.maxPoolingPositions(window, roundsUp: roundsUp, countsByColumns: node.flag("storage_order"))
            return [.tensor(values), .tensor(positions)]
        }),
        Operator("AveragePool") { node in
            let (x, window) = try pool(node)
            return x.averagePooling(window, roundsUp: node.flag("ceil_mode"), countsPadding: node.flag("count_include_pad"))
        },
        Operator("LpPool") { node in
            let (x, window) = try pool(node)
            return x.normPooling(window, p: try norm(node), roundsUp: node.flag("ceil_mode"))
        },
        Operator("GlobalAveragePool") { node in
            let x = try node.tensor(0)
            return x.mean(x.spatialAxes, keepDims: true)
        },
        Operator("GlobalMaxPool") { node in
            let x = try node.tensor(0)
            return x.reducing(Structural.reduceMax, x.spatialAxes).reshape(Array(x.dims.prefix(2)) + x.spatialAxes.map { _ in 1 })
        },
        Operator("GlobalLpPool") { node in
            let x = computing(try node.tensor(0)), p = try norm(node)
            let powers = p == 1 ? x.abs() : p == 2 ? x.square() : x.abs().pow(Double(p))
            let total = powers.sum(x.spatialAxes, keepDims: true)
            return (p == 1 ? total : p == 2 ? total.sqrt() : total.pow(1 / Double(p))).cast(to: try node.tensor(0).dtype)
        },
        // The indices count the elements of the pooled image; a larger `output_shape` has it in its first corner.
        Operator("MaxUnpool") { node in
            let x = try node.tensor(0), window = try node.unpaddedWindow(try node.kernelShape())
            guard x.rank == 2 + window.sizes.count else { throw node.mistake("has windows of \(window.sizes.count) axes for an image of \(x.rank)") }
            let spatial = window.sizes.indices.map { axis in
                (x.size(axis: 2 + axis) - 1) * .constant(window.strides[axis]) + window.spans[axis] - window.low[axis] - window.high[axis]
            }
            let shape = Array(x.dims.prefix(2)) + spatial
            let count = x.type.elementCount
            let zeros = node.full(0, TensorType(x.dtype, [shape.reduce(1, *)]))
            let flat = zeros.put(try node.tensor(1).reshape([count]), x.reshape([count]), axis: 0).reshape(shape)
            guard node.has(2) else { return flat }
            let whole = try node.sizes(2, "the output's shape")
            guard whole.count == shape.count else { throw node.mistake("has an output_shape of \(whole.count) axes for \(shape.count)") }
            return flat.padding(low: shape.map { _ in 0 }, high: zip(whole, shape).map { $0 - $1 })
        },
    ]

    private static func pool(_ node: NodeContext) throws -> (Value, SlidingWindow) {
        let x = try node.tensor(0)
        guard x.rank >= 3 else { throw node.mistake("pools an image of \(x.rank) axes") }
        return (x, try node.window(try node.kernelShape(), over: Array(x.dims.dropFirst(2))))
    }

    /// The attribute `p`, a float in the first version.
    private static func norm(_ node: NodeContext) throws -> Int {
        let p = node.integer("p").map { Double($0) } ?? node.real("p", 2)
        guard let whole = Int(exactly: p), whole >= 1 else { throw node.mistake("has the norm \(p), which is no whole number of at least 1") }
        return whole
    }
}

extension Value {
    /// The axes behind the batch's and the channels'.
    var spatialAxes: [Int] { Array(2..<Swift.max(rank, 2)) }

    /// With so many axes of size 1 behind its own; none where the number is negative.
    func appendingAxes(_ count: Int) -> Value { reshape(dims + [Dim](repeating: 1, count: Swift.max(count, 0))) }
}
