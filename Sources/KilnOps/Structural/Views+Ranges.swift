// Views that take, add or reorder positions along axes: slice, pad, flip, dilate, concatenate.
// Each is the others' gradient: a slice's is a pad (of a dilation, with steps), a concatenation's are slices.

import KilnIR

extension Structural {
    /// Positions `starts[k], starts[k] + steps[k], …` below `ends[k]` of each axis `k`.
    public static let slice = OpDefinition(
        "slice", attributes: ["starts", "ends", "steps"],
        rule: { rule in
            let rank = rule.operand.rank
            let starts = try rule.dims("starts", count: rank, each: "axis")
            let ends = try rule.dims("ends", count: rank, each: "axis")
            let steps = try rule.ints("steps", count: rank, each: "axis")
            for axis in 0..<rank {
                let (start, end, size) = (starts[axis], ends[axis], rule.operand.shape[axis])
                let problem = "\(start)..<\(end) is not within axis \(axis), of size \(size)"
                let fix = "give 0 <= start <= end <= \(size)"
                try rule.require(.isNonNegative(start), problem, fix: fix)
                try rule.require(.isNonNegative(end - start), problem, fix: fix)
                try rule.require(.isNonNegative(size - end), problem, fix: fix)
            }
            return [rule.operand.with(shape: (0..<rank).map { (ends[$0] - starts[$0]).dividedUp(by: .constant(steps[$0])) })]
        },
        form: { context in
            let (starts, steps) = (context.attributes.dims("starts"), context.attributes.ints("steps"))
            return .view(IndexMap(starts.indices.map { starts[$0] + .index($0) * .constant(steps[$0]) }))
        },
        pullback: { pull in
            let (starts, steps) = (pull.attributes.dims("starts"), pull.attributes.ints("steps"))
            let stepped = starts.indices.filter { steps[$0] != 1 }
            let spaced = pull.cotangent.dilating(stepped, by: stepped.map { steps[$0] })
            let high = starts.indices.map { pull.operand.dims[$0] - starts[$0] - spaced.dims[$0] }
            return [spaced.padding(low: starts, high: high)]
        },
        samples: { dtype in
            [OpSample([TensorType(dtype, [5, 7])], ["starts": .dims([1, 0]), "ends": .dims([4, 7]), "steps": .ints([1, 1])]),
             OpSample([TensorType(dtype, [7])], ["starts": .dims([1]), "ends": .dims([7]), "steps": .ints([3])]),
             OpSample([TensorType(dtype, [4, 6])], ["starts": .dims([0, 1]), "ends": .dims([4, 6]), "steps": .ints([3, 2])]),
             OpSample([TensorType(dtype, ["n", 5])], ["starts": .dims([0, 2]), "ends": .dims(["n", 5]), "steps": .ints([1, 2])]),
             OpSample([TensorType(dtype, [3])], ["starts": .dims([2]), "ends": .dims([2]), "steps": .ints([2])])]
        })

    /// `low[k]` positions of `value` before axis `k` and `high[k]` after it; negative numbers take away.
    public static let pad = OpDefinition(
        "pad", attributes: ["low", "high", "value"],
        rule: { rule in
            let rank = rule.operand.rank
            let low = try rule.dims("low", count: rank, each: "axis")
            let high = try rule.dims("high", count: rank, each: "axis")
            try rule.demand(rule.attributes.scalar("value") != nil, "needs the attribute `value`, a number", fix: "give `value`")
            let sizes = rule.operand.shape
            let shape = (0..<rank).map { sizes[$0] + low[$0] + high[$0] }
            for axis in 0..<rank {
                try rule.require(.isNonNegative(shape[axis]),
                                 "axis \(axis) of size \(sizes[axis]) can't lose what \(low[axis]) and \(high[axis]) take away",
                                 fix: "take away at most the axis's size")
            }
            return [rule.operand.with(shape: shape)]
        },
        form: { context in
            let (low, high) = (context.attributes.dims("low"), context.attributes.dims("high"))
            let operand = context.operands[0]
            let indices = low.indices.map { Dim.index($0) - low[$0] }
            var conditions: [IndexCondition] = []
            for axis in low.indices {
                if !IndexRanges.isNonNegative(-low[axis]) { conditions.append(.isNonNegative(indices[axis])) }
                if !IndexRanges.isNonNegative(-high[axis]) { conditions.append(.isNonNegative(operand.shape[axis] - 1 - indices[axis])) }
            }
            let fill = (context.attributes.scalar("value") ?? 0).converted(to: operand.dtype)
            return .view(IndexMap(pieces: [.init(indices: indices, conditions: conditions)], fill: fill))
        },
        pullback: { pull in
            [pull.cotangent.padding(low: pull.attributes.dims("low").map { -$0 }, high: pull.attributes.dims("high").map { -$0 })]
        },
        samples: { dtype in
            let one = Attribute.scalar(Scalar.integer(1).converted(to: dtype))
            return [OpSample([TensorType(dtype, [3, 5])], ["low": .dims([1, 0]), "high": .dims([2, 3]), "value": one]),
                    OpSample([TensorType(dtype, [7])], ["low": .dims([-2]), "high": .dims([3]), "value": one]),
                    OpSample([TensorType(dtype, [7])], ["low": .dims([4]), "high": .dims([-2]), "value": one]),
                    OpSample([TensorType(dtype, ["n", 3])], ["low": .dims([0, 1]), "high": .dims([1, 0]), "value": one]),
                    OpSample([TensorType(dtype, [0])], ["low": .dims([2]), "high": .dims([1]), "value": one])]
        })

