// Operators that take parts of tensors along axes, and put tensors together: elements of any type are moved as they are.

import KilnIR
import KilnOps

extension Operators {
    static let slicing: [Operator] = [
        Operator("Concat", items: { node in
            let parts = try (0..<node.inputCount).map { try node.stored($0) }
            guard let first = parts.first else { throw node.mistake("has no inputs") }
            let axis = try node.axis(node.integer("axis", 1), rank: first.value.rank)
            return [.tensor(ImportedTensor(parts.count == 1 ? first.value : .concatenate(parts.map(\.value), axis: axis), first.element))]
        }),
        Operator("Slice", moving: { node, x in
            let isOld = node.version < 10
            func numbers(_ input: Int, _ attribute: String, _ what: String) throws -> [Dim]? {
                if isOld { return node.integers(attribute).map { $0.map { .constant($0) } } }
                return node.has(input) ? try node.sizes(input, what) : nil
            }
            guard let starts = try numbers(1, "starts", "where the slice starts"), let ends = try numbers(2, "ends", "where the slice ends") else {
                throw node.mistake("does not say where it starts and ends")
            }
            let axes = try isOld ? node.integers("axes") : node.has(3) ? node.integers(3, "which axes are sliced") : nil
            let steps = try !isOld && node.has(4) ? node.integers(4, "the slice's steps") : starts.map { _ in 1 }
            guard starts.count == ends.count, (axes ?? Array(starts.indices)).count == starts.count, steps.count == starts.count, !steps.contains(0) else {
                throw node.mistake("has \(starts.count) starts, \(ends.count) ends and the steps \(steps)")
            }
            return x.sliced(starts, ends, axes: try (axes ?? Array(starts.indices)).map { try node.axis($0, rank: x.rank) }, steps)
        }),
        Operator("Split", items: { node in
            let x = try node.stored(0)
            let axis = try node.axis(node.integer("axis", 0), rank: x.value.rank), size = x.value.size(axis: axis)
            let named: [Dim]? = node.has(1) ? try node.sizes(1, "how the axis is split") : node.integers("split")?.map { .constant($0) }
            var sizes = named ?? []
            if named == nil {
                let count = node.integer("num_outputs", node.outputCount)
                guard count > 0, count < 1 << 16 else { throw node.mistake("splits into \(count) parts") }
                let part = size.dividedUp(by: .constant(count))
                sizes = Array(repeating: part, count: count - 1)
                sizes.append(size - part * .constant(count - 1))
            }
            var start: Dim = 0
            return sizes.map { length in
                defer { start += length }
                return .tensor(ImportedTensor(x.value.narrow(axis, start: start, length: length), x.element))
            }
        }),
        Operator("Pad", moving: { node, x in try node.padded(x) }),
        Operator("CenterCropPad", moving: { node, x in
            let wanted = try node.sizes(1, "the new shape")
            let axes = try node.integers("axes")?.map { try node.axis($0, rank: x.rank) } ?? Array(x.dims.indices)
            guard wanted.count == axes.count else { throw node.mistake("has \(wanted.count) sizes for \(axes.count) axes") }
            var low = x.dims.map { _ in Dim.constant(0) }, high = low
            for (axis, size) in zip(axes, wanted) {
                let change = size - x.size(axis: axis)
                guard let shrinks = SizeFacts.isNegative(change) else {
                    throw Unsupported(reason: "whether axis \(axis) of size \(x.size(axis: axis)) is cropped or padded to \(size) is open")
                }
                low[axis] = shrinks ? -((-change) / 2) : change / 2
                high[axis] = change - low[axis]
            }
            return x.padding(low: low, high: high)
        }),
        Operator("Trilu", moving: { node, x in
            guard x.rank >= 2 else { throw node.mistake("takes a matrix, was given \(x.type)") }
            let row = x.iota(.i64, x.dims, axis: x.rank - 2), column = x.iota(.i64, x.dims, axis: x.rank - 1)
            let diagonal = node.has(1) ? try node.tensor(1).cast(to: .i64).reshape([]) : node.full(0, TensorType(.i64, []))
            let limit = row + diagonal.broadcasting(to: x.dims, axes: [])
            let keeps = node.flag("upper", true) ? limit .<= column : limit .>= column
            return keeps.select(x, node.full(0, x.type))
        }),
        Operator("ReverseSequence", moving: { node, x in
            let (batch, time) = (try node.axis(node.integer("batch_axis", 1), rank: x.rank), try node.axis(node.integer("time_axis", 0), rank: x.rank))
            let lengths = try node.tensor(1).cast(to: .i64).broadcasting(to: x.dims, axes: [batch])
            let places = x.iota(.i64, x.dims, axis: time)
            return x.gather(time, (places .< lengths).select(lengths - 1 - places, places))
        }),
    ]
}

extension Value {
    /// Positions of some axes as `Slice` counts them: from the end where negative, by steps of either sign, cut off at the ends.
    func sliced(_ starts: [Dim], _ ends: [Dim], axes: [Int], _ steps: [Int]) -> Value {
        var (low, high, strides) = (dims.map { _ in Dim.constant(0) }, dims, dims.map { _ in 1 })
        var flipped: [Int] = []
        for (number, axis) in axes.enumerated() {
            let size = dims[axis], isBackward = steps[number] < 0
            var start = starts[number].position(size, isEnd: false, isBackward), end = ends[number].position(size, isEnd: true, isBackward)
            if isBackward {
                flipped.append(axis)
                (start, end) = (size - 1 - start, size - 1 - end)
            }
            if SizeFacts.isKnown(start, atLeast: end) { end = start }
            (low[axis], high[axis], strides[axis]) = (start, end, Int(Swift.min(steps[number].magnitude, 1 << 40 - 1)))
        }
        return flipping(flipped).slicing(starts: low, ends: high, steps: strides)
    }
}

extension Dim {
    /// A position of an axis, counted from the end where it is negative and moved to `0...size`, or to `-1...size - 1` for steps backward.
    ///
    /// Where symbols leave open whether it must be moved, an end of an axis of symbolic size is; an end of an axis of constant size (a table's, say)
    /// and a start are taken to lie within the axis, which the slice itself checks in each run.
    fileprivate func position(_ size: Dim, isEnd: Bool, _ isBackward: Bool) -> Dim {
        let (least, most): (Dim, Dim) = isBackward ? (-1, size - 1) : (0, size)
        // What exporters write for "to the end": numbers that no axis reaches.
        if let constant, constant.magnitude >= 1_000_000_000 { return constant < 0 ? least : most }
        if SizeFacts.isNegative(self) == true { return SizeFacts.maximum(least, self + size) }
        if SizeFacts.isKnown(self, atLeast: most) { return most }
        return SizeFacts.isKnown(most, atLeast: self) || !isEnd || size.constant != nil ? self : .minimum(self, most)
    }
}
