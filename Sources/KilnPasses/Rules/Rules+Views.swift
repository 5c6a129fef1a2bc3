// Rules about views: those that change nothing vanish, two of a kind are one, and the cheaper kind is taken where two would do.

import KilnIR
import KilnOps

extension Rules {
    private static let views = [Structural.reshape, Structural.permute, Structural.broadcast, Structural.slice, Structural.pad,
                                Structural.flip, Structural.dilate, Structural.concatenate]

    private static let matrix = TensorType(.f32, ["n", 6])

    static let identityViews = rules {
        Rule("a view that changes nothing", roots: views, examples: {
            [try example([matrix]) { $0.apply(Structural.reshape, $1, ["shape": .dims(["n", 6])]) },
             try example([matrix]) { $0.apply(Structural.permute, $1, ["axes": .ints([0, 1])]) },
             try example([matrix]) { $0.apply(Structural.broadcast, $1, ["shape": .dims(["n", 6]), "axes": .ints([0, 1])]) },
             try example([matrix]) { $0.apply(Structural.slice, $1, ["starts": .dims([0, 0]), "ends": .dims(["n", 6]), "steps": .ints([1, 1])]) },
             try example([matrix]) { $0.apply(Structural.pad, $1, ["low": .dims([0, 0]), "high": .dims([0, 0]), "value": .scalar(.real(1))]) },
             try example([matrix]) { $0.apply(Structural.flip, $1, ["axes": .ints([])]) },
             try example([TensorType(.f32, [1, 6])]) { $0.apply(Structural.flip, $1, ["axes": .ints([0])]) },
             try example([matrix]) { $0.apply(Structural.dilate, $1, ["axes": .ints([0]), "factors": .ints([1])]) },
             try example([matrix]) { $0.apply(Structural.concatenate, $1, ["axis": .int(0)]) }]
        }, rewrite: { site in
            guard let operand = site.operands.first, site.operands.count == 1, operand.type == site.type,
                case .view(let map) = try site.operation.op.form(site.context), map.pieces.count == 1,
                map.pieces[0].isIdentity(over: site.type.shape) else { return nil }
            return [operand]
        })
        Rule("permute of axes of size 1 is reshape", roots: [Structural.permute], examples: {
            [try example([TensorType(.f32, ["n", 1, 6])]) { $0.apply(Structural.permute, $1, ["axes": .ints([1, 0, 2])]) }]
        }, rewrite: { site in
            let shape = site.operands[0].dims
            let moved = site.attributes.ints("axes").filter { shape[$0] != 1 }
            guard moved == moved.sorted() else { return nil }
            return [reshape(site.operands[0], to: site.type.shape, at: site)]
        })
        Rule("broadcast that adds axes of size 1 is reshape", roots: [Structural.broadcast], examples: {
            [try example([TensorType(.f32, ["n", 6])]) { $0.apply(Structural.broadcast, $1, ["shape": .dims([1, "n", 1, 6]), "axes": .ints([1, 3])]) }]
        }, rewrite: { site in
            let (from, to, axes) = (site.operands[0].dims, site.type.shape, site.attributes.ints("axes"))
            guard zip(from, axes).allSatisfy({ $0 == to[$1] }), to.indices.allSatisfy({ axes.contains($0) || to[$0] == 1 }) else { return nil }
            return [reshape(site.operands[0], to: to, at: site)]
        })
    }

