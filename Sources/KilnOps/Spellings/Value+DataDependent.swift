// What is found among elements: those that are not zero, those that a condition keeps, those that differ. Tensors come in, and what is
// found goes out with a size that depends on the elements: everything is computed with room for all, and a prefix is taken of it.

import KilnIR

extension GraphBuilder {
    /// Lets what `body` appends come from the location, unless this builder has one of its own.
    func located<Result>(_ location: SourceLocation, _ body: () -> Result) -> Result {
        let own = self.location
        if !own.isKnown { self.location = location }
        defer { self.location = own }
        return body()
    }
}

/// What `unique` gives.
public struct UniqueValues {
    /// The elements, or slices, that differ.
    public var values: Value
    /// Where each of them is first (i64).
    public var indices: Value
    /// For each element, or slice, of the operand, the position among the values (i64).
    public var inverse: Value
    /// How often each of them is there (i64).
    public var counts: Value
}

extension Value {
    /// The indices of the elements that are not zero, or that are true, in row-major order: i64 of shape [rank, count], as ONNX's NonZero.
    ///
    /// - Parameter symbol: the name of the count; nil for one that is free.
    public func nonZero(symbol: String? = nil, file: StaticString = #fileID, line: UInt = #line) -> Value {
        let name = symbol ?? builder.freshSymbol("nonzero")
        return builder.located(SourceLocation(file, line)) {
            let flat = reshaping(to: [type.elementCount])
            let (positions, count) = (flat.dtype == .bool ? flat : flat .!= 0).truePositions()
            return positions.prefix(count, symbol: name).coordinates(in: dims, stackedOn: 0)
        }
    }

    /// The positions along the axis for which a condition of one axis, no longer than it, holds; of the flattened tensor without an
    /// axis. As ONNX's Compress.
    ///
    /// - Parameter symbol: the name of the result's size; nil for one that is free.
    public func compress(_ condition: Value, axis: Int? = nil, symbol: String? = nil, file: StaticString = #fileID, line: UInt = #line) -> Value {
        let location = SourceLocation(file, line)
        guard condition.dtype == .bool, condition.rank == 1 else {
            return mistaken("compress", "the condition is \(condition.type)", fix: "pass a bool for each position, of one axis", at: location)
        }
        let name = symbol ?? builder.freshSymbol("kept")
        guard let axis else { return flattened(at: location).compress(condition, axis: 0, symbol: name, file: file, line: line) }
        let place = counted(axis)
        guard has(place) else { return mistaken("compress", axis: axis, at: location) }
        return builder.located(location) {
            let (positions, count) = condition.truePositions()
            let kept = condition.dims[0] == dims[place] ? self : narrow(place, start: 0, length: condition.dims[0], file: file, line: line)
            return kept.take(positions.prefix(count, symbol: name), axis: place, file: file, line: line)
        }
    }

    /// The elements that differ, or with an axis the slices along it that do, which are compared element by element; as ONNX's Unique.
    ///
    /// NaNs are one value.
    /// - Parameters:
    ///   - sorted: whether they come in order; else in the order in which they are there first.
    ///   - symbol: the name of how many there are; nil for one that is free.
    public func unique(axis: Int? = nil, sorted: Bool = true, symbol: String? = nil, file: StaticString = #fileID, line: UInt = #line) -> UniqueValues {
        let location = SourceLocation(file, line)
        let name = symbol ?? builder.freshSymbol("unique")
        guard let axis else { return flattened(at: location).unique(axis: 0, sorted: sorted, symbol: name, file: file, line: line) }
        let place = counted(axis)
        guard has(place) else {
            let mistake = mistaken("unique", axis: axis, at: location)
            return UniqueValues(values: mistake, indices: mistake, inverse: mistake, counts: mistake)
        }
        return builder.located(location) { uniqueSlices(place, sorted: sorted, symbol: name) }
    }

