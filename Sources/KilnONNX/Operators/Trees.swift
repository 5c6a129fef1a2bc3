// Ensembles of decision trees: all rows go down all trees at once, a level at a time, through tables of the nodes.

import KilnIR
import KilnOps

extension Operators {
    static let trees: [Operator] = [
        Operator("TreeEnsemble", .ml) { node in
            let trees = try TreeTables(node)
            let names = ["NONE", "SOFTMAX", "LOGISTIC", "SOFTMAX_ZERO", "PROBIT"], number = node.integer("post_transform", 0)
            guard names.indices.contains(number) else { throw node.mistake("has a post_transform of \(number)") }
            guard let kind = TreeTables.Aggregation(rawValue: node.integer("aggregate_function", 1)) else { throw node.mistake("has no such aggregate_function") }
            return try trees.aggregated(try node.tensor(0), kind, node).postTransformed(names[number], node)
        },
    ]
}

/// A node's way of comparing; the raw value is its code in files.
enum Branch: Int {
    case lessEqual, less, greaterEqual, greater, equal, notEqual, member
}

/// Trees as tables with a row for each node, and after them one for each leaf, which leads to itself.
struct TreeTables {
    struct Row {
        var feature = 0
        var split = 0.0
        var branch = Branch.lessEqual
        var members: [Double] = []
        var followsTrueOnNaN = false
        var onTrue: Int, onFalse: Int
    }
    enum Aggregation: Int {
        case average, sum, minimum, maximum
    }
    private var rows: [Row]
    private let nodeCount: Int
    private let roots: [Int]
    private let depth: Int
    /// What each leaf has for each target; nil for targets that it does not name.
    private let leaves: [[Double?]]

    /// - Parameters:
    ///   - nodes: their ways lead to a number of a node or, from the count of nodes on, of a leaf.
    ///   - leaves: for each the values of all targets.
    init(_ nodes: [Row], leaves: [[Double?]], roots: [Int], _ node: NodeContext) throws {
        let all = nodes.count + leaves.count
        guard (nodes.flatMap { [$0.onTrue, $0.onFalse] } + roots).allSatisfy({ (0..<all).contains($0) }) else {
            throw node.mistake("leads to a node that does not exist")
        }
        let rows = nodes + leaves.indices.map { Row(onTrue: nodes.count + $0, onFalse: nodes.count + $0) }
        (self.rows, nodeCount, self.roots, self.leaves) = (rows, nodes.count, roots, leaves)
        var level = Set(roots), depth = 0
        while level.contains(where: { $0 < nodes.count }), depth <= nodes.count {
            level = Set(level.flatMap { [rows[$0].onTrue, rows[$0].onFalse] })
            depth += 1
        }
        guard depth <= nodes.count else { throw node.mistake("has a node below itself") }
        self.depth = depth
    }

    /// Trees as `TreeEnsemble` gives them: lists of nodes and of leaves.
    init(_ node: NodeContext) throws {
        func numbers(_ name: String) throws -> [Int] {
            guard let numbers = node.integers(name) else { throw node.mistake("has no '\(name)'") }
            return numbers
        }
        let features = try numbers("nodes_featureids"), modes = try node.constant("nodes_modes")?.literal.scalars.map { Int($0.int64) } ?? []
        let splits = try node.constant("nodes_splits")?.literal.doubles ?? []
        let onTrue = try numbers("nodes_truenodeids"), onFalse = try numbers("nodes_falsenodeids")
        let trueLeaves = try numbers("nodes_trueleafs"), falseLeaves = try numbers("nodes_falseleafs")
        let onNaN = node.integers("nodes_missing_value_tracks_true") ?? features.map { _ in 0 }
        let targets = try numbers("leaf_targetids"), weights = try node.constant("leaf_weights")?.literal.doubles ?? []
        let count = features.count, targetCount = try node.targetCount(node.integer("n_targets", 1), leaves: targets.count)
        guard [modes, onTrue, onFalse, trueLeaves, falseLeaves, onNaN].allSatisfy({ $0.count == count }), splits.count == count,
            targets.count == weights.count, targets.allSatisfy({ (0..<targetCount).contains($0) }) else {
            throw node.mistake("has lists of nodes or leaves of different lengths")
        }
        var sets = (try node.constant("membership_values")?.literal.doubles ?? []).split(omittingEmptySubsequences: false) { $0.isNaN }[...]
        let nodes = try (0..<count).map { number in
            guard let branch = Branch(rawValue: modes[number]) else { throw node.mistake("has a node of mode \(modes[number])") }
            return Row(feature: features[number], split: splits[number], branch: branch, members: branch == .member ? Array(sets.popFirst() ?? []) : [],
                       followsTrueOnNaN: onNaN[number] != 0, onTrue: onTrue[number] &+ (trueLeaves[number] != 0 ? count : 0),
                       onFalse: onFalse[number] &+ (falseLeaves[number] != 0 ? count : 0))
        }
        try self.init(nodes, leaves: zip(targets, weights).map { target, weight in (0..<targetCount).map { $0 == target ? weight : nil } },
                      roots: try numbers("tree_roots"), node)
    }

