// Views that keep each element in its row-major place or permute whole axes: reshape, permute, broadcast.
// In come a type and attributes; out go the result's type, the index map, and the gradient as views again.

import KilnIR

extension Structural {
    static let views = [reshape, permute, broadcast, slice, pad, flip, dilate, concatenate]

    /// The same elements in row-major order under another shape.
    public static let reshape = OpDefinition(
        "reshape", attributes: ["shape"],
        rule: { rule in
            guard case .dims(let shape)? = rule.attributes["shape"] else { throw rule.error("needs the attribute `shape`", fix: "give `shape`") }
            for size in shape {
                try rule.require(.isNonNegative(size), "the shape \(shape.text) has a negative size", fix: "give sizes of at least 0")
            }
            let result = rule.operand.with(shape: shape)
            let (count, held) = (rule.operand.elementCount, result.elementCount)
            try rule.requireEqual(count, held, "\(count) elements can't take the shape \(shape.text), which holds \(held)",
                                  fix: "give a shape with as many elements as the operand, or -1 for one axis")
            return [result]
        },
        form: { context in
            let target = context.attributes.dims("shape")
            if target.contains(0) { return .view(IndexMap(context.operands[0].shape.map { _ in 0 })) }
            return .view(.reshape(from: context.operands[0].shape, to: target))
        },
        pullback: { [$0.cotangent.reshaping(to: $0.operand.dims)] },
        samples: { dtype in
            [OpSample([TensorType(dtype, [4, 6])], ["shape": .dims([3, 8])]),
             OpSample([TensorType(dtype, [2, 3, 5])], ["shape": .dims([5, 1, 6])]),
             OpSample([TensorType(dtype, ["n", 6])], ["shape": .dims(["n", 2, 3])]),
             OpSample([TensorType(dtype, ["n", 6])], ["shape": .dims([6 * .symbol("n")])]),
             OpSample([TensorType(dtype, [1, 1])], ["shape": .dims([])]),
             OpSample([TensorType(dtype, [0, 3])], ["shape": .dims([5, 0])])]
        })

    /// Result axis `k` is operand axis `axes[k]`.
    public static let permute = OpDefinition(
        "permute", attributes: ["axes"],
        rule: { rule in
            let axes = try rule.axes()
            try rule.demand(axes.count == rule.operand.rank, "`axes` has \(axes.count) of the operand's \(rule.operand.rank) axes",
                            fix: "name each axis of the operand once")
            return [rule.operand.with(shape: axes.map { rule.operand.shape[$0] })]
        },
        form: { context in
            var indices = context.operands[0].shape
            for (position, axis) in context.attributes.ints("axes").enumerated() { indices[axis] = .index(position) }
            return .view(IndexMap(indices))
        },
        pullback: { pull in
            let axes = pull.attributes.ints("axes")
            var inverse = axes
            for (position, axis) in axes.enumerated() { inverse[axis] = position }
            return [pull.cotangent.permuting(inverse)]
        },
        samples: { dtype in
            [OpSample([TensorType(dtype, [3, 5])], ["axes": .ints([1, 0])]),
             OpSample([TensorType(dtype, ["n", 3, 5])], ["axes": .ints([2, 0, 1])]),
             OpSample([TensorType(dtype, [3, 0, 1])], ["axes": .ints([2, 1, 0])]),
             OpSample([TensorType(dtype, [])], ["axes": .ints([])])]
        })

    /// Operand axis `k` becomes result axis `axes[k]`; its size is that axis's or 1.
    public static let broadcast = OpDefinition(
        "broadcast", attributes: ["shape", "axes"],
        rule: { rule in
            guard case .dims(let shape)? = rule.attributes["shape"], case .ints(let axes)? = rule.attributes["axes"] else {
                throw rule.error("needs the attributes `shape` and `axes`", fix: "give both")
            }
            try rule.demand(axes.count == rule.operand.rank && axes.allSatisfy { shape.indices.contains($0) }
                                && zip(axes, axes.dropFirst()).allSatisfy { $0 < $1 },
                            "`axes` \(axes) does not place the operand's \(rule.operand.rank) axes in a shape of \(shape.count)",
                            fix: "give an axis of the result for each of the operand's, in increasing order")
            for (position, axis) in axes.enumerated() where rule.operand.shape[position] != 1 {
                let size = rule.operand.shape[position]
                try rule.requireEqual(size, shape[axis], "axis \(position) of size \(size) can't become axis \(axis) of \(shape.text)",
                                      fix: "make the size 1 or \(shape[axis])")
            }
            return [rule.operand.with(shape: shape)]
        },
        form: { context in
            let shape = context.operands[0].shape
            return .view(IndexMap(zip(shape, context.attributes.ints("axes")).map { size, axis in size == 1 ? 0 : .index(axis) }))
        },
        pullback: { pull in
            let (from, to) = (pull.operand.dims, pull.attributes.dims("shape"))
            var summed = Set(to.indices)
            for (position, axis) in pull.attributes.ints("axes").enumerated() where from[position] != 1 || to[axis] == 1 {
                summed.remove(axis)
            }
            return [pull.cotangent.reducing(Structural.reduceSum, summed.sorted()).reshaping(to: from)]
        },
        samples: { dtype in
            [OpSample([TensorType(dtype, [5])], ["shape": .dims([3, 5]), "axes": .ints([1])]),
             OpSample([TensorType(dtype, [3, 1])], ["shape": .dims([3, 7]), "axes": .ints([0, 1])]),
             OpSample([TensorType(dtype, ["n", 1])], ["shape": .dims(["n", 2, 3]), "axes": .ints([0, 2])]),
             OpSample([TensorType(dtype, [])], ["shape": .dims([2, 3]), "axes": .ints([])]),
             OpSample([TensorType(dtype, [1])], ["shape": .dims([0]), "axes": .ints([0])])]
        })
}