    /// The positions along the axes in reverse.
    public static let flip = OpDefinition(
        "flip", attributes: ["axes"],
        rule: { rule in
            _ = try rule.axes()
            return [rule.operand]
        },
        form: { context in
            var indices = context.operands[0].shape.indices.map { Dim.index($0) }
            for axis in context.attributes.ints("axes") { indices[axis] = context.operands[0].shape[axis] - 1 - .index(axis) }
            return .view(IndexMap(indices))
        },
        pullback: { [$0.cotangent.flipping($0.attributes.ints("axes"))] },
        samples: { dtype in
            [OpSample([TensorType(dtype, [3, 5])], ["axes": .ints([1])]),
             OpSample([TensorType(dtype, ["n", 5])], ["axes": .ints([0, 1])]),
             OpSample([TensorType(dtype, [0, 1])], ["axes": .ints([0])])]
        })

    /// `factors[k] - 1` zeros between neighbours along `axes[k]`; an axis whose size is a symbol is taken to have an element.
    public static let dilate = OpDefinition(
        "dilate", attributes: ["axes", "factors"],
        rule: { rule in
            let axes = try rule.axes()
            let factors = try rule.ints("factors", count: axes.count, each: "axis")
            var shape = rule.operand.shape
            for (axis, factor) in zip(axes, factors) where shape[axis] != 0 {
                shape[axis] = (shape[axis] - 1) * .constant(factor) + 1
            }
            return [rule.operand.with(shape: shape)]
        },
        form: { context in
            var indices = context.operands[0].shape.indices.map { Dim.index($0) }
            var conditions: [IndexCondition] = []
            for (axis, factor) in zip(context.attributes.ints("axes"), context.attributes.ints("factors")) where factor != 1 {
                indices[axis] = .index(axis) / .constant(factor)
                conditions.append(.isZero(.index(axis) - .constant(factor) * indices[axis]))
            }
            let fill = Scalar.integer(0).converted(to: context.operands[0].dtype)
            return .view(IndexMap(pieces: [.init(indices: indices, conditions: conditions)], fill: fill))
        },
        pullback: { pull in
            let shape = pull.cotangent.dims
            var steps = shape.map { _ in 1 }
            for (axis, factor) in zip(pull.attributes.ints("axes"), pull.attributes.ints("factors")) { steps[axis] = factor }
            return [pull.cotangent.slicing(starts: shape.map { _ in 0 }, ends: shape, steps: steps)]
        },
        samples: { dtype in
            [OpSample([TensorType(dtype, [3, 5])], ["axes": .ints([1]), "factors": .ints([3])]),
             OpSample([TensorType(dtype, [3, 4])], ["axes": .ints([0, 1]), "factors": .ints([2, 1])]),
             OpSample([TensorType(dtype, ["n", 3])], ["axes": .ints([0]), "factors": .ints([2])]),
             OpSample([TensorType(dtype, [0, 1])], ["axes": .ints([0, 1]), "factors": .ints([2, 3])])]
        })

    /// The operands one after the other along the axis.
    public static let concatenate = OpDefinition(
        "concatenate", operandCount: nil, attributes: ["axis"],
        rule: { rule in
            try rule.demand(!rule.operands.isEmpty, "has nothing to concatenate", fix: "pass at least one operand")
            let axis = try rule.axis()
            var result = rule.operand
            for (number, type) in rule.operands.enumerated().dropFirst() {
                try rule.demand(type.dtype == result.dtype && type.rank == result.rank,
                                "operand \(number) is \(type), which does not go with \(rule.operand)",
                                fix: "give all operands the same dtype and rank")
                for other in 0..<result.rank where other != axis {
                    try rule.requireEqual(type.shape[other], result.shape[other],
                                          "operand \(number) has size \(type.shape[other]) along axis \(other), operand 0 has \(result.shape[other])",
                                          fix: "make all sizes but those along axis \(axis) equal")
                }
                result.shape[axis] += type.shape[axis]
            }
            return [result]
        },
        form: { context in
            let axis = context.attributes.int("axis")
            var offset: Dim = 0
            var pieces: [IndexMap.Piece] = []
            for (number, type) in context.operands.enumerated() {
                var indices = type.shape.indices.map { Dim.index($0) }
                indices[axis] = .index(axis) - offset
                var conditions: [IndexCondition] = []
                if number > 0 { conditions.append(.isNonNegative(indices[axis])) }
                if number < context.operands.count - 1 { conditions.append(.isNonNegative(type.shape[axis] - 1 - indices[axis])) }
                pieces.append(.init(operand: number, indices: indices, conditions: conditions))
                offset += type.shape[axis]
            }
            return .view(IndexMap(pieces: pieces, fill: Scalar.integer(0).converted(to: context.operands[0].dtype)))
        },
        pullback: { pull in
            let axis = pull.attributes.int("axis")
            var offset: Dim = 0
            return pull.operands.map { operand in
                var (starts, ends) = (operand.dims.map { _ in Dim.constant(0) }, operand.dims)
                starts[axis] = offset
                offset += operand.dims[axis]
                ends[axis] = offset
                return pull.cotangent.slicing(starts: starts, ends: ends)
            }
        },
        samples: { dtype in
            [OpSample([TensorType(dtype, [3, 5]), TensorType(dtype, [3, 2])], ["axis": .int(1)]),
             OpSample([TensorType(dtype, [3]), TensorType(dtype, [0]), TensorType(dtype, [1]), TensorType(dtype, [2])], ["axis": .int(0)]),
             OpSample([TensorType(dtype, ["n", 3]), TensorType(dtype, [2, 3])], ["axis": .int(0)]),
             OpSample([TensorType(dtype, [2, 3])], ["axis": .int(0)])]
        })
}
