// Operators that read or write elements at positions which other tensors name.

import KilnIR
import KilnOps

extension Operators {
    static let indexing: [Operator] = [
        Operator("Gather", moving: { node, x in
            let axis = try node.axis(node.integer("axis", 0), rank: x.rank), indices = try node.tensor(1)
            // One known position is a view.
            guard indices.type.elementCount == 1, let place = node.sizesIfKnown(indices)?.first, let isNegative = SizeFacts.isNegative(place) else {
                return x.take(node.checked(indices, into: x, axis: axis), axis: axis)
            }
            return x.narrow(axis, start: isNegative ? place + x.size(axis: axis) : place, length: 1)
                .reshaping(to: Array(x.dims.prefix(axis)) + indices.dims + Array(x.dims.dropFirst(axis + 1)))
        }),
        Operator("GatherElements", moving: { node, x in
            let axis = try node.axis(node.integer("axis", 0), rank: x.rank)
            return x.gather(axis, node.checked(try node.tensor(1), into: x, axis: axis))
        }),
        Operator("GatherND", moving: { node, x in
            let indices = try node.tensor(1), batch = node.integer("batch_dims", 0)
            guard batch >= 0, batch < indices.rank, batch <= x.rank, let depth = indices.size(axis: -1).constant, depth <= x.rank - batch else {
                throw node.mistake("takes \(indices.type) as positions in \(x.type) of \(batch) batch axes")
            }
            let rows = node.rows(indices, of: Array(x.dims.prefix(batch + depth)), batch: batch)
            let rest = Array(x.dims.dropFirst(batch + depth))
            return x.reshaping(to: [x.dims.prefix(batch + depth).reduce(1, *)] + rest).take(rows, axis: 0)
        }),
        Operator("Scatter", moving: { node, x in
            let axis = try node.axis(node.integer("axis", 0), rank: x.rank)
            return x.scatter(axis, node.checked(try node.tensor(1), into: x, axis: axis), try node.stored(2).value)
        }),
        Operator("ScatterElements", moving: { node, x in
            let axis = try node.axis(node.integer("axis", 0), rank: x.rank)
            return x.scatter(axis, node.checked(try node.tensor(1), into: x, axis: axis), try node.stored(2).value, try node.scatterKind())
        }),
        Operator("ScatterND", moving: { node, x in
            let indices = try node.tensor(1), updates = try node.stored(2).value
            guard let depth = indices.dims.last?.constant, depth <= x.rank else { throw node.mistake("takes \(indices.type) as positions in \(x.type)") }
            let rows = node.rows(indices, of: Array(x.dims.prefix(depth)), batch: 0), rest = Array(x.dims.dropFirst(depth)), count = rows.type.elementCount
            return x.reshaping(to: [x.dims.prefix(depth).reduce(1, *)] + rest)
                .put(rows.reshaping(to: [count]), updates.reshaping(to: [count] + rest), axis: 0, try node.scatterKind())
                .reshaping(to: x.dims)
        }),
        Operator("TensorScatter", moving: { node, x in
            let updates = try node.stored(1).value, axis = try node.axis(node.integer("axis", -2), rank: x.rank)
            var places = updates.iota(.i64, updates.dims, axis: axis)
            if node.has(2) { places = places + (try node.tensor(2).cast(to: .i64)).broadcasting(to: updates.dims, axes: [0]) }
            if node.text("mode", "linear") == "circular" {
                places = NodeContext.modulo(places, node.sizes([x.size(axis: axis)]).broadcasting(to: places.dims, axes: [x.rank - 1]))
            }
            return x.scatter(axis, places, updates)
        }),
    ]
}

extension NodeContext {
    /// Indices from a tensor along an axis of `x`, each of which must be one of its positions, from the end where negative; as they are
    /// where that is known.
    func checked(_ indices: Value, into x: Value, axis: Int) -> Value { checked(indices, below: x.size(axis: axis), axis: axis) }

    func checked(_ indices: Value, below size: Dim, axis: Int, countsFromEnd: Bool = true) -> Value {
        let check = IndexCheck(operation: node.opType, axis: axis, size: size, countsFromEnd: countsFromEnd, location: .unknown)
        if let size = size.constant, let known = scope.contents.elements(of: indices),
            known.allSatisfy({ $0.scalar.map { check.allows($0.int64, size: size) } ?? false }) { return indices }
        return indices.checked(below: size, for: node.opType, axis: axis, countsFromEnd: countsFromEnd)
    }

    /// Positions whose last axis names one index for each of some axes, as row numbers of those axes merged into one. The first `batch`
    /// axes of `shape` are not named: there a position stands for its own row. Where one index lies outside of its axis, the row lies
    /// outside of all rows, so that no element is taken for one that was not named.
    fileprivate func rows(_ indices: Value, of shape: Shape, batch: Int) -> Value {
        let places = Array(indices.dims.dropLast()), wide = indices.cast(to: .i64)
        if shape.count == 1, batch == 0 { return checked(wide.select(axis: -1, index: 0), below: shape[0], axis: 0) }
        func spread(_ size: Dim) -> Value { sizes([size]).reshaping(to: []).broadcasting(to: places, axes: []) }
        var row = full(0, TensorType(.i64, places))
        var isInside: Value?
        for (axis, size) in shape.enumerated() {
            if axis < batch {
                row = row * spread(size) + row.iota(.i64, places, axis: axis)
                continue
            }
            let index = checked(wide.select(axis: -1, index: axis - batch), below: size, axis: axis)
            let counted = (index .< 0).select(index + spread(size), index)
            let fits = (counted .>= 0) & (counted .< spread(size))
            isInside = isInside.map { $0 & fits } ?? fits
            row = row * spread(size) + counted
        }
        return isInside.map { $0.select(row, spread(shape.reduce(1, *))) } ?? row
    }

    /// How updates are combined with what is there.
    fileprivate func scatterKind() throws -> ScatterKind {
        switch text("reduction", "none") {
        case "none": return .set
        case "add": return .add
        case "mul": return .multiply
        case "max": return .maximum
        case "min": return .minimum
        case let other: throw Unsupported(reason: "there is no reduction '\(other)'")
        }
    }
}