    /// The rows' values for each target: [rows, targets].
    func aggregated(_ x: Value, _ kind: Aggregation, _ node: NodeContext) -> Value {
        var place = table(.i64, roots.map(Double.init), node).reshaping(to: [1, .constant(roots.count)]).expand([x.size(axis: 0), .constant(roots.count)])
        for _ in 0..<depth { place = next(place, x, node) }
        let missing = kind == .minimum ? Self.finite(x.dtype) : kind == .maximum ? -Self.finite(x.dtype) : 0
        let values = table(x.dtype, leaves.flatMap { $0.map { $0 ?? missing } }, node).reshape([.constant(leaves.count), -1])
            .take(place - nodeCount, axis: 0)
        return switch kind {
        case .average: values.sum(1) / Double(roots.count)
        case .sum: values.sum(1)
        case .minimum: values.min(1)
        case .maximum: values.max(1)
        }
    }

    private static func finite(_ dtype: DType) -> Double {
        switch dtype {
        case .f64: Double.greatestFiniteMagnitude
        case .f16: Double(Float16.greatestFiniteMagnitude)
        default: Double(Float.greatestFiniteMagnitude)
        }
    }

    /// One level down, for each row and tree.
    private func next(_ place: Value, _ x: Value, _ node: NodeContext) -> Value {
        func looked(_ dtype: DType, _ number: (Row) -> Double) -> Value { table(dtype, rows.map(number), node).take(place, axis: 0) }
        let value = x.gather(1, looked(.i64) { Double($0.feature) }), split = looked(x.dtype, \.split)
        let branches = Set(rows[..<nodeCount].map(\.branch.rawValue)).sorted().compactMap(Branch.init)
        var holds: Value?
        for branch in branches {
            let answer = compared(value, split, branch, place, node)
            holds = holds.map { (looked(.i64) { Double($0.branch.rawValue) } .== branch.rawValue).select(answer, $0) } ?? answer
        }
        var isTrue = holds ?? node.full(.bool(true), place.type.with(dtype: .bool))
        if rows.contains(where: \.followsTrueOnNaN) { isTrue = isTrue | (value.isNaN() & (looked(.i64) { $0.followsTrueOnNaN ? 1 : 0 } .!= 0)) }
        return isTrue.select(looked(.i64) { Double($0.onTrue) }, looked(.i64) { Double($0.onFalse) })
    }

    private func compared(_ value: Value, _ split: Value, _ branch: Branch, _ place: Value, _ node: NodeContext) -> Value {
        switch branch {
        case .lessEqual: return value .<= split
        case .less: return value .< split
        case .greaterEqual: return value .>= split
        case .greater: return value .> split
        case .equal: return value .== split
        case .notEqual: return value .!= split
        case .member:
            // Shorter sets are filled up with NaN, which nothing equals.
            let width = max(rows.map(\.members.count).max() ?? 0, 1)
            let members = rows.flatMap { $0.members + Array(repeating: Double.nan, count: width - $0.members.count) }
            let sets = table(value.dtype, members, node).reshape([-1, .constant(width)]).take(place, axis: 0)
            return (value.unsqueezed(2) .== sets).any(2)
        }
    }

    private func table(_ dtype: DType, _ numbers: [Double], _ node: NodeContext) -> Value {
        node.literal(Literal(dtype, [numbers.count], doubles: numbers))
    }
}

extension NodeContext {
    /// The number of values that each leaf has, where the table of them is not absurdly large.
    func targetCount(_ count: Int, leaves: Int) throws -> Int {
        guard count >= 0, !count.multipliedReportingOverflow(by: max(leaves, 1)).overflow, count * max(leaves, 1) < 1 << 28 else {
            throw mistake("has \(leaves) leaves for \(count) targets")
        }
        return count
    }
}
