// Rules about control flow: a branch that is known at compile time takes the place of its `if`, and a loop that never runs is its start.

import KilnIR
import KilnOps

extension Rules {
    private static let branches = [Structural.if]
    private static let loops = [Structural.while]

    static let controls = rules {
        Rule("if of a known condition", roots: branches, examples: {
            let type = TensorType(.f32, ["n"])
            let regions = [try example([type]) { -$1[0] }, try example([type]) { $1[0].exp() }]
            return try [true, false].map { condition in
                try example([type]) {
                    $0.append(branches[0], [$0.full(.bool(condition), TensorType(.bool, [])), $1[0]], regions: regions)[0]
                }
            }
        }, rewrite: { site in
            guard let condition = site.uniform(site.operation.operands[0]) else { return nil }
            return site.builder.inline(site.operation.regions[condition.isTrue ? 0 : 1], Array(site.operands.dropFirst()))
        })
        Rule("while false", roots: loops, examples: {
            let type = TensorType(.f32, ["n"])
            let never = try example([type]) { builder, _ in builder.full(false, TensorType(.bool, [])) }
            return [try example([type]) { [body = try example([type]) { -$1[0] }] in
                $0.append(loops[0], $1, ["carried": .int(1)], regions: [never, body])[0]
            }]
        }, rewrite: { site in
            let condition = site.operation.regions[0]
            guard case .control(.while(let carried)) = try site.operation.op.form(site.context),
                let made = condition.operations.last, made.op === Elementwise.full, made.results == condition.outputs.map(\.value),
                made.attributes.scalar("value")?.isTrue == false else { return nil }
            return Array(site.operands.prefix(carried))
        })
    }
}
