// What is known of values by running what makes them: a value under construction comes in; out go the inputs that it depends on, or all of
// its elements, where it depends on none and the interpreter needs few numbers for them.

import KilnIR

extension KnownElements {
    /// The inputs of the graph that a value is computed from.
    public func inputs(reaching value: Value) -> Set<ValueID> {
        var inputs: Set<ValueID> = [], seen: Set<ValueID> = []
        var open = [value.id]
        while let next = open.popLast() {
            guard seen.insert(next).inserted else { continue }
            if let operation = operation(making: next) { open += operation.operands } else { inputs.insert(next) }
        }
        return inputs
    }

    /// A value that depends on no input, whatever the ops that make it, as the interpreter computes it.
    func interpreted(_ value: Value, limit: Int) -> Literal? {
        guard let count = value.type.elementCount.constant, count <= limit else { return nil }
        var cost = 0
        var needed: Set<Int> = []
        var open = [value.id]
        while let next = open.popLast() {
            guard let position = position(ofOperationMaking: next) else { return nil }
            guard needed.insert(position).inserted else { continue }
            let operation = builder.graph.operations[position]
            guard let own = self.cost(of: operation) else { return nil }
            cost += own
            guard cost < Self.interpretedLimit else { return nil }
            open += operation.operands
        }
        numbersLeft -= cost
        guard numbersLeft > 0 else { return nil }
        var graph = builder.graph
        graph.inputs = []
        graph.operations = needed.sorted().map { builder.graph.operations[$0] }
        graph.outputs = [Port("value", value.id)]
        return try? Interpreter.run(graph, inputs: []).first
    }

    /// How many numbers the interpreter may look at to answer one question.
    private static let interpretedLimit = 1 << 18

    /// How many numbers an operation combines or moves; nil where that is not for its types to say, as where it has regions.
    private func cost(of operation: Operation) -> Int? {
        guard operation.regions.isEmpty, let form = try? builder.graph.form(of: operation) else { return nil }
        var cost = 0
        for id in operation.operands + operation.results {
            // A size that is measured is no larger than what it is measured of.
            let size = builder.graph.types[id].shape.compactMap(\.constant).reduce(1, *)
            guard size < Self.interpretedLimit else { return nil }
            cost += size
        }
        switch form {
        case .contract(let contraction):
            return contraction.sizes.reduce(1) { cost, size in min(cost, Self.interpretedLimit) * min(size.constant ?? 1, Self.interpretedLimit) }
        case .attention: return operation.operands.prefix(2).reduce(1) { $0 * (builder.graph.types[$1].elementCount.constant ?? 1) }
        default: return cost
        }
    }
}
