// Applies rules over a graph, operands before users: a graph comes in, the rewritten one and the number of rewritings come out.
// Each operation is built again over its rewritten operands, and what a rule builds is rewritten in its turn, so one way through suffices.

import KilnIR
import KilnOps

/// Applies a list of rules to graphs until none applies, in time linear in their size.
public struct RewriteDriver: Sendable {
    private let table: RuleTable

    public init(_ rules: [Rule]) { table = RuleTable(rules) }

    /// The graph with the rules applied, also in the regions of control flow. What the rules left unused is still there.
    public func apply(to graph: Graph) throws -> Graph { try applyCounting(graph).graph }

    /// The same, with the number of rewritings.
    package func applyCounting(_ graph: Graph) throws -> (graph: Graph, rewritings: Int) {
        let rewriter = Rewriter(graph, table)
        try rewriter.run(graph)
        return (rewriter.builder.graph, rewriter.rewritings)
    }
}

/// Rules by what they are tried on: most are about one op and one dtype, so that few are left for an operation.
struct RuleTable: Sendable {
    /// A rule by its number, and what must make the first two operands. Nothing in it is counted by references: there are dozens for each operation.
    struct Entry {
        let number: Int
        let first, second: ObjectIdentifier?
    }
    let rules: [Rule]
    /// By root, for each dtype of a first result in the order of their codes, those that may apply; the last for operations without results.
    private let lists: [OpDefinition: [[Entry]]]

    init(_ rules: [Rule]) {
        self.rules = rules
        var lists: [OpDefinition: [[Entry]]] = [:]
        let none = [[Entry]](repeating: [], count: DType.allCases.count + 1)
        for (number, rule) in rules.enumerated() {
            func maker(_ operand: Int) -> ObjectIdentifier? {
                guard rule.made.indices.contains(operand), let op = rule.made[operand] else { return nil }
                return ObjectIdentifier(op)
            }
            let entry = Entry(number: number, first: maker(0), second: maker(1))
            for root in rule.roots {
                for (code, dtype) in DType.allCases.enumerated() where rule.dtype == nil || rule.dtype == dtype {
                    lists[root, default: none][code].append(entry)
                }
                if rule.dtype == nil { lists[root, default: none][none.count - 1].append(entry) }
            }
        }
        self.lists = lists
    }

    /// The rules for an operation, in their order.
    func entries(for op: OpDefinition, _ dtype: DType?) -> [Entry] {
        guard let list = lists[op] else { return [] }
        return list[dtype.map { Int($0.rawValue) } ?? list.count - 1]
    }
}

/// One run of a driver.
final class Rewriter {
    let builder: GraphBuilder
    private let rules: RuleTable
    /// For each value, the position of the operation that makes it, or -1.
    private var definitions: [Int] = []
    /// For each value, the one that has taken its place, or itself.
    private var replacements: [ValueID] = []
    /// For each value, how often the source graph uses what it stands for; values that a rule built for itself have many.
    private var uses: [Int] = []
    private(set) var rewritings = 0

    /// Rewritings of what a rule built that may follow one another: more means that rules undo each other.
    private static let greatestDepth = 200

    init(_ graph: Graph, _ rules: RuleTable) {
        builder = GraphBuilder(graph.name)
        self.rules = rules
    }

    func definition(of value: ValueID) -> Operation? {
        value < definitions.count && definitions[value] >= 0 ? builder.graph.operations[definitions[value]] : nil
    }

    func isUsedOnce(_ value: ValueID) -> Bool { uses[value] == 1 }

    func run(_ source: Graph) throws {
        let sourceUses = source.useCounts
        var renamed = [ValueID](repeating: -1, count: source.types.count)
        for port in source.inputs { renamed[port.value] = builder.graph.addInput(port.name, source.types[port.value]) }
        for operation in source.operations {
            var copy = operation
            copy.operands = operation.operands.map { resolve(renamed[$0]) }
            copy.results = operation.results.map { builder.graph.makeValue(source.types[$0]) }
            if !operation.regions.isEmpty, case .control = try source.form(of: operation) {
                copy.regions = try operation.regions.map(rewriteRegion)
            }
            for (old, new) in zip(operation.results, copy.results) { renamed[old] = new }
            growTables()
            for (old, new) in zip(operation.results, copy.results) { uses[new] = sourceUses[old] }
            try emit(copy, depth: 0)
        }
        builder.graph.outputs = source.outputs.map { Port($0.name, resolve(renamed[$0.value])) }
    }

