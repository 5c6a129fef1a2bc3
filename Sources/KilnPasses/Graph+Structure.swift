// When two graphs compute the same thing in the same way: equal up to the numbers of their values, their names and source lines.

import KilnIR

extension Graph {
    /// Whether the graphs have the same operations over the same inputs and outputs, in the same order.
    func isStructurallyEqual(to other: Graph) -> Bool {
        guard inputs.count == other.inputs.count, operations.count == other.operations.count, outputs.count == other.outputs.count,
            inputTypes == other.inputTypes else { return false }
        var renamed = [ValueID](repeating: -1, count: types.count)
        for (mine, theirs) in zip(inputs, other.inputs) { renamed[mine.value] = theirs.value }
        for (mine, theirs) in zip(operations, other.operations) {
            guard mine.op === theirs.op, mine.operands.map({ renamed[$0] }) == theirs.operands, mine.results.count == theirs.results.count,
                mine.attributes == theirs.attributes, mine.regions.isStructurallyEqual(to: theirs.regions) else { return false }
            for (a, b) in zip(mine.results, theirs.results) { renamed[a] = b }
        }
        return zip(outputs, other.outputs).allSatisfy { renamed[$0.value] == $1.value }
    }

    /// Equal for graphs that are structurally equal.
    func hashStructure(into hasher: inout Hasher) {
        hasher.combine(inputs.count)
        hasher.combine(operations.count)
        for operation in operations { hasher.combine(ObjectIdentifier(operation.op)) }
        for type in outputTypes { hasher.combine(type) }
    }
}

extension [Graph] {
    func isStructurallyEqual(to other: [Graph]) -> Bool {
        count == other.count && zip(self, other).allSatisfy { $0.isStructurallyEqual(to: $1) }
    }
}