    static let viewsOfViews = rules {
        Rule("reshape of reshape", roots: [Structural.reshape], examples: {
            [try example([TensorType(.f32, ["n", 6])]) {
                let first = $0.apply(Structural.reshape, $1, ["shape": .dims(["n", 2, 3])])
                return $0.apply(Structural.reshape, [first], ["shape": .dims([3 * .symbol("n"), 2])])
            }]
        }, rewrite: { site in
            guard let inner = site.operand(0, madeBy: Structural.reshape) else { return nil }
            return [reshape(site.value(inner.operands[0]), to: site.type.shape, at: site)]
        })
        Rule("permute of permute", roots: [Structural.permute], examples: {
            [try example([TensorType(.f32, ["n", 2, 3])]) {
                let first = $0.apply(Structural.permute, $1, ["axes": .ints([1, 2, 0])])
                return $0.apply(Structural.permute, [first], ["axes": .ints([2, 1, 0])])
            }]
        }, rewrite: { site in
            guard let inner = site.operand(0, madeBy: Structural.permute) else { return nil }
            let first = inner.attributes.ints("axes")
            return [site.apply(Structural.permute, [site.value(inner.operands[0])],
                               ["axes": .ints(site.attributes.ints("axes").map { first[$0] })])]
        })
        Rule("broadcast of broadcast", roots: [Structural.broadcast], examples: {
            [try example([TensorType(.f32, ["n", 1])]) {
                let first = $0.apply(Structural.broadcast, $1, ["shape": .dims(["n", 1, 5]), "axes": .ints([0, 1])])
                return $0.apply(Structural.broadcast, [first], ["shape": .dims([2, "n", 4, 5]), "axes": .ints([1, 2, 3])])
            }]
        }, rewrite: { site in
            guard let inner = site.operand(0, madeBy: Structural.broadcast) else { return nil }
            let second = site.attributes.ints("axes")
            return [broadcast(site.value(inner.operands[0]), to: site.type.shape, inner.attributes.ints("axes").map { second[$0] }, at: site)]
        })
        Rule("broadcast of reshape that adds axes of size 1", roots: [Structural.broadcast], examples: {
            [try example([TensorType(.f32, ["n", 6])]) {
                let first = $0.apply(Structural.reshape, $1, ["shape": .dims(["n", 1, 6])])
                return $0.apply(Structural.broadcast, [first], ["shape": .dims(["n", 4, 6]), "axes": .ints([0, 1, 2])])
            }]
        }, rewrite: { site in
            guard let inner = site.operand(0, madeBy: Structural.reshape),
                let places = placesOfAxes(of: site.type(of: inner.operands[0]).shape, in: site.operands[0].dims) else { return nil }
            let axes = site.attributes.ints("axes")
            return [broadcast(site.value(inner.operands[0]), to: site.type.shape, places.map { axes[$0] }, at: site)]
        })
        Rule("flip of flip", roots: [Structural.flip], examples: {
            [try example([TensorType(.f32, ["n", 2, 3])]) {
                let first = $0.apply(Structural.flip, $1, ["axes": .ints([0, 1])])
                return $0.apply(Structural.flip, [first], ["axes": .ints([1, 2])])
            }]
        }, rewrite: { site in
            guard let inner = site.operand(0, madeBy: Structural.flip) else { return nil }
            let axes = Set(site.attributes.ints("axes")).symmetricDifference(inner.attributes.ints("axes"))
            return [site.apply(Structural.flip, [site.value(inner.operands[0])], ["axes": .ints(axes.sorted())])]
        })
    }

    static let ranges = rules {
        Rule("slice of slice", roots: [Structural.slice], examples: {
            [try example([TensorType(.f32, ["n", 17])]) {
                let first = $0.apply(Structural.slice, $1, ["starts": .dims([0, 2]), "ends": .dims(["n", 16]), "steps": .ints([1, 3])])
                return $0.apply(Structural.slice, [first], ["starts": .dims([0, 1]), "ends": .dims(["n", 5]), "steps": .ints([2, 2])])
            }]
        }, rewrite: sliceOfSlice)
        Rule("slice of concatenate", roots: [Structural.slice], examples: {
            [try example([TensorType(.f32, ["n", 3]), TensorType(.f32, ["n", 5])]) {
                let whole = $0.apply(Structural.concatenate, $1, ["axis": .int(1)])
                return $0.apply(Structural.slice, [whole], ["starts": .dims([0, 4]), "ends": .dims(["n", 7]), "steps": .ints([1, 2])])
            }]
        }, rewrite: sliceOfConcatenate)
        Rule("pad of pad", roots: [Structural.pad], examples: {
            [try example([TensorType(.f32, ["n", 3])]) {
                let first = $0.apply(Structural.pad, $1, ["low": .dims([1, 0]), "high": .dims([0, 2]), "value": .scalar(.real(-1))])
                return $0.apply(Structural.pad, [first], ["low": .dims([0, 3]), "high": .dims([1, 1]), "value": .scalar(.real(-1))])
            }]
        }, rewrite: { site in
            guard let inner = site.operand(0, madeBy: Structural.pad), inner.attributes["value"] == site.attributes["value"] else { return nil }
            let (low, high) = (site.attributes.dims("low"), site.attributes.dims("high"))
            let (innerLow, innerHigh) = (inner.attributes.dims("low"), inner.attributes.dims("high"))
            guard (low + high + innerLow + innerHigh).allSatisfy({ ($0.constant ?? -1) >= 0 }), let value = site.attributes["value"] else { return nil }
            return [site.apply(Structural.pad, [site.value(inner.operands[0])],
                               ["low": .dims(zip(low, innerLow).map(+)), "high": .dims(zip(high, innerHigh).map(+)), "value": value])]
        })
    }

