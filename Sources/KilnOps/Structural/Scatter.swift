// Writing by index: a tensor with updates combined in at positions that integers name. A negative index counts from the end, once;
// updates whose index is still out of range are dropped, the others apply in row-major order.

import KilnIR

extension Structural {
    static let scatters = ScatterKind.allCases.map { scatter($0, along: false) } + ScatterKind.allCases.map { scatter($0, along: true) }

    /// Operands: the tensor, the updates, the indices. The inverse of `take`, or of `take_along`.
    public static func scatter(_ kind: ScatterKind, along: Bool) -> OpDefinition {
        switch kind {
        case .set: along ? scatterAlongSet : scatterSet
        case .add: along ? scatterAlongAdd : scatterAdd
        case .multiply: along ? scatterAlongMultiply : scatterMultiply
        case .maximum: along ? scatterAlongMax : scatterMax
        case .minimum: along ? scatterAlongMin : scatterMin
        }
    }

    /// The last of several updates at one position stays, and it alone has a gradient.
    public static let scatterSet: OpDefinition = rows("scatter_set", .set, setGradients)
    public static let scatterAdd: OpDefinition = rows("scatter_add", .add, addGradients)
    public static let scatterMultiply: OpDefinition = rows("scatter_multiply", .multiply, multiplyGradients)
    /// The gradient is spread evenly over what equals the result.
    public static let scatterMax: OpDefinition = rows("scatter_max", .maximum, extremeGradients)
    /// The gradient is spread evenly over what equals the result.
    public static let scatterMin: OpDefinition = rows("scatter_min", .minimum, extremeGradients)
    public static let scatterAlongSet: OpDefinition = elements("scatter_along_set", .set, setGradients)
    public static let scatterAlongAdd: OpDefinition = elements("scatter_along_add", .add, addGradients)
    public static let scatterAlongMultiply: OpDefinition = elements("scatter_along_multiply", .multiply, multiplyGradients)
    public static let scatterAlongMax: OpDefinition = elements("scatter_along_max", .maximum, extremeGradients)
    public static let scatterAlongMin: OpDefinition = elements("scatter_along_min", .minimum, extremeGradients)

    private typealias Gradients = @Sendable (PullbackContext, Placement) -> [Value?]

    /// `result[a…, indices[i…], b…]` combined with `updates[a…, i…, b…]`.
    private static func rows(_ name: String, _ kind: ScatterKind, _ gradients: @escaping Gradients) -> OpDefinition {
        OpDefinition(name, operandCount: 3, attributes: ["axis"], dtypes: kind == .set ? DType.all : DType.numbers,
                     rule: { rule in
                         let axis = try scatterRule(&rule, kind)
                         let shape = rule.operand.shape, updates = rule.operands[1].shape
                         let wanted = shape[..<axis] + rule.operands[2].shape + shape[(axis + 1)...]
                         try rule.demand(updates.count == wanted.count, "updates of \(updates.count) axes do not fill \(Array(wanted).text)",
                                         fix: "give updates of shape \(Array(wanted).text)")
                         for (number, size) in wanted.enumerated() {
                             try rule.requireEqual(updates[number], size, "the updates have size \(updates[number]) along axis \(number), and \(size) is needed",
                                                   fix: "give updates of shape \(Array(wanted).text)")
                         }
                         return [rule.operand]
                     },
                     form: { context in
                         let axis = context.attributes.int("axis"), count = context.operands[2].rank
                         let looked = Coordinate.lookup(operand: 2, indices: (axis..<axis + count).map { .index($0) })
                         return .scatter(kind, context.operands[0].shape.indices.map { place in
                             place == axis ? looked : .affine(.index(place < axis ? place : place + count - 1))
                         })
                     },
                     pullback: { gradients($0, Placement(axis: $0.attributes.int("axis"), isAlong: false)) },
                     samples: { dtype in
                         [scatterSample(dtype, [5, 3], [4, 3], .i64, [4], axis: 0, from: -5...4),
                          scatterSample(dtype, [3, 5], [3, 2, 3], .i32, [2, 3], axis: 1, from: -7...7),
                          scatterSample(dtype, [2, 5, 3], [2, 3], .u8, [], axis: 1, from: 0...6),
                          scatterSample(dtype, ["n", 2], [3, 2], .i64, [3], axis: 0, from: 0...2),
                          scatterSample(dtype, [4], [0], .i8, [0], axis: 0, from: 0...3)]
                     })
    }