    private func uniqueSlices(_ axis: Int, sorted: Bool, symbol: String) -> UniqueValues {
        let rest = dims.indices.filter { $0 != axis }
        let rows = permuting([axis] + rest).reshaping(to: [dims[axis], rest.reduce(1) { $0 * dims[$1] }])
        let numbers = iota(.i64, [dims[axis]], axis: 0)
        let order = rows.orderOfRows()
        let ordered = rows.take(order, axis: 0)
        let isFirst = (numbers .== 0) | ordered.differing(from: ordered.padding(low: [1, 0], high: [-1, 0]))
        // Equal rows stand together in the order, which keeps theirs: the first of each run is the first of all.
        let found: (positions: Value, count: Value)
        let inverse: Value
        if sorted {
            found = isFirst.truePositions(of: order)
            inverse = numbers.put(order, isFirst.casting(to: .i64).cumsum(0) - 1, axis: 0)
        } else {
            let start = Value.where(isFirst, numbers, numbers.filled(0)).cummax(0)
            let first = numbers.put(order, order.take(start, axis: 0), axis: 0)
            let isNew = first .== numbers
            found = isNew.truePositions()
            inverse = (isNew.casting(to: .i64).cumsum(0) - 1).take(first, axis: 0)
        }
        let counts = numbers.filled(0).put(inverse, numbers.filled(1), axis: 0, .add)
        let indices = found.positions.prefix(found.count, symbol: symbol, at: .unknown)
        return UniqueValues(values: take(indices, axis: axis), indices: indices, inverse: inverse,
                            counts: counts.prefix(found.count, symbol: symbol, at: .unknown))
    }

    private func flattened(at location: SourceLocation) -> Value { reshaping(to: [type.elementCount], at: location) }

    /// Whether rows differ from those of the same number in the other.
    private func differing(from other: Value) -> Value {
        let differ = self .!= other
        return (dtype.isFloat ? differ & .!(isNaN() & other.isNaN()) : differ).any(1)
    }

    /// The positions of this matrix's rows in lexicographic order; equal rows keep theirs. The last column is sorted by first.
    private func orderOfRows() -> Value {
        let (count, width) = (dims[0], dims[1])
        if width == 1 { return reshaping(to: [count]).argsort(0) }
        let numbers = iota(.i64, [count], axis: 0)
        if width == 0 { return numbers }
        // The columns that are left, the order so far, the rows.
        let operands = [full(0, TensorType(.i64, []), at: .unknown).extent(width), numbers, self]
        let test = builder.region("has_columns", operands.map(\.type)) { [$0[0] .> 0] }
        let body = builder.region("sort_column", operands.map(\.type)) { state in
            let (column, order) = (state[0] - 1, state[1])
            return [column, order.take(state[2].take(column, axis: 1).take(order, axis: 0).argsort(0), axis: 0)]
        }
        return Value.apply(Structural.while, operands, ["carried": .int(2)], regions: [test, body], at: .unknown)[1]
    }
}

extension Value {
    /// The positions of a vector's true elements, in order, with room for all; and how many there are, an i64 of rank 0.
    func truePositions() -> (positions: Value, count: Value) { truePositions(of: iota(.i64, dims, axis: 0)) }

    /// Those of the integers, of this vector's shape, for which it is true.
    func truePositions(of integers: Value) -> (positions: Value, count: Value) {
        let ones = casting(to: .i64)
        // Those that are not kept go past the end, where they are dropped.
        let places = Value.where(self, ones.cumsum(0, exclusive: true), integers.extent(dims[0]))
        return (integers.filled(0).put(places, integers, axis: 0), ones.sum(0))
    }

    /// The coordinates of positions in row-major order, stacked on an axis of the result: 0 or 1.
    func coordinates(in shape: Shape, stackedOn axis: Int) -> Value {
        if shape.isEmpty { return full(0, TensorType(.i64, axis == 0 ? [0, dims[0]] : [dims[0], 0]), at: .unknown) }
        let strides = TensorType(.i64, shape).strides
        let parts = shape.indices.map { number in
            let quotient = strides[number] == 1 ? self : self / extent(strides[number])
            return number == 0 ? quotient : quotient % extent(shape[number])
        }
        return Value.stack(parts, axis: axis)
    }
}
