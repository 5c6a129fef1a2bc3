// Windows that slide along axes, and their transpose: what convolution's weight gradient and pooling read, and how their gradients
// come back. In come a type and the windows' sizes, strides and dilations; out go views.

import KilnIR

extension Structural {
    static let windowing = [windows, collect, spread]

    /// Sliding windows: axis `axes[j]` becomes the windows' number, and a new last axis the position within the window.
    ///
    ///     result[…, p, …, k] = operand[…, p * stride + k * dilation, …]
    public static let windows = OpDefinition(
        "windows", attributes: ["axes", "sizes", "strides", "dilations"],
        rule: { rule in
            let axes = try rule.axes()
            let sizes = try rule.ints("sizes", count: axes.count, each: "axis")
            let strides = try rule.ints("strides", count: axes.count, each: "axis")
            let dilations = try rule.ints("dilations", count: axes.count, each: "axis")
            var shape = rule.operand.shape
            for (number, axis) in axes.enumerated() {
                let span = windowSpan(sizes[number], dilations[number])
                try rule.require(.isNonNegative(shape[axis] - span), "a window spans \(span) positions, axis \(axis) has \(shape[axis])",
                                 fix: "pad the axis, or make the window smaller")
                shape[axis] = (shape[axis] - span) / .constant(strides[number]) + 1
            }
            return [rule.operand.with(shape: shape + sizes.map { .constant($0) })]
        },
        form: { context in
            let (strides, dilations) = (context.attributes.ints("strides"), context.attributes.ints("dilations"))
            let rank = context.operands[0].rank
            var indices = (0..<rank).map { Dim.index($0) }
            for (number, axis) in context.attributes.ints("axes").enumerated() {
                indices[axis] = .index(axis) * .constant(strides[number]) + .index(rank + number) * .constant(dilations[number])
            }
            return .view(IndexMap(indices))
        },
        pullback: { pull in
            let attributes = pull.attributes
            return [pull.cotangent.unwindowing(to: pull.operand.dims, axes: attributes.ints("axes"), strides: attributes.ints("strides"),
                                               dilations: attributes.ints("dilations"))]
        },
        samples: { dtype in
            [windowSample(TensorType(dtype, [7]), axes: [0], sizes: [3], strides: [1], dilations: [1]),
             windowSample(TensorType(dtype, [2, 7, 5]), axes: [1, 2], sizes: [2, 2], strides: [2, 2], dilations: [1, 1]),
             windowSample(TensorType(dtype, [8, 7]), axes: [0, 1], sizes: [2, 3], strides: [3, 1], dilations: [2, 2]),
             windowSample(TensorType(dtype, ["n", 6]), axes: [1], sizes: [3], strides: [2], dilations: [1]),
             windowSample(TensorType(dtype, [0, 3]), axes: [1], sizes: [3], strides: [1], dilations: [1])]
        })

    /// One window position of each last axis from an operand that has its own copy of the axis for each: the transpose of `spread`.
    ///
    ///     result[…, p, …, k] = operand[…, p * stride + k * dilation, …, k], 0 outside
    public static let collect = OpDefinition(
        "collect", attributes: ["axes", "counts", "strides", "dilations"],
        rule: { rule in try windowAxes(&rule, extents: "counts") },
        form: { context in
            let (counts, strides, dilations) = (context.attributes.dims("counts"), context.attributes.ints("strides"), context.attributes.ints("dilations"))
            let shape = context.operands[0].shape
            var indices = shape.indices.map { Dim.index($0) }
            var conditions: [IndexCondition] = []
            for (number, axis) in context.attributes.ints("axes").enumerated() {
                let window = shape.count - counts.count + number
                indices[axis] = .index(axis) * .constant(strides[number]) + .index(window) * .constant(dilations[number])
                let last = (counts[number] - 1) * .constant(strides[number]) + (shape[window] - 1) * .constant(dilations[number])
                if !IndexRanges.isNonNegative(shape[axis] - 1 - last) { conditions.append(.isNonNegative(shape[axis] - 1 - indices[axis])) }
            }
            return .view(IndexMap(pieces: [.init(indices: indices, conditions: conditions)], fill: zero(of: context)))
        },
        pullback: { pull in
            let axes = pull.attributes.ints("axes")
            return [pull.cotangent.spreading(axes, extents: axes.map { pull.operand.dims[$0] }, strides: pull.attributes.ints("strides"),
                                             dilations: pull.attributes.ints("dilations"))]
        },
        samples: { dtype in
            [OpSample([TensorType(dtype, [2, 7, 3])],
                      ["axes": .ints([1]), "counts": .dims([5]), "strides": .ints([1]), "dilations": .ints([1])]),
             OpSample([TensorType(dtype, [7, 2])],
                      ["axes": .ints([0]), "counts": .dims([3]), "strides": .ints([3]), "dilations": .ints([2])])]
        })