    /// `result[a…, indices[a…, i, b…], b…]` combined with `updates[a…, i, b…]`.
    private static func elements(_ name: String, _ kind: ScatterKind, _ gradients: @escaping Gradients) -> OpDefinition {
        OpDefinition(name, operandCount: 3, attributes: ["axis"], dtypes: kind == .set ? DType.all : DType.numbers,
                     rule: { rule in
                         let axis = try scatterRule(&rule, kind)
                         try demandAlong(&rule, indices: 2, axis: axis)
                         let (updates, indices) = (rule.operands[1].shape, rule.operands[2].shape)
                         try rule.demand(updates.count == indices.count, "updates \(updates.text) and indices \(indices.text) differ",
                                         fix: "give them the same shape")
                         for (a, b) in zip(updates, indices) {
                             try rule.requireEqual(a, b, "updates \(updates.text) and indices \(indices.text) differ", fix: "give them the same shape")
                         }
                         return [rule.operand]
                     },
                     form: { context in
                         let all = context.operands[0].shape.indices.map { Dim.index($0) }
                         return .scatter(kind, alongCoordinates(axis: context.attributes.int("axis"), all, indices: 2))
                     },
                     pullback: { gradients($0, Placement(axis: $0.attributes.int("axis"), isAlong: true)) },
                     samples: { dtype in
                         [scatterSample(dtype, [5, 3], [4, 3], .i64, [4, 3], axis: 0, from: -5...4),
                          scatterSample(dtype, [3, 5], [2, 3], .i16, [2, 3], axis: 1, from: -7...7),
                          scatterSample(dtype, ["n", 4], ["n", 1], .u32, ["n", 1], axis: 1, from: 0...3)]
                     })
    }

    private static func scatterRule(_ rule: inout ShapeRule, _ kind: ScatterKind) throws -> Int {
        let axis = try rule.axis()
        if kind != .set { try rule.demandDType(in: DType.numbers) }
        try rule.demandDType(2, in: DType.integers)
        try rule.demand(rule.operand.dtype == rule.operands[1].dtype, "the updates are \(rule.operands[1].dtype), the operand is \(rule.operand.dtype)",
                        fix: "cast the updates to \(rule.operand.dtype)")
        return axis
    }

    private static func scatterSample(_ dtype: DType, _ shape: Shape, _ updates: Shape, _ integer: DType, _ indices: Shape, axis: Int,
                                      from range: ClosedRange<Int>) -> OpSample {
        OpSample([TensorType(dtype, shape), TensorType(dtype, updates), TensorType(integer, indices)], ["axis": .int(axis)],
                 integerRanges: [2: range])
    }
}

// Reverse rules: operands are the tensor, the updates, the indices.
extension Structural {
    private static func addGradients(_ pull: PullbackContext, _ placement: Placement) -> [Value?] {
        [pull.cotangent, taken(pull.cotangent, pull, placement), nil]
    }

    /// What stands at each update's position, zero for updates that are dropped.
    private static func taken(_ value: Value, _ pull: PullbackContext, _ placement: Placement) -> Value {
        let (updates, indices, size) = (pull.operands[1], pull.operands[2], pull.operand.dims[placement.axis])
        if size == 0 { return updates.filled(0) }
        return placement.read(value, indices).kept(where: placement.widened(indices.isWithin(size), to: updates, indices: indices))
    }

    private static func setGradients(_ pull: PullbackContext, _ placement: Placement) -> [Value?] {
        let (updates, indices) = (pull.operands[1], pull.operands[2])
        let toOperand = placement.write(.set, pull.cotangent, updates.filled(0), indices)
        if pull.operand.dims[placement.axis] == 0 { return [toOperand, updates.filled(0), nil] }
        let stays = placement.widened(winners(pull, placement), to: updates, indices: indices)
        return [toOperand, placement.read(pull.cotangent, indices).kept(where: stays), nil]
    }

    /// For each index, whether its update is the last at its position: each writes its number, and sees whether it stands.
    private static func winners(_ pull: PullbackContext, _ placement: Placement) -> Value {
        let indices = pull.operands[2]
        if placement.isAlong {
            let numbers = indices.iota(.i64, indices.dims, axis: placement.axis)
            let nobody = pull.operand.full(-1, TensorType(.i64, pull.operand.dims), at: .unknown)
            return placement.read(placement.write(.set, nobody, numbers, indices), indices).compared(Elementwise.eq, numbers)
        }
        let row = Placement(axis: 0, isAlong: false)
        let flat = indices.reshaping(to: [indices.type.elementCount])
        let numbers = indices.iota(.i64, flat.dims, axis: 0)
        let nobody = pull.operand.full(-1, TensorType(.i64, [pull.operand.dims[placement.axis]]), at: .unknown)
        return row.read(row.write(.set, nobody, numbers, flat), flat).compared(Elementwise.eq, numbers).reshaping(to: indices.dims)
    }

