// Copies a graph's operations into a graph under construction, with values there in the place of its inputs.
// What comes out are the values that its outputs have become.

extension GraphBuilder {
    /// Appends the operations of `other`, applied to `inputs`, and gives the values of its outputs.
    /// - Precondition: the inputs have the types of the other graph's inputs.
    public func inline(_ other: Graph, _ inputs: [Value]) -> [Value] {
        precondition(inputs.count == other.inputs.count, "a graph is inlined with a value for each input")
        var renamed = [ValueID](repeating: -1, count: other.types.count)
        for (port, value) in zip(other.inputs, inputs) { renamed[port.value] = value.id }
        for operation in other.operations {
            var copy = operation
            copy.operands = operation.operands.map { renamed[$0] }
            copy.results = operation.results.map { result in
                renamed[result] = graph.makeValue(other.types[result])
                return renamed[result]
            }
            graph.operations.append(copy)
        }
        return other.outputs.map { value(renamed[$0.value]) }
    }
}