    static func reshape(_ value: Value, to shape: Shape, at site: RewriteSite) -> Value {
        site.apply(Structural.reshape, [value], ["shape": .dims(shape)])
    }

    private static func broadcast(_ value: Value, to shape: Shape, _ axes: [Int], at site: RewriteSite) -> Value {
        site.apply(Structural.broadcast, [value], ["shape": .dims(shape), "axes": .ints(axes)])
    }

    /// For each axis of `shape`, the axis of `longer` that it is, where that is `shape` with further axes of size 1.
    private static func placesOfAxes(of shape: Shape, in longer: Shape) -> [Int]? {
        var places: [Int] = []
        for (axis, size) in longer.enumerated() {
            if places.count < shape.count, shape[places.count] == size { places.append(axis) } else if size != 1 { return nil }
        }
        return places.count == shape.count ? places : nil
    }

    @Sendable private static func sliceOfSlice(_ site: RewriteSite) -> [Value]? {
        guard let inner = site.operand(0, madeBy: Structural.slice) else { return nil }
        var (starts, ends, steps) = (inner.attributes.dims("starts"), inner.attributes.dims("ends"), inner.attributes.ints("steps"))
        let (nextStarts, nextEnds, nextSteps) = (site.attributes.dims("starts"), site.attributes.dims("ends"), site.attributes.ints("steps"))
        for axis in starts.indices {
            let step = Dim.constant(steps[axis])
            let isWhole = nextStarts[axis] == 0 && nextEnds[axis] == site.operands[0].dims[axis]
            // The last position that is taken, in the numbers of the first operand, decides the end.
            if !isWhole || nextSteps[axis] != 1 {
                guard let size = site.type.shape[axis].constant ?? (steps[axis] == 1 ? -1 : nil) else { return nil }
                let start = starts[axis] + nextStarts[axis] * step
                ends[axis] = size < 0 ? starts[axis] + nextEnds[axis]
                    : size == 0 ? start : start + .constant((size - 1) * steps[axis] * nextSteps[axis] + 1)
                starts[axis] = start
            }
            steps[axis] *= nextSteps[axis]
        }
        return [site.apply(Structural.slice, [site.value(inner.operands[0])],
                           ["starts": .dims(starts), "ends": .dims(ends), "steps": .ints(steps)])]
    }

    /// A slice that lies within one part is a slice of that part, and so on where the part is a concatenation itself.
    @Sendable private static func sliceOfConcatenate(_ site: RewriteSite) -> [Value]? {
        var (starts, ends) = (site.attributes.dims("starts"), site.attributes.dims("ends"))
        var value = site.operation.operands[0]
        var isFound = false
        while let whole = site.definition(of: value), whole.op === Structural.concatenate,
            let (part, offset) = part(of: whole, at: site, starts, ends) {
            let axis = whole.attributes.int("axis")
            (starts[axis], ends[axis]) = (starts[axis] - offset, ends[axis] - offset)
            value = part
            isFound = true
        }
        guard isFound else { return nil }
        return [site.apply(Structural.slice, [site.value(value)],
                           ["starts": .dims(starts), "ends": .dims(ends), "steps": .ints(site.attributes.ints("steps"))])]
    }

    /// The part of a concatenation that positions lie in, and where it begins.
    private static func part(of whole: Operation, at site: RewriteSite, _ starts: [Dim], _ ends: [Dim]) -> (ValueID, Dim)? {
        let axis = whole.attributes.int("axis")
        guard axis < starts.count, ends[axis] != starts[axis] else { return nil }
        var offset: Dim = 0
        for operand in whole.operands {
            let next = offset + site.type(of: operand).shape[axis]
            if IndexRanges.isNonNegative(starts[axis] - offset), IndexRanges.isNonNegative(next - ends[axis]) { return (operand, offset) }
            offset = next
        }
        return nil
    }
}

extension IndexMap.Piece {
    /// Whether each element is the operand's at the same position.
    fileprivate func isIdentity(over shape: Shape) -> Bool {
        guard conditions.isEmpty, indices.count == shape.count else { return false }
        return indices.enumerated().allSatisfy { axis, index in
            index == .index(axis) || shape[axis] == 1 || index.substituting { atom in
                if case .index(let i) = atom, i < shape.count, shape[i] == 1 { 0 } else { nil }
            } == .index(axis)
        }
    }
}
