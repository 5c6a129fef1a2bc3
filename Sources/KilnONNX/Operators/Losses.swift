// Losses of classes against labels.

import KilnIR
import KilnOps

extension Operators {
    static let losses: [Operator] = [
        Operator("NegativeLogLikelihoodLoss") { node in try likelihoodLoss(node, try node.tensor(0)) },
        Operator("SoftmaxCrossEntropyLoss", items: { node in
            let logarithms = try node.tensor(0).logSoftmax(1)
            return [.tensor(try likelihoodLoss(node, logarithms)), .tensor(logarithms)]
        }),
    ]

    /// The loss of logarithms of probabilities [n, classes, …] for labels [n, …]; a label that is to be ignored costs and counts nothing.
    private static func likelihoodLoss(_ node: NodeContext, _ logarithms: Value) throws -> Value {
        let labels = try node.tensor(1)
        let counts = node.integer("ignore_index").map { labels .!= $0 }
        // What is ignored may be no class at all.
        let classes = node.checked(counts?.select(labels, 0) ?? labels, below: logarithms.size(axis: 1), axis: 1, countsFromEnd: false)
        var losses = -logarithms.inSingle.gather(1, classes.unsqueezed(1)).reshaping(to: labels.dims)
        var weights: Value?
        if let table = try node.tensorIfPresent(2) { weights = table.inSingle.embedding(classes) }
        if let counts { weights = counts.select(weights ?? losses.full(1, losses.type, at: .unknown), 0) }
        if let weights { losses = losses * weights }
        if let counts { losses = counts.select(losses, 0) }
        let axes = Array(0..<losses.rank)
        let result = switch node.text("reduction", "mean") {
        case "none": losses
        case "sum": losses.sum(axes)
        case "mean": weights.map { losses.sum(axes) / $0.sum(axes) } ?? losses.mean(axes)
        case let other: throw node.mistake("knows no reduction '\(other)'")
        }
        return result.cast(to: logarithms.dtype)
    }
}
