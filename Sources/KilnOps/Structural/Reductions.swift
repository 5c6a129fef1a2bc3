// Reductions along axes. In comes a tensor; out goes one without the axes.
// Sums and products of f16 and bf16 are kept in f32 and rounded once at the end; integers wrap in their own dtype.

import KilnIR

extension Structural {
    static let reductions = [reduceSum, reduceProduct, reduceMax, reduceMin, reduceAny, reduceAll, reduceArgmax, reduceArgmin]

    public static let reduceSum = OpDefinition(
        "reduce_sum", attributes: ["axes"], dtypes: DType.numbers,
        rule: { rule in
            try rule.demandDType(in: DType.numbers)
            return [rule.operand.without(try rule.axes())]
        },
        form: { reductionForm(.sum, $0) },
        pullback: { [$0.cotangent.repeating(over: $0.attributes.ints("axes"), of: $0.operand.dims)] },
        samples: reductionSamples)

    public static let reduceProduct = OpDefinition(
        "reduce_product", attributes: ["axes"], dtypes: DType.numbers,
        rule: { rule in
            try rule.demandDType(in: DType.numbers)
            return [rule.operand.without(try rule.axes())]
        },
        form: { reductionForm(.product, $0) },
        pullback: { pull in
            // The product of all others is the product of those before times that of those after: right also with zeros.
            let row = pull.operand.gatheringAxes(pull.attributes.ints("axes"))
            let axis = row.rank - 1
            let others = row.scanning(scanProduct, axis: axis, exclusive: true)
                .multiplied(by: row.scanning(scanProduct, axis: axis, reverse: true, exclusive: true))
            let gradient = others.multiplied(by: pull.cotangent.repeating(over: [axis], of: row.dims))
            return [gradient.restoringAxes(pull.attributes.ints("axes"), of: pull.operand.dims)]
        },
        samples: reductionSamples)

    /// The greatest element; NaN where there is one. The attribute `ties` matters to the gradient alone: `even`, the default, spreads
    /// it over all the greatest, as `torch.amax`; `first` gives it to the first, as pooling.
    public static let reduceMax = OpDefinition(
        "reduce_max", attributes: ["axes", "ties"], dtypes: DType.numbers,
        rule: { try extremeRule(&$0) },
        form: { reductionForm(.maximum, $0) },
        pullback: { [extremePullback($0, first: reduceArgmax)] },
        samples: { reductionSamples($0, ties: true) })

    /// The least element; otherwise as `reduce_max`.
    public static let reduceMin = OpDefinition(
        "reduce_min", attributes: ["axes", "ties"], dtypes: DType.numbers,
        rule: { try extremeRule(&$0) },
        form: { reductionForm(.minimum, $0) },
        pullback: { [extremePullback($0, first: reduceArgmin)] },
        samples: { reductionSamples($0, ties: true) })

    public static let reduceAny = OpDefinition(
        "reduce_any", attributes: ["axes"], dtypes: [.bool],
        rule: { rule in
            try rule.demandDType(in: [.bool])
            return [rule.operand.without(try rule.axes())]
        },
        form: { reductionForm(.any, $0) },
        samples: reductionSamples)

    public static let reduceAll = OpDefinition(
        "reduce_all", attributes: ["axes"], dtypes: [.bool],
        rule: { rule in
            try rule.demandDType(in: [.bool])
            return [rule.operand.without(try rule.axes())]
        },
        form: { reductionForm(.all, $0) },
        samples: reductionSamples)

    /// The position, as i64, of the first greatest element along one axis; NaN is beyond every number.
    public static let reduceArgmax = OpDefinition(
        "reduce_argmax", attributes: ["axes"], dtypes: DType.numbers,
        rule: { try positionRule(&$0) },
        form: { reductionForm(.argmax, $0) },
        samples: { reductionSamples($0).filter { $0.attributes.ints("axes").count == 1 && $0.operands[0].elementCount != 0 } })

    /// The position, as i64, of the first least element along one axis; NaN is beyond every number.
    public static let reduceArgmin = OpDefinition(
        "reduce_argmin", attributes: ["axes"], dtypes: DType.numbers,
        rule: { try positionRule(&$0) },
        form: { reductionForm(.argmin, $0) },
        samples: { reductionSamples($0).filter { $0.attributes.ints("axes").count == 1 && $0.operands[0].elementCount != 0 } })

    /// A reduction over no axes is the operand itself.
    private static func reductionForm(_ kind: ReductionKind, _ context: OpContext) -> Form {
        let axes = context.attributes.ints("axes")
        return axes.isEmpty ? .view(IndexMap(context.operands[0].shape.indices.map { .index($0) })) : .reduce(kind, axes: axes)
    }

