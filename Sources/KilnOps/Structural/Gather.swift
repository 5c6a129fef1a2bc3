// Reading by index: take and take_along. In come a tensor and integers; out go the elements at those positions.
// A negative index counts from the end, once; what is still out of range is moved to the nearest element, unless the spelling has it checked.

import KilnIR

extension Structural {
    static let gathers = [take, takeAlong]

    /// The indices' axes stand in the place of the axis: `result[a…, i…, b…] = operand[a…, indices[i…], b…]`.
    public static let take = OpDefinition(
        "take", operandCount: 2, attributes: ["axis"],
        rule: { rule in
            let axis = try rule.axis()
            try rule.demandDType(1, in: DType.integers)
            let (operand, indices) = (rule.operand, rule.operands[1])
            if !indices.shape.contains(0) { try demandSource(&rule, axis) }
            return [operand.with(shape: operand.shape[..<axis] + indices.shape + operand.shape[(axis + 1)...])]
        },
        form: { context in
            let axis = context.attributes.int("axis"), count = context.operands[1].rank
            let looked = Coordinate.lookup(operand: 1, indices: (axis..<axis + count).map { .index($0) })
            return .gather(context.operands[0].shape.indices.map { place in
                place == axis ? looked : .affine(.index(place < axis ? place : place + count - 1))
            })
        },
        pullback: { pull in
            let placement = Placement(axis: pull.attributes.int("axis"), isAlong: false)
            return [placement.scattered(pull.cotangent, pull.operands[1], over: pull.operand), nil]
        },
        samples: { dtype in
            [takeSample(dtype, [5, 3], .i64, [4], axis: 0, from: -5...4),
             takeSample(dtype, [3, 7], .i32, [2, 3], axis: 1, from: -9...9),
             takeSample(dtype, [2, 5, 3], .u8, [], axis: 1, from: 0...6),
             takeSample(dtype, [4], .i8, [1, 5], axis: 0, from: -4...3),
             takeSample(dtype, [5, 2], .i64, ["n"], axis: 0, from: 0...4),
             takeSample(dtype, [5, 2], .u64, [0], axis: 0, from: 0...4)]
        })

    /// One index for each element of the result: `result[a…, i, b…] = operand[a…, indices[a…, i, b…], b…]`, as `torch.gather`.
    public static let takeAlong = OpDefinition(
        "take_along", operandCount: 2, attributes: ["axis"],
        rule: { rule in
            let axis = try rule.axis()
            try rule.demandDType(1, in: DType.integers)
            try demandAlong(&rule, indices: 1, axis: axis)
            if !rule.operands[1].shape.contains(0) { try demandSource(&rule, axis) }
            return [rule.operand.with(shape: rule.operands[1].shape)]
        },
        form: { context in
            let all = context.operands[0].shape.indices.map { Dim.index($0) }
            return .gather(alongCoordinates(axis: context.attributes.int("axis"), all, indices: 1))
        },
        pullback: { pull in
            let placement = Placement(axis: pull.attributes.int("axis"), isAlong: true)
            return [placement.scattered(pull.cotangent, pull.operands[1], over: pull.operand), nil]
        },
        samples: { dtype in
            [takeSample(dtype, [5, 3], .i64, [4, 3], axis: 0, from: -5...4),
             takeSample(dtype, [3, 7], .i16, [2, 3], axis: 1, from: -9...9),
             takeSample(dtype, [4], .u32, [5], axis: 0, from: 0...3),
             takeSample(dtype, ["n", 4], .i32, ["n", 1], axis: 1, from: 0...3)]
        })

    private static func takeSample(_ dtype: DType, _ shape: Shape, _ integer: DType, _ indices: Shape, axis: Int,
                                   from range: ClosedRange<Int>) -> OpSample {
        OpSample([TensorType(dtype, shape), TensorType(integer, indices)], ["axis": .int(axis)], integerRanges: [1: range])
    }

    private static func demandSource(_ rule: inout ShapeRule, _ axis: Int) throws {
        let size = rule.operand.shape[axis], count = rule.operands[1].shape.reduce(1, *)
        // Without indices nothing is taken.
        let least = count.constant == nil ? Dim.maximum(size - 1, 0 - count) : size - 1
        try rule.require(.isNonNegative(least), "axis \(axis) of size \(size) has no element to take", fix: "take from an axis that has an element")
    }

    /// Indices of the operand's rank, no longer than it along the other axes.
    static func demandAlong(_ rule: inout ShapeRule, indices number: Int, axis: Int) throws {
        let (shape, indices) = (rule.operand.shape, rule.operands[number].shape)
        try rule.demand(shape.count == indices.count, "indices of \(indices.count) axes do not go with an operand of \(shape.count)",
                        fix: "give the indices the operand's rank")
        for other in shape.indices where other != axis {
            try rule.require(.isNonNegative(shape[other] - indices[other]),
                             "the indices have size \(indices[other]) along axis \(other), the operand has \(shape[other])",
                             fix: "make the indices at most as long as the operand along all axes but \(axis)")
        }
    }

    static func alongCoordinates(axis: Int, _ all: [Dim], indices number: Int) -> [Coordinate] {
        all.indices.map { $0 == axis ? .lookup(operand: number, indices: all) : .affine(all[$0]) }
    }
}

