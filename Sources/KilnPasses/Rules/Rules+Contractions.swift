// Rules about contractions: a permutation of an operand goes into the axes' numbers, one of the result into the operands' order.

import KilnIR
import KilnOps

extension Rules {
    static let contractions = rules {
        absorbing(operand: 0, "left")
        absorbing(operand: 1, "right")
        Rule("permute of contract", roots: [Structural.permute], examples: {
            [try example([TensorType(.f32, ["n", 2, 5]), TensorType(.f32, ["n", 5, 3])]) {
                let product = $0.apply(Structural.contract, $1, batchedProduct)
                return $0.apply(Structural.permute, [product], ["axes": .ints([0, 2, 1])])
            }]
        }, rewrite: permuteOfContract)
    }

    private static let batchedProduct: Attributes = [
        "left_batch": .ints([0]), "right_batch": .ints([0]), "left_reduce": .ints([2]), "right_reduce": .ints([1]),
    ]

    private static func absorbing(operand: Int, _ side: String) -> Rule {
        Rule("contract of a permuted \(side) operand", roots: [Structural.contract], examples: {
            [try example([TensorType(.f32, ["n", 5, 5]), TensorType(.f32, ["n", 5, 5])]) {
                var operands = $1
                operands[operand] = $0.apply(Structural.permute, [operands[operand]], ["axes": .ints([0, 2, 1])])
                return $0.apply(Structural.contract, operands, batchedProduct)
            }]
        }, rewrite: { site in
            guard let inner = site.operand(operand, madeBy: Structural.permute) else { return nil }
            let order = inner.attributes.ints("axes")
            let (batch, reduce) = (site.attributes.ints("\(side)_batch"), site.attributes.ints("\(side)_reduce"))
            // The free axes stay in the operand's order, so they must come out in the same one.
            let free = order.indices.filter { !batch.contains($0) && !reduce.contains($0) }.map { order[$0] }
            guard free == free.sorted() else { return nil }
            var attributes = site.attributes
            attributes["\(side)_batch"] = .ints(batch.map { order[$0] })
            attributes["\(side)_reduce"] = .ints(reduce.map { order[$0] })
            var operands = site.operands
            operands[operand] = site.value(inner.operands[0])
            return [site.apply(Structural.contract, operands, attributes)]
        })
    }

    /// The right operand's free axes before the left one's: the same products, with the operands exchanged.
    @Sendable private static func permuteOfContract(_ site: RewriteSite) -> [Value]? {
        guard site.isOnlyUse(ofOperand: 0), let inner = site.operand(0, madeBy: Structural.contract) else { return nil }
        let batch = inner.attributes.ints("left_batch").count
        let left = site.type(of: inner.operands[0]).rank - batch - inner.attributes.ints("left_reduce").count
        let right = site.type(of: inner.operands[1]).rank - batch - inner.attributes.ints("right_reduce").count
        let exchanged = Array(0..<batch) + Array((batch + left)..<(batch + left + right)) + Array(batch..<(batch + left))
        guard left > 0, right > 0, site.attributes.ints("axes") == exchanged else { return nil }
        var attributes = inner.attributes
        for name in ["batch", "reduce"] {
            attributes["left_\(name)"] = inner.attributes["right_\(name)"]
            attributes["right_\(name)"] = inner.attributes["left_\(name)"]
        }
        return [site.apply(Structural.contract, [site.value(inner.operands[1]), site.value(inner.operands[0])], attributes)]
    }
}
