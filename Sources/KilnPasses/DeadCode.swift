// Drops what no output depends on: operations, results of control flow, values that a loop carries for nothing, inputs of regions.
// A graph comes in; one with the same inputs and outputs goes out, its values numbered without gaps.

import KilnIR
import KilnOps

/// The pass that drops what is not used, also inside the regions of control flow.
public enum DeadCode {
    public static func apply(to graph: Graph) throws -> Graph {
        var live = [Bool](repeating: false, count: graph.types.count)
        for output in graph.outputs { live[output.value] = true }
        var kept: [Operation] = []
        let measured = graph.symbolDefinitions
        for operation in graph.operations.reversed() where operation.results.contains(where: { live[$0] }) {
            let trimmed = try trim(operation, of: graph, live)
            for operand in trimmed.operands { live[operand] = true }
            for position in graph.measuring(trimmed, measured) { live[graph.operations[position].results[0]] = true }
            kept.append(trimmed)
        }
        return graph.renumbered(keeping: kept.reversed())
    }

    /// The operation without those results, carried values and region inputs that nothing needs.
    private static func trim(_ operation: Operation, of graph: Graph, _ live: [Bool]) throws -> Operation {
        if operation.regions.isEmpty { return operation }
        guard case .control(let control) = try graph.form(of: operation) else { return operation }
        let used = operation.results.map { live[$0] }
        switch control {
        case .if: return try trimIf(operation, used)
        case .while(let carried): return try trimWhile(operation, carried, used)
        case .call:
            var copy = operation
            copy.regions = try operation.regions.map(apply(to:))
            return copy
        }
    }

    private static func trimIf(_ operation: Operation, _ used: [Bool]) throws -> Operation {
        var copy = operation
        copy.regions = try operation.regions.map { try apply(to: $0.keepingOutputs(used)) }
        copy.results = zip(operation.results, used).filter(\.1).map(\.0)
        let needed = copy.regions[0].usedInputs.indices.map { i in copy.regions.contains { $0.usedInputs[i] } }
        copy.regions = copy.regions.map { $0.keepingInputs(needed) }
        copy.operands = [operation.operands[0]] + zip(operation.operands.dropFirst(), needed).filter(\.1).map(\.0)
        return copy
    }

    private static func trimWhile(_ operation: Operation, _ carried: Int, _ used: [Bool]) throws -> Operation {
        var copy = operation
        let condition = try apply(to: operation.regions[0])
        // A carried value is needed for its result, for the condition, or for the next of another needed one.
        var needed = used
        for (i, isUsed) in condition.usedInputs.enumerated() where isUsed && i < carried { needed[i] = true }
        var body = try apply(to: operation.regions[1].keepingOutputs(needed))
        while true {
            let more = zip(needed, body.usedInputs).map { $0 || $1 }
            if more == needed { break }
            needed = more
            body = try apply(to: operation.regions[1].keepingOutputs(needed))
        }
        let captured = operation.operands.indices.dropFirst(carried).map { condition.usedInputs[$0] || body.usedInputs[$0] }
        copy.regions = [condition.keepingInputs(needed + captured), body.keepingInputs(needed + captured)]
        copy.operands = zip(operation.operands, needed + captured).filter(\.1).map(\.0)
        copy.results = zip(operation.results, needed).filter(\.1).map(\.0)
        copy.attributes["carried"] = .int(needed.filter { $0 }.count)
        return copy
    }
}

extension Graph {
    /// Whether each input is used by an operation or is an output.
    var usedInputs: [Bool] {
        let counts = useCounts
        return inputs.map { counts[$0.value] > 0 }
    }

    func keepingOutputs(_ kept: [Bool]) -> Graph {
        var copy = self
        copy.outputs = zip(outputs, kept).filter(\.1).map(\.0)
        return copy
    }

    func keepingInputs(_ kept: [Bool]) -> Graph {
        var copy = self
        copy.inputs = zip(inputs, kept).filter(\.1).map(\.0)
        return copy.renumbered(keeping: operations)
    }

    /// The graph with these of its operations, its values numbered in order of definition.
    func renumbered(keeping operations: [Operation]) -> Graph {
        var result = Graph(name: name)
        var renamed = [ValueID](repeating: -1, count: types.count)
        for port in inputs { renamed[port.value] = result.addInput(port.name, types[port.value]) }
        result.operations.reserveCapacity(operations.count)
        for operation in operations {
            var copy = operation
            copy.operands = operation.operands.map { renamed[$0] }
            copy.results = operation.results.map { old in
                renamed[old] = result.makeValue(types[old])
                return renamed[old]
            }
            result.operations.append(copy)
        }
        result.outputs = outputs.map { Port($0.name, renamed[$0.value]) }
        return result
    }
}
