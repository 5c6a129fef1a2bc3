// Makes operations that compute the same from the same values one: a graph comes in, one without repetitions goes out.
// Two operations are the same when op, operands, attributes and regions are; names and source lines don't count, and the first stays.

import KilnIR
import KilnOps

/// The pass that merges equal operations, also inside the regions of control flow.
public enum CommonSubexpressions {
    public static func apply(to graph: Graph) throws -> Graph {
        var result = Graph(name: graph.name)
        var renamed = [ValueID](repeating: -1, count: graph.types.count)
        var known: [Expression: [ValueID]] = [:]
        known.reserveCapacity(graph.operations.count)
        for port in graph.inputs { renamed[port.value] = result.addInput(port.name, graph.types[port.value]) }
        for operation in graph.operations {
            var copy = operation
            copy.operands = operation.operands.map { renamed[$0] }
            if !operation.regions.isEmpty, case .control = try graph.form(of: operation) {
                copy.regions = try operation.regions.map(apply(to:))
            }
            let key = Expression(operation: copy)
            if let earlier = known[key] {
                for (old, new) in zip(operation.results, earlier) { renamed[old] = new }
                continue
            }
            copy.results = operation.results.map { result.makeValue(graph.types[$0]) }
            for (old, new) in zip(operation.results, copy.results) { renamed[old] = new }
            known[key] = copy.results
            result.operations.append(copy)
        }
        result.outputs = graph.outputs.map { Port($0.name, renamed[$0.value]) }
        return result
    }

    /// An operation without its results.
    private struct Expression: Hashable {
        var operation: Operation

        static func == (a: Expression, b: Expression) -> Bool {
            a.operation.op === b.operation.op && a.operation.operands == b.operation.operands
                && a.operation.results.count == b.operation.results.count && a.operation.attributes == b.operation.attributes
                && a.operation.regions.isStructurallyEqual(to: b.operation.regions)
        }

        func hash(into hasher: inout Hasher) {
            hasher.combine(ObjectIdentifier(operation.op))
            hasher.combine(operation.operands)
            hasher.combine(operation.attributes)
            for region in operation.regions { region.hashStructure(into: &hasher) }
        }
    }
}
