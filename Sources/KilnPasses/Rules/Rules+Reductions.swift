// Rules about reductions: over no axes, of a reduction of the same kind, and of axes in another order where order does not matter.

import KilnIR
import KilnOps

extension Rules {
    private static let sums = [Structural.reduceSum, Structural.reduceProduct]
    /// Reductions whose order makes no difference to any bit.
    private static let choosing = [Structural.reduceMax, Structural.reduceMin, Structural.reduceAny, Structural.reduceAll]

    static let reductions = rules {
        Rule("reduce over no axes", roots: sums + choosing, examples: {
            try (sums + choosing).map { try example([cube($0)]) { [op = $0] in $0.apply(op, $1, ["axes": .ints([])]) } }
        }, rewrite: { site in
            site.attributes.ints("axes").isEmpty ? [site.operands[0]] : nil
        })
        reduceOfReduce("reduce of reduce", .exact, isExact: true)
        reduceOfReduce("sum of sum", .fastMath, isExact: false)
        Rule("reduce of permute", roots: sums + choosing, examples: {
            try (choosing + [Structural.reduceSum]).map { op in
                try example([cube(op)]) {
                    let turned = $0.apply(Structural.permute, $1, ["axes": .ints([2, 0, 1])])
                    return $0.apply(op, [turned], ["axes": .ints([0, 2])])
                }
            }
        }, rewrite: { site in
            guard let inner = site.operand(0, madeBy: Structural.permute), isOrderless(site) else { return nil }
            let order = inner.attributes.ints("axes")
            let axes = site.attributes.ints("axes").map { order[$0] }
            // What is left must be in order already: else the permutation is still needed.
            let left = order.filter { !axes.contains($0) }
            guard left == left.sorted() else { return nil }
            return [site.apply(site.operation.op, [site.value(inner.operands[0])], ["axes": .ints(axes.sorted())])]
        })
        Rule("reduce of axes of size 1 is reshape", roots: choosing, examples: {
            try choosing.map { op in
                try example([TensorType(op.dtypes.contains(.i32) ? .i32 : .bool, ["n", 1])]) { $0.apply(op, $1, ["axes": .ints([1])]) }
            }
        }, rewrite: { site in
            let shape = site.operands[0].dims
            guard site.attributes.ints("axes").allSatisfy({ shape[$0] == 1 }) else { return nil }
            return [reshape(site.operands[0], to: site.type.shape, at: site)]
        })
        Rule("the greatest of one number", roots: choosing, examples: {
            [try example([TensorType(.f32, ["n"])]) { builder, _ in
                builder.apply(Structural.reduceMax, [builder.full(3, TensorType(.f32, ["n", 3]))], ["axes": .ints([1])])
            }]
        }, rewrite: { site in
            guard let number = site.uniform(site.operation.operands[0]),
                site.attributes.ints("axes").allSatisfy({ (site.operands[0].dims[$0].constant ?? 0) > 0 }) else { return nil }
            return [site.builder.full(number, site.type)]
        })
    }

    private static func cube(_ op: OpDefinition) -> TensorType { TensorType(op.dtypes.contains(.i32) ? .i32 : .bool, ["n", 3, 4]) }

    private static func isOrderless(_ site: RewriteSite) -> Bool {
        choosing.contains(site.operation.op) || !site.type.dtype.isFloat
    }

    private static func reduceOfReduce(_ name: String, _ tag: Rule.Tag, isExact: Bool) -> Rule {
        Rule(name, tag, roots: isExact ? sums + choosing : sums, examples: {
            try (isExact ? sums + choosing : sums).map { op in
                let type = isExact ? cube(op) : cube(op).with(dtype: .f32)
                return try example([type]) {
                    $0.apply(op, [$0.apply(op, $1, ["axes": .ints([1])])], ["axes": .ints([1])])
                }
            }
        }, rewrite: { site in
            guard isOrderless(site) == isExact, site.isOnlyUse(ofOperand: 0), let inner = site.operand(0, madeBy: site.operation.op) else { return nil }
            let first = inner.attributes.ints("axes")
            let left = site.type(of: inner.operands[0]).shape.indices.filter { !first.contains($0) }
            let axes = first + site.attributes.ints("axes").map { left[$0] }
            return [site.apply(site.operation.op, [site.value(inner.operands[0])], ["axes": .ints(axes.sorted())])]
        })
    }
}