    /// Each factor's gradient is the product of the others, right also where one factor of a product is zero.
    /// (A second derivative with respect to two zero factors of one product is taken to be zero.)
    private static func multiplyGradients(_ pull: PullbackContext, _ placement: Placement) -> [Value?] {
        let (operand, updates, indices) = (pull.operand, pull.operands[1], pull.operands[2])
        let toOperand = pull.cotangent.multiplied(by: placement.write(.multiply, operand.filled(1), updates, indices))
        let isZero = updates.compared(Elementwise.eq, updates.filled(0))
        let nonzero = updates.filled(1).chosen(where: isZero, else: updates)
        let zeros = taken(placement.write(.add, operand.filled(0), isZero.casting(to: operand.dtype), indices), pull, placement)
        let product = taken(placement.write(.multiply, operand, nonzero, indices), pull, placement)
        let ownZero = product.kept(where: zeros.compared(Elementwise.eq, zeros.filled(1)))
        let ownNumber = product.divided(by: nonzero).kept(where: zeros.compared(Elementwise.eq, zeros.filled(0)))
        let others = ownZero.chosen(where: isZero, else: ownNumber)
        return [toOperand, others.multiplied(by: taken(pull.cotangent, pull, placement)), nil]
    }

    private static func extremeGradients(_ pull: PullbackContext, _ placement: Placement) -> [Value?] {
        let (operand, updates, indices) = (pull.operand, pull.operands[1], pull.operands[2])
        let operandWins = operand.compared(Elementwise.eq, pull.result)
        if operand.dims[placement.axis] == 0 { return [pull.cotangent, updates.filled(0), nil] }
        let matches = updates.compared(Elementwise.eq, placement.read(pull.result, indices))
        let inRange = placement.widened(indices.isWithin(operand.dims[placement.axis]), to: updates, indices: indices)
        let updateWins = Value.apply(Elementwise.and, matches, inRange, at: .unknown)
        let count = placement.write(.add, operandWins.casting(to: operand.dtype), updateWins.casting(to: operand.dtype), indices)
        let share = pull.cotangent.divided(by: count)
        return [share.kept(where: operandWins), placement.read(share, indices).kept(where: updateWins), nil]
    }
}

extension Operand {
    /// This with updates combined in at the indices along the axis, row by row.
    public func scattering(_ op: OpDefinition, _ updates: Self, _ indices: Self, axis: Int, at location: SourceLocation = .unknown) -> Self {
        .apply(op, self, updates, indices, attributes: ["axis": .int(axis)], at: location)
    }

    /// One update for each index along the axis, combined as `kind` says: `torch.scatter` and `torch.scatter_add`; no index is negative.
    public func scatter(_ axis: Int, _ indices: Self, _ updates: Self, _ kind: ScatterKind = .set, file: StaticString = #fileID,
                        line: UInt = #line) -> Self {
        let location = SourceLocation(file, line), axis = counted(axis)
        let checked = bounding(indices, axis: axis, for: "scatter", countsFromEnd: false, at: location)
        return scattering(Structural.scatter(kind, along: true), updates, checked, axis: axis, at: location)
    }

    /// Whole rows put at, or added to, positions along the axis, from the end where negative: `torch.index_copy` and `torch.index_add`.
    public func put(_ indices: Self, _ updates: Self, axis: Int, _ kind: ScatterKind = .set, file: StaticString = #fileID,
                    line: UInt = #line) -> Self {
        putting(indices, updates, axis: axis, kind, for: "put", at: SourceLocation(file, line))
    }

    /// The same, as what the user called.
    package func putting(_ indices: Self, _ updates: Self, axis: Int, _ kind: ScatterKind = .set, for operation: String, at location: SourceLocation) -> Self {
        let axis = counted(axis), checked = bounding(indices, axis: axis, for: operation, countsFromEnd: true, at: location)
        return scattering(Structural.scatter(kind, along: false), updates, checked, axis: axis, at: location)
    }
}
