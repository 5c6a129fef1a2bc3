// Views as PyTorch spells them: sizes with -1, axes counted from the end, one axis at a time.

import KilnIR

extension Operand {
    /// The same elements, row-major, under another shape; one size may be -1, which is found from the others.
    public func reshape(_ shape: [Dim], file: StaticString = #fileID, line: UInt = #line) -> Self {
        var shape = shape
        let location = SourceLocation(file, line)
        if shape.count(where: { $0 == -1 }) > 1 {
            return mistaken("reshape", "\(shape.text) leaves more than one size open", fix: "give -1 for one size alone", at: location)
        }
        if let wrong = shape.first(where: { ($0.constant ?? 0) < -1 }) {
            return mistaken("reshape", "\(wrong) in \(shape.text) is no size", fix: "give sizes from 0 on, and -1 for one that follows from the others", at: location)
        }
        if let open = shape.firstIndex(of: -1) {
            let known = shape.indices.filter { $0 != open }.reduce(Dim.constant(1)) { $0 * shape[$1] }
            if known != 0 { shape[open] = type.elementCount.dividedDown(by: known, ranges: .none) }
        }
        return reshaping(to: shape, at: location)
    }

    public func reshape(_ shape: Dim..., file: StaticString = #fileID, line: UInt = #line) -> Self {
        reshape(shape, file: file, line: line)
    }

    /// The axes in another order.
    public func permute(_ axes: Int..., file: StaticString = #fileID, line: UInt = #line) -> Self {
        permuting(counted(axes), at: SourceLocation(file, line))
    }

    /// Two axes exchanged.
    public func transpose(_ a: Int, _ b: Int, file: StaticString = #fileID, line: UInt = #line) -> Self {
        let (a, b, location) = (counted(a), counted(b), SourceLocation(file, line))
        guard has(a), has(b) else { return mistaken("transpose", axis: has(a) ? b : a, at: location) }
        var axes = Array(0..<rank)
        axes.swapAt(a, b)
        return permuting(axes, at: location)
    }

    /// A matrix's transpose; a vector or number itself.
    public func t(file: StaticString = #fileID, line: UInt = #line) -> Self {
        if rank < 2 { return self }
        if rank > 2 {
            return mistaken("t", "takes a matrix, was given \(rank) axes", fix: "say which axes with transpose(a, b)", at: SourceLocation(file, line))
        }
        return transpose(0, 1, file: file, line: line)
    }

    /// An axis moved to another place.
    public func movingAxis(_ from: Int, to: Int, file: StaticString = #fileID, line: UInt = #line) -> Self {
        let (from, to, location) = (counted(from), counted(to), SourceLocation(file, line))
        guard has(from), has(to) else { return mistaken("movingAxis", axis: has(from) ? to : from, at: location) }
        var axes = Array(0..<rank)
        axes.insert(axes.remove(at: from), at: to)
        return permuting(axes, at: location)
    }

    /// A new axis of size 1, before the given one.
    public func unsqueezed(_ axis: Int, file: StaticString = #fileID, line: UInt = #line) -> Self {
        let place = axis < 0 ? axis + rank + 1 : axis
        guard place >= 0, place <= rank else { return mistaken("unsqueezed", axis: axis, of: rank + 1, at: SourceLocation(file, line)) }
        var shape = dims
        shape.insert(1, at: place)
        return reshaping(to: shape, at: SourceLocation(file, line))
    }

    /// Without the given axes that have size 1; without all such axes where none is given.
    public func squeezed(_ axes: Int..., file: StaticString = #fileID, line: UInt = #line) -> Self {
        let gone = axes.isEmpty ? Array(0..<rank) : counted(axes)
        if let wrong = gone.first(where: { !has($0) }) { return mistaken("squeezed", axis: wrong, at: SourceLocation(file, line)) }
        return reshaping(to: dims.indices.filter { !gone.contains($0) || dims[$0] != 1 }.map { dims[$0] }, at: SourceLocation(file, line))
    }

    /// The axes from one to another merged into one.
    public func flatten(from: Int = 0, to: Int = -1, file: StaticString = #fileID, line: UInt = #line) -> Self {
        let location = SourceLocation(file, line)
        if rank == 0 { return reshaping(to: [1], at: location) }
        let (from, to) = (counted(from), counted(to))
        guard has(from), has(to), from <= to else { return mistaken("flatten", axis: has(from) ? to : from, at: location) }
        let merged = dims[from...to].reduce(Dim.constant(1), *)
        return reshaping(to: Array(dims[..<from]) + [merged] + Array(dims[(to + 1)...]), at: location)
    }

