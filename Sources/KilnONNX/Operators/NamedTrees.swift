// Ensembles of decision trees as earlier versions of ai.onnx.ml write them: every node and leaf goes by the numbers of its tree and of
// itself. In come such lists; out go the same tables that later ensembles become.

import KilnIR
import KilnOps

extension Operators {
    static let namedTrees: [Operator] = [
        Operator("TreeEnsembleRegressor", .ml) { node in
            let x = try node.tensor(0), targets = node.integer("n_targets", 1)
            let (trees, _) = try node.trees("target", targets)
            let kinds: [String: TreeTables.Aggregation] = ["AVERAGE": .average, "SUM": .sum, "MIN": .minimum, "MAX": .maximum]
            guard let kind = kinds[node.text("aggregate_function", "SUM")] else { throw node.mistake("has no such aggregate_function") }
            var scores = trees.aggregated(x.dtype.isFloat ? x : x.cast(to: .f32), kind, node)
            if let base = node.reals("base_values") { scores = scores + node.literal(Literal(scores.dtype, [base.count], doubles: base)) }
            return try scores.postTransformed(node.text("post_transform", "NONE"), node).cast(to: .f32)
        },
        Operator("TreeEnsembleClassifier", .ml, items: { node in
            let x = try node.tensor(0), numbers = node.integers("classlabels_int64s"), texts = node.texts("classlabels_strings")
            let labelCount = numbers?.count ?? texts?.count ?? 0
            let (trees, weights) = try node.trees("class", labelCount)
            var scores = trees.aggregated(x.dtype.isFloat ? x : x.cast(to: .f32), .sum, node).cast(to: .f32)
            let base = node.reals("base_values") ?? [], transform = node.text("post_transform", "NONE")
            let ids = Set(node.integers("class_ids") ?? [])
            let chosen: Value
            if labelCount == 2, ids.count == 1, let id = ids.first, base.count < 2 {
                // One score speaks for both classes: as a probability where no weight is negative, else by its sign.
                let score = scores.narrow(1, start: .constant(id), length: 1) + (base.first ?? 0), isProbability = weights.allSatisfy { $0 >= 0 }
                chosen = (score .> (isProbability ? 0.5 : 0)).cast(to: .i64).reshaping(to: [x.size(axis: 0)])
                let parts = isProbability ? [1 - score, score] : transform == "LOGISTIC" ? [(-score).sigmoid(), score.sigmoid()] : [-score, score]
                scores = .concatenate(parts, axis: 1)
            } else {
                if base.count == labelCount { scores = scores + node.literal(Literal(.f32, [base.count], doubles: base)) }
                chosen = scores.argmax(1)
                scores = try scores.postTransformed(transform, node)
            }
            return [.tensor(node.labels(numbers, texts, chosen)), .tensor(scores)]
        }),
    ]
}

extension NodeContext {
    private struct Name: Hashable {
        var tree: Int, number: Int
    }

    /// The trees, and the weights of their leaves for targets or classes.
    fileprivate func trees(_ kind: String, _ targetCount: Int) throws -> (trees: TreeTables, weights: [Double]) {
        func numbers(_ name: String) -> [Int] { integers(name) ?? [] }
        let names = zip(numbers("nodes_treeids"), numbers("nodes_nodeids")).map { Name(tree: $0, number: $1) }
        let features = numbers("nodes_featureids"), splits = reals("nodes_values") ?? [], modes = texts("nodes_modes") ?? []
        let onTrue = numbers("nodes_truenodeids"), onFalse = numbers("nodes_falsenodeids")
        let onNaN = integers("nodes_missing_value_tracks_true") ?? names.map { _ in 0 }
        let owners = zip(numbers("\(kind)_treeids"), numbers("\(kind)_nodeids")).map { Name(tree: $0, number: $1) }
        let targetCount = try self.targetCount(targetCount, leaves: names.count)
        let targets = numbers("\(kind)_ids"), weights = reals("\(kind)_weights") ?? []
        guard [features, onTrue, onFalse, onNaN].allSatisfy({ $0.count == names.count }), splits.count == names.count, modes.count == names.count,
            owners.count == targets.count, targets.count == weights.count, targets.allSatisfy({ (0..<targetCount).contains($0) }) else {
            throw mistake("has lists of nodes or leaves of different lengths")
        }
        // Branches first, then leaves.
        let branches = modes.indices.filter { modes[$0] != "LEAF" }, leaves = modes.indices.filter { modes[$0] == "LEAF" }
        let rows = Dictionary((branches + leaves).enumerated().map { (names[$0.element], $0.offset) }, uniquingKeysWith: { first, _ in first })
        let codes: [String: Branch] = ["BRANCH_LEQ": .lessEqual, "BRANCH_LT": .less, "BRANCH_GTE": .greaterEqual, "BRANCH_GT": .greater,
                                       "BRANCH_EQ": .equal, "BRANCH_NEQ": .notEqual]
        let nodes = try branches.map { number in
            guard let branch = codes[modes[number]] else { throw mistake("has a node of mode '\(modes[number])'") }
            let row = { (next: Int) in rows[Name(tree: names[number].tree, number: next)] ?? -1 }
            return TreeTables.Row(feature: features[number], split: splits[number], branch: branch, followsTrueOnNaN: onNaN[number] != 0,
                                  onTrue: row(onTrue[number]), onFalse: row(onFalse[number]))
        }
        var values = [[Double?]](repeating: Array(repeating: nil, count: targetCount), count: leaves.count)
        for (number, owner) in owners.enumerated() {
            guard let row = rows[owner], row >= branches.count else { throw mistake("has a weight at no leaf") }
            values[row - branches.count][targets[number]] = (values[row - branches.count][targets[number]] ?? 0) + weights[number]
        }
        let below = Set(nodes.flatMap { [$0.onTrue, $0.onFalse] })
        let roots = (0..<names.count).filter { !below.contains($0) }
        return (try TreeTables(nodes, leaves: values, roots: roots, self), weights)
    }
}