    private static func extremeRule(_ rule: inout ShapeRule) throws -> [TensorType] {
        try rule.demandDType(in: DType.numbers)
        let axes = try rule.axes()
        if let ties = rule.attributes["ties"] {
            try rule.demand(ties == .string("first") || ties == .string("even"), "`ties` is neither `first` nor `even`", fix: "give one of the two")
        }
        for axis in axes { try demandElements(&rule, axis) }
        return [rule.operand.without(axes)]
    }

    private static func positionRule(_ rule: inout ShapeRule) throws -> [TensorType] {
        try rule.demandDType(in: DType.numbers)
        let axes = try rule.axes()
        try rule.demand(axes.count == 1, "is over one axis, was given \(axes.count)", fix: "flatten the axes first, or take one")
        try demandElements(&rule, axes[0])
        return [rule.operand.without(axes).with(dtype: .i64)]
    }

    private static func demandElements(_ rule: inout ShapeRule, _ axis: Int) throws {
        let size = rule.operand.shape[axis]
        try rule.require(.isNonNegative(size - 1), "axis \(axis) of size \(size) may be empty, and an empty axis has no greatest or least element",
                         fix: "reduce axes that have an element")
    }

    /// To all the extreme elements evenly, or to the first.
    private static func extremePullback(_ pull: PullbackContext, first position: OpDefinition) -> Value {
        let axes = pull.attributes.ints("axes")
        if pull.attributes.string("ties") == "first" {
            let row = pull.operand.gatheringAxes(axes)
            let last = row.rank - 1
            let place = row.reducing(position, [last]).repeating(over: [last], of: row.dims)
            let gradient = pull.cotangent.repeating(over: [last], of: row.dims)
                .kept(where: row.iota(.i64, row.dims, axis: last).compared(Elementwise.eq, place))
            return gradient.restoringAxes(axes, of: pull.operand.dims)
        }
        let (operand, shape) = (pull.operand, pull.operand.dims)
        let isExtreme = operand.compared(Elementwise.eq, pull.result.repeating(over: axes, of: shape))
        let count = isExtreme.casting(to: operand.dtype).reducing(reduceSum, axes)
        let share = Value.apply(Elementwise.div, pull.cotangent, count, at: .unknown)
        return share.repeating(over: axes, of: shape).kept(where: isExtreme)
    }

    static func reductionSamples(_ dtype: DType) -> [OpSample] { reductionSamples(dtype, ties: false) }

    private static func reductionSamples(_ dtype: DType, ties: Bool) -> [OpSample] {
        var samples = [OpSample([TensorType(dtype, [3, 5])], ["axes": .ints([1])]),
                       OpSample([TensorType(dtype, [7, 3])], ["axes": .ints([0])]),
                       OpSample([TensorType(dtype, [2, 3, 5])], ["axes": .ints([0, 2])]),
                       OpSample([TensorType(dtype, [3, 37])], ["axes": .ints([0, 1])]),
                       OpSample([TensorType(dtype, ["n", 5])], ["axes": .ints([1])]),
                       OpSample([TensorType(dtype, [4, 1])], ["axes": .ints([1])]),
                       OpSample([TensorType(dtype, [3])], ["axes": .ints([])])]
        if ties {
            samples.append(OpSample([TensorType(dtype, [2, 3, 5])], ["axes": .ints([1, 2]), "ties": .string("first")]))
        } else {
            samples.append(OpSample([TensorType(dtype, [3, 0])], ["axes": .ints([1])]))
            samples.append(OpSample([TensorType(dtype, [0, 3])], ["axes": .ints([1])]))
        }
        return samples
    }
}

extension TensorType {
    /// The type without the given axes.
    func without(_ axes: [Int]) -> TensorType { with(shape: shape.indices.filter { !axes.contains($0) }.map { shape[$0] }) }
}

extension Operand {
    /// A reduction over the axes; over none, the operand itself.
    public func reducing(_ op: OpDefinition, _ axes: [Int], at location: SourceLocation = .unknown) -> Self {
        axes.isEmpty ? self : .apply(op, self, attributes: ["axes": .ints(axes)], at: location)
    }

    /// The given axes moved to the end and merged into one.
    func gatheringAxes(_ axes: [Int], at location: SourceLocation = .unknown) -> Self {
        let kept = dims.indices.filter { !axes.contains($0) }
        let size = axes.reduce(Dim.constant(1)) { $0 * dims[$1] }
        return permuting(kept + axes.sorted(), at: location).reshaping(to: kept.map { dims[$0] } + [size], at: location)
    }

    /// The inverse of `gatheringAxes`, for an operand of the given shape.
    func restoringAxes(_ axes: [Int], of shape: Shape, at location: SourceLocation = .unknown) -> Self {
        let order = shape.indices.filter { !axes.contains($0) } + axes.sorted()
        var inverse = order
        for (position, axis) in order.enumerated() { inverse[axis] = position }
        return reshaping(to: order.map { shape[$0] }, at: location).permuting(inverse, at: location)
    }
}