    /// Repeated along axes of size 1 and new leading axes; -1 keeps a size.
    public func expand(_ shape: [Dim], file: StaticString = #fileID, line: UInt = #line) -> Self {
        let fresh = shape.count - rank
        guard fresh >= 0 else {
            return mistaken("expand", "\(shape.text) has fewer axes than the operand", fix: "give a size for each of its \(rank) axes",
                            at: SourceLocation(file, line))
        }
        var shape = shape
        for axis in 0..<rank where shape[axis + fresh] == -1 { shape[axis + fresh] = dims[axis] }
        if let wrong = shape.first(where: { ($0.constant ?? 0) < 0 }) {
            return mistaken("expand", "\(wrong) in \(shape.text) is no size", fix: "give sizes from 0 on, and -1 for an axis that stays as it is",
                            at: SourceLocation(file, line))
        }
        return broadcasting(to: shape, axes: Array(fresh..<shape.count), at: SourceLocation(file, line))
    }

    public func expand(_ shape: Dim..., file: StaticString = #fileID, line: UInt = #line) -> Self { expand(shape, file: file, line: line) }

    /// The whole tensor repeated along each axis; more counts than axes add leading axes.
    public func tile(_ counts: Int..., file: StaticString = #fileID, line: UInt = #line) -> Self {
        let location = SourceLocation(file, line)
        let counts = Array(repeating: 1, count: Swift.max(0, rank - counts.count)) + counts
        let padded = Array(repeating: Dim.constant(1), count: counts.count - rank) + dims
        let wide = zip(counts, padded).flatMap { [Dim.constant($0), $1] }
        return reshaping(to: padded, at: location)
            .broadcasting(to: wide, axes: padded.indices.map { 2 * $0 + 1 }, at: location)
            .reshaping(to: zip(counts, padded).map { Dim.constant($0) * $1 }, at: location)
    }

    /// Positions `start..<end` along an axis by steps; negative numbers count from the end, and what lies outside is cut off.
    public func slice(axis: Int, from start: Int = 0, to end: Int? = nil, step: Int = 1, file: StaticString = #fileID,
                      line: UInt = #line) -> Self {
        let (axis, location) = (counted(axis), SourceLocation(file, line))
        guard has(axis) else { return mistaken("slice", axis: axis, at: location) }
        let first = dims[axis].position(start)
        var (starts, ends, steps) = (dims.map { _ in Dim.constant(0) }, dims, dims.map { _ in 1 })
        starts[axis] = first
        ends[axis] = end.map { dims[axis].position($0) } ?? dims[axis]
        if let low = first.constant, let high = ends[axis].constant, high < low { ends[axis] = first }
        steps[axis] = step
        return slicing(starts: starts, ends: ends, steps: steps, at: location)
    }

    /// `length` positions along an axis from `start` on.
    public func narrow(_ axis: Int, start: Dim, length: Dim, file: StaticString = #fileID, line: UInt = #line) -> Self {
        let (axis, location) = (counted(axis), SourceLocation(file, line))
        guard has(axis) else { return mistaken("narrow", axis: axis, at: location) }
        var (starts, ends) = (dims.map { _ in Dim.constant(0) }, dims)
        starts[axis] = start
        ends[axis] = start + length
        return slicing(starts: starts, ends: ends, at: location)
    }

    /// One position along an axis, which the result lacks; negative numbers count from the end.
    public func select(axis: Int, index: Int, file: StaticString = #fileID, line: UInt = #line) -> Self {
        let axis = counted(axis)
        guard has(axis) else { return mistaken("select", axis: axis, at: SourceLocation(file, line)) }
        let start = index < 0 ? dims[axis] + .constant(index) : .constant(index)
        var rest = dims
        rest.remove(at: axis)
        return narrow(axis, start: start, length: 1, file: file, line: line).reshaping(to: rest, at: SourceLocation(file, line))
    }

    /// Parts of the given sizes along an axis.
    public func split(_ sizes: [Int], axis: Int = 0, file: StaticString = #fileID, line: UInt = #line) -> [Self] {
        var start = 0
        return sizes.map { size in
            defer { start += size }
            return narrow(axis, start: .constant(start), length: .constant(size), file: file, line: line)
        }
    }

    /// Positions of a value before and after the last axes: a pair for each, the last axis first, as in PyTorch.
    public func pad(_ amounts: [Int], value: Scalar = 0, file: StaticString = #fileID, line: UInt = #line) -> Self {
        guard amounts.count % 2 == 0, amounts.count / 2 <= rank else {
            return mistaken("pad", "\(amounts.count) amounts are no pairs for the last of \(rank) axes",
                            fix: "give low and high for each axis, the last axis first", at: SourceLocation(file, line))
        }
        var (low, high) = (dims.map { _ in Dim.constant(0) }, dims.map { _ in Dim.constant(0) })
        for pair in 0..<amounts.count / 2 {
            low[rank - 1 - pair] = .constant(amounts[2 * pair])
            high[rank - 1 - pair] = .constant(amounts[2 * pair + 1])
        }
        return padding(low: low, high: high, value: value, at: SourceLocation(file, line))
    }

    /// Axes in reverse.
    public func flip(_ axes: Int..., file: StaticString = #fileID, line: UInt = #line) -> Self {
        flipping(counted(axes), at: SourceLocation(file, line))
    }

    /// Tensors one after the other along an axis; at least one.
    public static func concatenate(_ parts: [Self], axis: Int = 0, file: StaticString = #fileID, line: UInt = #line) -> Self {
        guard let first = parts.first else { return mistakenWithout("concatenate", at: SourceLocation(file, line)) }
        return apply(Structural.concatenate, parts, ["axis": .int(first.counted(axis))], regions: [], at: SourceLocation(file, line))[0]
    }

    /// Tensors of one shape side by side along a new axis; at least one.
    public static func stack(_ parts: [Self], axis: Int = 0, file: StaticString = #fileID, line: UInt = #line) -> Self {
        let location = SourceLocation(file, line)
        guard let first = parts.first else { return mistakenWithout("stack", at: location) }
        let place = axis < 0 ? axis + first.rank + 1 : axis
        guard place >= 0, place <= first.rank else { return first.mistaken("stack", axis: axis, of: first.rank + 1, at: location) }
        if let other = parts.first(where: { $0.dims != first.dims && $0.dims.allSatisfy { $0.constant != nil } && first.dims.allSatisfy { $0.constant != nil } }) {
            return first.mistaken("stack", "the tensors' shapes differ, \(first.dims.text) and \(other.dims.text)", with: Array(parts.dropFirst()),
                                  fix: "stack tensors of one shape, or concatenate them", at: location)
        }
        return concatenate(parts.map { $0.unsqueezed(place, file: file, line: line) }, axis: place, file: file, line: line)
    }

    /// The elements whose column minus row is at most `diagonal`; zero elsewhere. Of the last two axes.
    public func lowerTriangle(diagonal: Int = 0, file: StaticString = #fileID, line: UInt = #line) -> Self {
        triangle("lowerTriangle", diagonal, Elementwise.ge, at: SourceLocation(file, line))
    }

    /// The elements whose column minus row is at least `diagonal`; zero elsewhere. Of the last two axes.
    public func upperTriangle(diagonal: Int = 0, file: StaticString = #fileID, line: UInt = #line) -> Self {
        triangle("upperTriangle", diagonal, Elementwise.le, at: SourceLocation(file, line))
    }

    private func triangle(_ name: String, _ diagonal: Int, _ comparison: OpDefinition, at location: SourceLocation) -> Self {
        guard rank >= 2 else { return mistaken(name, "takes a matrix, was given \(rank) axes", fix: "pass at least two axes", at: location) }
        let row = iota(.i64, dims, axis: rank - 2, at: location), column = iota(.i64, dims, axis: rank - 1, at: location)
        let limit = Self.apply(Elementwise.add, row, full(.integer(Int64(diagonal)), row.type, at: location), at: location)
        let keeps = Self.apply(comparison, limit, column, at: location)
        return .apply(Elementwise.select, keeps, self, full(Scalar.integer(0).converted(to: dtype), type, at: location), at: location)
    }
}

extension Dim {
    /// A position within `0...self`, counted from the end where negative; a symbol's size takes it as it is.
    fileprivate func position(_ index: Int) -> Dim {
        let counted = index < 0 ? self + .constant(index) : .constant(index)
        guard let size = constant, let place = counted.constant else { return counted }
        return .constant(Swift.min(Swift.max(place, 0), size))
    }
}
