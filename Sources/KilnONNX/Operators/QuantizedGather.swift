// Rows of a table of small integers, as models with quantized embeddings look them up: scales and zero points come by blocks along an
// axis, and only the rows that are asked for become floats.

import KilnIR
import KilnOps

extension Operators {
    static let quantizedGathers: [Operator] = [
        Operator("GatherBlockQuantized", .microsoft) { node in
            let stored = try node.stored(0), scales = try node.tensor(2)
            let indices = try node.tensor(1).cast(to: .i64), zeroPoints = try node.storedIfPresent(3)
            guard [.uint4, .int4, .uint8].contains(stored.element) else { throw node.mistake("takes integers of 4 or 8 bits") }
            let bits = stored.element == .uint8 ? node.integer("bits", 4) : 4, block = node.integer("block_size", 128)
            guard [4, 8].contains(bits), block > 0 else { throw node.mistake("has blocks of \(block) integers of \(bits) bits") }
            let rank = stored.value.rank
            let gathered = try node.axis(node.integer("gather_axis", 0), rank: rank), axis = try node.axis(node.integer("quantize_axis", 1), rank: rank)
            guard gathered != axis, rank == scales.rank else { throw node.mistake("gathers along the axis that has the blocks") }
            let isPacked = stored.element == .uint8 && bits == 4
            if isPacked, gathered == rank - 1 { throw node.mistake("gathers along the axis that has two integers in a byte") }
            let places = node.checked(indices, into: stored.value, axis: gathered)
            /// The rows that are asked for, as integers of the scales' dtype.
            func rows(_ x: Value) -> Value {
                let found = x.take(places, axis: gathered)
                return (isPacked ? found.nibbles() : found).cast(to: scales.dtype)
            }
            let data = rows(stored.value)
            // The axis of the blocks, among those of the result.
            let place = axis > gathered ? axis + indices.rank - 1 : axis
            func spread(_ x: Value) throws -> Value { try node.laid(x, along: data, axis: place, block: block) }
            let middle = stored.element == .uint8 ? Double(1 << (bits - 1)) : 0
            let factors = try spread(scales.take(places, axis: gathered))
            guard let zeroPoints else { return (data - middle) * factors }
            // Bytes hold one more integer than there are blocks where their number is odd.
            let zeros = rows(zeroPoints.value).narrow(place, start: 0, length: scales.size(axis: axis))
            return (data - (try spread(zeros))) * factors
        },
    ]
}

extension Value {
    /// The two integers of 4 bits in each byte along the last axis, the low one first.
    fileprivate func nibbles() -> Value {
        let pairs = Value.stack([self & Scalar.integer(15), self >> Scalar.integer(4)], axis: rank)
        return pairs.reshaping(to: Array(dims.dropLast()) + [size(axis: -1) * 2])
    }
}