    /// Each window's elements at the positions where they were read, with a copy of the axis for each position in the window.
    ///
    ///     result[…, i, …, k] = operand[…, (i - k * dilation) / stride, …, k] where that is a whole number in range, else 0
    public static let spread = OpDefinition(
        "spread", attributes: ["axes", "extents", "strides", "dilations"],
        rule: { rule in try windowAxes(&rule, extents: "extents") },
        form: { context in
            let (strides, dilations) = (context.attributes.ints("strides"), context.attributes.ints("dilations"))
            let shape = context.operands[0].shape
            var indices = shape.indices.map { Dim.index($0) }
            var conditions: [IndexCondition] = []
            for (number, axis) in context.attributes.ints("axes").enumerated() {
                let offset = Dim.index(axis) - .index(shape.count - strides.count + number) * .constant(dilations[number])
                indices[axis] = offset / .constant(strides[number])
                conditions.append(.isNonNegative(offset))
                conditions.append(.isNonNegative(shape[axis] - 1 - indices[axis]))
                if strides[number] != 1 { conditions.append(.isZero(offset - .constant(strides[number]) * indices[axis])) }
            }
            return .view(IndexMap(pieces: [.init(indices: indices, conditions: conditions)], fill: zero(of: context)))
        },
        pullback: { pull in
            let axes = pull.attributes.ints("axes")
            return [pull.cotangent.collecting(axes, counts: axes.map { pull.operand.dims[$0] }, strides: pull.attributes.ints("strides"),
                                              dilations: pull.attributes.ints("dilations"))]
        },
        samples: { dtype in
            [OpSample([TensorType(dtype, [2, 5, 3])],
                      ["axes": .ints([1]), "extents": .dims([7]), "strides": .ints([1]), "dilations": .ints([1])]),
             OpSample([TensorType(dtype, [3, 2, 2, 3])],
                      ["axes": .ints([0, 1]), "extents": .dims([9, 7]), "strides": .ints([3, 1]), "dilations": .ints([2, 2])])]
        })

    /// The rule of `collect` and `spread`: the axes get new sizes, and the last ones are the positions within windows.
    private static func windowAxes(_ rule: inout ShapeRule, extents name: String) throws -> [TensorType] {
        let axes = try rule.axes()
        let extents = try rule.dims(name, count: axes.count, each: "axis")
        _ = try rule.ints("strides", count: axes.count, each: "axis")
        _ = try rule.ints("dilations", count: axes.count, each: "axis")
        var shape = rule.operand.shape
        try rule.demand(axes.allSatisfy { $0 < shape.count - axes.count }, "`axes` \(axes) are not before the last \(axes.count) axes",
                        fix: "give one last axis for each windowed axis")
        for (axis, extent) in zip(axes, extents) {
            try rule.require(.isNonNegative(extent), "`\(name)` has the negative size \(extent)", fix: "give sizes of at least 0")
            shape[axis] = extent
        }
        return [rule.operand.with(shape: shape)]
    }