/// Where the indices of a gather or scatter point: whole rows of an axis, or along it element by element.
struct Placement {
    var axis: Int
    var isAlong: Bool

    func read(_ value: Value, _ indices: Value) -> Value {
        .apply(isAlong ? Structural.takeAlong : Structural.take, value, indices, attributes: ["axis": .int(axis)], at: .unknown)
    }

    func write(_ kind: ScatterKind, _ value: Value, _ updates: Value, _ indices: Value) -> Value {
        .apply(Structural.scatter(kind, along: isAlong), value, updates, indices, attributes: ["axis": .int(axis)], at: .unknown)
    }

    /// The gradient of `read` of `source`: the cotangent added up where it was read, also at the ends where indices were moved to.
    func scattered(_ cotangent: Value, _ indices: Value, over source: Value) -> Value {
        write(.add, source.filled(0), cotangent, indices.clamped(to: source.dims[axis]))
    }

    /// A condition on indices as one on updates.
    func widened(_ condition: Value, to updates: Value, indices: Value) -> Value {
        isAlong ? condition : condition.broadcasting(to: updates.dims, axes: Array(axis..<axis + indices.rank))
    }
}

extension Operand {
    /// A size as i64 in the shape of `self`. One of symbols is the last of the positions up to it, a view that costs no loop.
    func extent(_ size: Dim) -> Self {
        if let constant = size.constant { return full(.integer(Int64(constant)), TensorType(.i64, dims), at: .unknown) }
        return iota(.i64, [size + 1], axis: 0).slicing(starts: [size], ends: [size + 1]).reshaping(to: []).broadcasting(to: dims, axes: [])
    }

    /// Indices, as i64, moved to `-size ..< size`.
    func clamped(to size: Dim) -> Self {
        let wide = casting(to: .i64), extent = extent(size)
        let high = Self.apply(Elementwise.min, wide, extent.subtracted(extent.filled(1)), at: .unknown)
        return .apply(Elementwise.max, high, .apply(Elementwise.neg, extent, at: .unknown), at: .unknown)
    }

    /// Whether indices lie in `-size ..< size`.
    func isWithin(_ size: Dim) -> Self {
        let wide = casting(to: .i64), extent = extent(size)
        return .apply(Elementwise.and, wide.compared(Elementwise.lt, extent),
                      wide.compared(Elementwise.ge, .apply(Elementwise.neg, extent, at: .unknown)), at: .unknown)
    }

    /// The positions along the axis that the indices name, from the end where negative; the indices' axes stand in the axis's place.
    public func take(_ indices: Self, axis: Int, file: StaticString = #fileID, line: UInt = #line) -> Self {
        taking(indices, axis: axis, for: "take", countsFromEnd: true, at: SourceLocation(file, line))
    }

    /// The same, as what the user called.
    package func taking(_ indices: Self, axis: Int, for operation: String, countsFromEnd: Bool, at location: SourceLocation) -> Self {
        let axis = counted(axis), checked = bounding(indices, axis: axis, for: operation, countsFromEnd: countsFromEnd, at: location)
        return .apply(Structural.take, self, checked, attributes: ["axis": .int(axis)], at: location)
    }

    /// The positions along the axis that indices of one axis name; none is negative.
    public func indexSelect(_ axis: Int, _ indices: Self, file: StaticString = #fileID, line: UInt = #line) -> Self {
        taking(indices, axis: axis, for: "indexSelect", countsFromEnd: false, at: SourceLocation(file, line))
    }

    /// One element along the axis for each index, as `torch.gather`; none is negative.
    public func gather(_ axis: Int, _ indices: Self, file: StaticString = #fileID, line: UInt = #line) -> Self {
        gathering(axis, indices, for: "gather", at: SourceLocation(file, line))
    }

    /// The same, as what the user called.
    package func gathering(_ axis: Int, _ indices: Self, for operation: String, countsFromEnd: Bool = false, at location: SourceLocation) -> Self {
        let axis = counted(axis), checked = bounding(indices, axis: axis, for: operation, countsFromEnd: countsFromEnd, at: location)
        return .apply(Structural.takeAlong, self, checked, attributes: ["axis": .int(axis)], at: location)
    }

    /// Rows of this table, one for each of the indices, of which none is negative.
    public func embedding(_ indices: Self, file: StaticString = #fileID, line: UInt = #line) -> Self {
        taking(indices, axis: 0, for: "embedding", countsFromEnd: false, at: SourceLocation(file, line))
    }

    /// One where a new last axis has the index, zero elsewhere.
    public func oneHot(_ count: Dim, dtype: DType = .i64, file: StaticString = #fileID, line: UInt = #line) -> Self {
        let location = SourceLocation(file, line)
        let isChecked = Self.checksIndices && dtype.isInteger
        let classes = isChecked ? checked(below: count, for: "oneHot", axis: rank, countsFromEnd: false, at: location) : self
        let wide = classes.casting(to: .i64, at: location).broadcasting(to: dims + [count], axes: Array(0..<rank), at: location)
        return iota(.i64, dims + [count], axis: rank, at: location).compared(Elementwise.eq, wide, at: location).casting(to: dtype, at: location)
    }
}
