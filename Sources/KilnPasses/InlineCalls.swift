// Puts the forward graph of each call in the call's place: what is left of custom gradients once differentiation is done.
// A graph comes in; one without calls, also in its regions, goes out.

import KilnIR
import KilnOps

/// The pass that replaces calls by their bodies.
public enum InlineCalls {
    public static func apply(to graph: Graph) throws -> Graph {
        if graph.operations.allSatisfy(\.regions.isEmpty) { return graph }
        let builder = GraphBuilder(graph.name)
        var renamed = [ValueID](repeating: -1, count: graph.types.count)
        for port in graph.inputs { renamed[port.value] = builder.graph.addInput(port.name, graph.types[port.value]) }
        for operation in graph.operations {
            let operands = operation.operands.map { renamed[$0] }
            if !operation.regions.isEmpty, case .control(.call) = try graph.form(of: operation) {
                let results = builder.inline(try apply(to: operation.regions[0]), operands.map(builder.value))
                for (old, new) in zip(operation.results, results) { renamed[old] = new.id }
                continue
            }
            var copy = operation
            copy.operands = operands
            copy.results = operation.results.map { builder.graph.makeValue(graph.types[$0]) }
            copy.regions = try operation.regions.map(apply(to:))
            for (old, new) in zip(operation.results, copy.results) { renamed[old] = new }
            builder.graph.operations.append(copy)
        }
        builder.graph.outputs = graph.outputs.map { Port($0.name, renamed[$0.value]) }
        return builder.graph
    }
}