    private func rewriteRegion(_ region: Graph) throws -> Graph {
        let inner = Rewriter(region, rules)
        try inner.run(region)
        if inner.rewritings == 0 { return region }
        rewritings += inner.rewritings
        return inner.builder.graph
    }

    private func resolve(_ value: ValueID) -> ValueID {
        var value = value
        while value < replacements.count, replacements[value] != value { value = replacements[value] }
        return value
    }

    /// Appends an operation over rewritten operands, or what the rules make of it.
    private func emit(_ operation: Operation, depth: Int) throws {
        let position = builder.graph.operations.count
        builder.graph.operations.append(operation)
        growTables()
        for result in operation.results { definitions[result] = position }
        let candidates = rules.entries(for: operation.op, operation.results.first.map { builder.graph.types[$0].dtype })
        if candidates.isEmpty { return }
        let first = maker(of: operation, 0), second = maker(of: operation, 1)
        let site = RewriteSite(operation: operation, rewriter: self)
        builder.location = operation.location
        for entry in candidates {
            if let wanted = entry.first, wanted != first { continue }
            if let wanted = entry.second, wanted != second { continue }
            let values = try rules.rules[entry.number].rewrite(site)
            if values == nil, builder.error == nil, builder.graph.operations.count == position + 1 { continue }
            let rule = rules.rules[entry.number]
            guard try fits(rule), let values, hasSameTypes(values, operation) else {
                builder.graph.operations.removeSubrange((position + 1)...)
                continue
            }
            try replace(operation, at: position, with: values, by: rule, depth: depth)
            return
        }
    }

    /// What makes an operand; nil for inputs, and where there is no such operand.
    private func maker(of operation: Operation, _ number: Int) -> ObjectIdentifier? {
        guard number < operation.operands.count else { return nil }
        let position = definitions[operation.operands[number]]
        return position < 0 ? nil : ObjectIdentifier(builder.graph.operations[position].op)
    }

    private func growTables() {
        while definitions.count < builder.graph.types.count {
            replacements.append(definitions.count)
            definitions.append(-1)
            uses.append(.max)
        }
    }

    /// Whether what a rule built can be held: not every value between needs to be, though the op's own can. Other mistakes are the rule's.
    private func fits(_ rule: Rule) throws -> Bool {
        guard let error = builder.takeError() else { return true }
        guard let shape = error as? ShapeError, shape.isTooLarge else {
            throw InternalError("rule \(rule.name)", "builds what the ops don't take", context: "\(error)")
        }
        return false
    }

    private func hasSameTypes(_ values: [Value], _ operation: Operation) -> Bool {
        values.count == operation.results.count
            && zip(values, operation.results).allSatisfy { builder.graph.types[$0.id] == builder.graph.types[$1] }
    }

    /// Takes back what the rule has built, and emits it as if it had been in the graph from the start.
    private func replace(_ operation: Operation, at position: Int, with values: [Value], by rule: Rule, depth: Int) throws {
        guard depth < Self.greatestDepth else { throw InternalError("rule \(rule.name)", "never comes to an end on \(operation.op.name)") }
        rewritings += 1
        let built = Array(builder.graph.operations[(position + 1)...])
        builder.graph.operations.removeSubrange(position...)
        for result in operation.results { definitions[result] = -1 }
        for var next in built {
            next.operands = next.operands.map(resolve)
            try emit(next, depth: depth + 1)
        }
        for (result, value) in zip(operation.results, values) {
            let final = resolve(value.id)
            replacements[result] = final
            uses[final] = uses[final] == .max || uses[result] == .max ? uses[result] : uses[final] + uses[result]
        }
    }
}
