// Makes one ONNX model of two: some of the second's inputs become values of the first, so that what passes see is more than one node.

import KilnONNX
import SwiftProtobuf

enum ModelSplice {
    /// The nodes that a model may grow to.
    private static let nodeLimit = 12

    /// The first model followed by the second; nil where that would grow too large, or where either can't be read.
    @Sendable static func splice(_ first: [UInt8], _ second: [UInt8], _ random: inout SeededGenerator) -> [UInt8]? {
        guard var model = try? ProtoModel(serializedBytes: first), var other = try? ProtoModel(serializedBytes: second),
            model.graph.node.count + other.graph.node.count <= nodeLimit else { return nil }
        let made = model.graph.node.flatMap(\.output).filter { !$0.isEmpty } + model.graph.input.map(\.name)
        guard !made.isEmpty, !other.graph.input.isEmpty else { return nil }
        rename(&other.graph, "s\(model.graph.node.count)_")
        var replaced: [String: String] = [:]
        for port in other.graph.input where replaced.isEmpty || random.below(3) == 0 {
            // What is made last is most often what goes on.
            replaced[port.name] = made[random.below(random.below(2) == 0 ? min(made.count, 2) : made.count)]
        }
        other.graph.input.removeAll { replaced[$0.name] != nil }
        replace(&other.graph) { replaced[$0] ?? $0 }
        if random.below(2) == 0 { model.graph.output = [] }
        model.graph.node += other.graph.node
        model.graph.initializer += other.graph.initializer
        model.graph.sparseInitializer += other.graph.sparseInitializer
        model.graph.input += other.graph.input
        model.graph.output += other.graph.output
        model.functions += other.functions.filter { function in !model.functions.contains { ($0.name, $0.domain) == (function.name, function.domain) } }
        for set in other.opsetImport where !model.opsetImport.contains(where: { $0.domain == set.domain }) { model.opsetImport.append(set) }
        return try? model.serializedBytes()
    }

    private static func rename(_ graph: inout ProtoGraph, _ prefix: String) { replace(&graph) { $0.isEmpty ? $0 : prefix + $0 } }

    /// Replaces the names of values, also in the graphs within the graph.
    private static func replace(_ graph: inout ProtoGraph, _ name: (String) -> String) {
        for position in graph.input.indices { graph.input[position].name = name(graph.input[position].name) }
        for position in graph.output.indices { graph.output[position].name = name(graph.output[position].name) }
        for position in graph.initializer.indices { graph.initializer[position].name = name(graph.initializer[position].name) }
        for position in graph.sparseInitializer.indices { graph.sparseInitializer[position].values.name = name(graph.sparseInitializer[position].values.name) }
        graph.valueInfo = []
        for position in graph.node.indices {
            graph.node[position].input = graph.node[position].input.map(name)
            graph.node[position].output = graph.node[position].output.map(name)
            for attribute in graph.node[position].attribute.indices where graph.node[position].attribute[attribute].hasG {
                replace(&graph.node[position].attribute[attribute].g, name)
            }
        }
    }
}
