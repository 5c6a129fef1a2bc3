// Operators that say what shape a tensor has, or give its elements another shape: they move elements of any type as they are.

import KilnIR
import KilnOps

extension Operators {
    static let shapes: [Operator] = [
        Operator("Shape") { node in
            let dims = try node.stored(0).value.dims
            func position(_ name: String, _ otherwise: Int) -> Int {
                let place = node.integer(name, otherwise)
                return min(max(place < 0 ? place + dims.count : place, 0), dims.count)
            }
            let (start, end) = (position("start", 0), position("end", dims.count))
            return node.sizes(start < end ? Array(dims[start..<end]) : [])
        },
        Operator("Size") { node in node.sizes([try node.stored(0).value.type.elementCount]).reshaping(to: []) },
        Operator("Reshape", moving: { node, x in
            let target: [Dim] = if node.version < 5 { (node.integers("shape") ?? []).map { .constant($0) } } else { try node.sizes(1, "the new shape") }
            var shape = try target.enumerated().map { place, size -> Dim in
                guard size == 0, !node.flag("allowzero") else { return size }
                guard place < x.rank else { throw node.mistake("keeps the size of axis \(place), and there are only \(x.rank)") }
                return x.size(axis: place)
            }
            guard let open = shape.firstIndex(of: -1) else { return x.reshaping(to: shape) }
            shape[open] = 1
            let rest = shape.reduce(1, *)
            // Nothing tells what an open size beside a size of zero is.
            shape[open] = rest == 0 ? 0 : x.type.elementCount / rest
            return x.reshaping(to: shape)
        }),
        Operator("Flatten", moving: { node, x in
            let axis = try node.axis(node.integer("axis", 1), upTo: x.rank)
            return x.reshaping(to: [x.dims.prefix(axis).reduce(1, *), x.dims.dropFirst(axis).reduce(1, *)])
        }),
        Operator("Squeeze", moving: { node, x in
            guard let named = try node.integers(input: 1, orAttribute: "axes", "which axes go") else {
                return x.reshaping(to: x.dims.filter { $0 != 1 })
            }
            let axes = try Set(named.map { try node.axis($0, rank: x.rank) })
            return x.reshaping(to: x.dims.indices.filter { !axes.contains($0) }.map { x.size(axis: $0) })
        }),
        Operator("Unsqueeze", moving: { node, x in
            guard let named = try node.integers(input: 1, orAttribute: "axes", "where axes are added") else { throw node.mistake("has no axes") }
            let rank = x.rank + named.count
            let axes = try Set(named.map { try node.axis($0, rank: rank) })
            guard axes.count == named.count else { throw node.mistake("names an axis twice: \(named)") }
            var old = x.dims.makeIterator()
            return x.reshaping(to: (0..<rank).map { axes.contains($0) ? 1 : old.next()! })
        }),
        Operator("Transpose", moving: { node, x in x.permuting(node.integers("perm") ?? Array((0..<x.rank).reversed())) }),
        Operator("Expand", moving: { node, x in
            let wanted = try node.sizes(1, "the new shape")
            let rank = max(x.rank, wanted.count)
            let own = Array(repeating: Dim.constant(1), count: rank - x.rank) + x.dims
            let target = Array(repeating: Dim.constant(1), count: rank - wanted.count) + wanted
            // Where either may be 1 in a run, the size that can't be is the result's.
            let shape = zip(own, target).map { size, wanted in size == 1 || size.constant == nil && wanted != 1 ? wanted : size }
            return x.broadcasting(to: shape, axes: Array(rank - x.rank..<rank))
        }),
        Operator("Tile", moving: { node, x in
            var counts: [Dim]
            if node.version >= 6 { counts = try node.sizes(1, "how often each axis is repeated") } else {
                counts = x.dims.map { _ in 1 }
                guard let axis = try node.integers(2, "the axis").first, let count = try node.sizes(1, "how often the axis is repeated").first else {
                    throw node.mistake("does not say which axis is repeated how often")
                }
                counts[try node.axis(axis, rank: x.rank)] = count
            }
            guard counts.count == x.rank else { throw node.mistake("repeats \(counts.count) axes of \(x.rank)") }
            return x.repeated(counts)
        }),
        Operator("DepthToSpace", moving: { node, x in
            let (block, dims) = try node.blocks(x)
            let depth = dims[1] / (block * block), isColumnFirst = node.text("mode", "DCR") == "CRD"
            return x.reshaping(to: isColumnFirst ? [dims[0], depth, block, block, dims[2], dims[3]] : [dims[0], block, block, depth, dims[2], dims[3]])
                .permuting(isColumnFirst ? [0, 1, 4, 2, 5, 3] : [0, 3, 4, 1, 5, 2])
                .reshaping(to: [dims[0], depth, dims[2] * block, dims[3] * block])
        }),
        Operator("SpaceToDepth", moving: { node, x in
            let (block, dims) = try node.blocks(x)
            return x.reshaping(to: [dims[0], dims[1], dims[2] / block, block, dims[3] / block, block])
                .permuting(node.text("mode", "DCR") == "CRD" ? [0, 1, 3, 5, 2, 4] : [0, 3, 5, 1, 2, 4])
                .reshaping(to: [dims[0], dims[1] * block * block, dims[2] / block, dims[3] / block])
        }),
    ]
}

extension Operator {
    /// An operator that moves its first input's elements as they are, whatever their type.
    init(_ name: String, _ domain: Domain = .onnx, moving move: @escaping @Sendable (NodeContext, Value) throws -> Value) {
        self.init(name, domain, items: { node in
            let x = try node.stored(0)
            return [.tensor(ImportedTensor(try move(node, x.value), x.element))]
        })
    }
}

extension NodeContext {
    /// A position between axes, 0 to `rank`, counted from the end where it is negative.
    func axis(_ place: Int, upTo rank: Int) throws -> Int {
        let counted = place < 0 ? place + rank : place
        guard counted >= 0, counted <= rank else { throw mistake("axis \(place) is not one of \(rank)") }
        return counted
    }

    /// The edge of square blocks, and the sizes of an image of four axes.
    fileprivate func blocks(_ x: Value) throws -> (Dim, Shape) {
        let block = try count("blocksize")
        guard x.rank == 4 else { throw mistake("takes four axes, was given \(x.type)") }
        return (.constant(block), x.dims)
    }
}

extension Value {
    /// The whole tensor repeated along each axis.
    func repeated(_ counts: [Dim]) -> Value {
        let wide = zip(counts, dims).flatMap { [$0, $1] }
        return broadcasting(to: wide, axes: dims.indices.map { 2 * $0 + 1 }).reshaping(to: zip(counts, dims).map { $0 * $1 })
    }
}