    /// The positions from a window's first to its last.
    static func windowSpan(_ size: Int, _ dilation: Int) -> Dim { .constant(size - 1) * .constant(dilation) + 1 }

    private static func zero(of context: OpContext) -> Scalar { Scalar.integer(0).converted(to: context.operands[0].dtype) }

    private static func windowSample(_ type: TensorType, axes: [Int], sizes: [Int], strides: [Int], dilations: [Int]) -> OpSample {
        OpSample([type], ["axes": .ints(axes), "sizes": .ints(sizes), "strides": .ints(strides), "dilations": .ints(dilations)])
    }
}

extension Operand {
    /// Sliding windows along axes, with new last axes for the positions within the windows.
    public func windowing(_ axes: [Int], sizes: [Int], strides: [Int], dilations: [Int], at location: SourceLocation = .unknown) -> Self {
        .apply(Structural.windows, self,
               attributes: ["axes": .ints(axes), "sizes": .ints(sizes), "strides": .ints(strides), "dilations": .ints(dilations)], at: location)
    }

    func spreading(_ axes: [Int], extents: [Dim], strides: [Int], dilations: [Int], at location: SourceLocation = .unknown) -> Self {
        .apply(Structural.spread, self,
               attributes: ["axes": .ints(axes), "extents": .dims(extents), "strides": .ints(strides), "dilations": .ints(dilations)], at: location)
    }

    func collecting(_ axes: [Int], counts: [Dim], strides: [Int], dilations: [Int], at location: SourceLocation = .unknown) -> Self {
        .apply(Structural.collect, self,
               attributes: ["axes": .ints(axes), "counts": .dims(counts), "strides": .ints(strides), "dilations": .ints(dilations)], at: location)
    }

    /// Sums windows back to where they were read: the transpose of `windowing`, whose operand had the given shape.
    ///
    /// Windows that do not overlap move by reshapes and pads alone; others are spread and summed.
    public func unwindowing(to shape: Shape, axes: [Int], strides: [Int], dilations: [Int], at location: SourceLocation = .unknown) -> Self {
        let first = rank - axes.count
        guard first == shape.count else {
            return mistaken("unwindowing", "has \(rank) axes for \(shape.text) and \(axes.count) windows",
                            fix: "pass windows of that shape", at: location)
        }
        let sizes = axes.indices.map { dims[first + $0].constant }
        let overlaps = axes.indices.contains { number in
            guard let size = sizes[number], let span = Structural.windowSpan(size, dilations[number]).constant else { return true }
            return span > strides[number]
        }
        if overlaps {
            return spreading(axes, extents: axes.map { shape[$0] }, strides: strides, dilations: dilations, at: location)
                .reducing(Structural.reduceSum, Array(first..<rank), at: location)
        }
        return interleaving(to: shape, axes: axes, strides: strides, dilations: dilations, at: location)
    }

    /// Windows that do not overlap, laid one after the other.
    private func interleaving(to shape: Shape, axes: [Int], strides: [Int], dilations: [Int], at location: SourceLocation) -> Self {
        let first = shape.count
        let spaced = dilating(axes.indices.map { first + $0 }, by: dilations, at: location)
        var tail = spaced.dims.map { _ in Dim.constant(0) }
        for (number, stride) in strides.enumerated() { tail[first + number] = .constant(stride) - spaced.dims[first + number] }
        let full = spaced.padding(low: tail.map { _ in 0 }, high: tail, at: location)
        let order = (0..<first).flatMap { axis in [axis] + (axes.firstIndex(of: axis).map { [first + $0] } ?? []) }
        var merged = Array(dims[..<first])
        for (axis, stride) in zip(axes, strides) { merged[axis] *= .constant(stride) }
        return full.permuting(order, at: location).reshaping(to: merged, at: location)
            .padding(low: merged.map { _ in 0 }, high: zip(shape, merged).map { $0 - $1 }, at: location)
    }
}
