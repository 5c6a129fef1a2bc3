// A graph as a function of tensors or values: its operations are recorded again, on operands of any kind.

import KilnIR

extension Graph {
    /// Records this graph's operations on operands in the place of its inputs, and gives what its outputs have become. Symbols become
    /// the operands' sizes. Throws the user's error where an operand is not of its input's dtype or rank.
    public func applied<T: Operand>(to operands: [T]) throws -> [T] {
        guard let first = operands.first else {
            throw CompileError(name, "takes no inputs, so that there is nothing to record it beside", fix: "compile it and run it")
        }
        let graph = replacing(symbols: try symbols(for: operands.map(\.type)))
        var values = [T?](repeating: nil, count: graph.valueCount)
        for (port, operand) in zip(graph.inputs, operands) { values[port.value] = operand }
        for operation in graph.operations {
            let results: [T]
            if case .literal(let literal)? = operation.attributes["value"], operation.operands.isEmpty {
                results = [first.literal(literal, at: operation.location)]
            } else if operation.operands.isEmpty {
                results = [first.source(operation.op, operation.attributes, at: operation.location)]
            } else {
                results = T.apply(operation.op, operation.operands.map { values[$0]! }, operation.attributes, regions: operation.regions,
                                  at: operation.location)
            }
            // Where the op was refused, one operand that holds the mistake stands for all results.
            for (number, id) in operation.results.enumerated() { values[id] = results[min(number, results.count - 1)] }
        }
        return graph.outputs.map { values[$0.value]! }
    }
}
