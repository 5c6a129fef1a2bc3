// Turns the structure of a trace into a graph: leaves and placeholders become inputs or literals, the rest operations.
import KilnIR
import KilnOps

extension Structure {
    /// What becomes of a node that is not an operation.
    enum Source {
        case input(String)
        case literal(Literal)
        /// A number in the code.
        case number(Scalar)
        /// A number that is given at each call: an input of rank 0.
        case promoted(String)
    }

    /// The graph that computes the outputs.
    /// - Parameters:
    ///   - source: what a node without operands becomes; inputs are added in the order of `inputs`.
    ///   - inputs: the placeholders, leaves and numbers that become inputs, in order.
    func graph(name: String, inputs: [(Node, String)], outputNames: [String], source: (Node) throws -> Source) throws -> Graph {
        var graph = Graph(name: name)
        var values = [[ValueID]](repeating: [], count: nodes.count)
        for (node, name) in inputs {
            let isNumber = node.kind == .number && node.buffer == nil
            let type = isNumber ? TensorType(node.box.type.dtype, []) : node.box.type
            let value = graph.addInput(name, type)
            // An input may be one that nothing uses.
            if node.mark == walk { values[node.number] = [value] }
        }
        for (place, node) in nodes.enumerated() where values[place].isEmpty || node.kind == .number && node.buffer == nil {
            switch node.buffer == nil ? node.kind : .leaf {
            case .op, .tuple:
                let signature = node.signature!
                let operands = node.operands.map { values[$0.resolved.number][0] }
                values[place] = try graph.append(signature.op, operands, signature.attributes, regions: signature.regions, at: node.location)
            // One program computes all; the results are copied to where they belong.
            case .transfer: values[place] = values[node.operand0!.resolved.number]
            case .result: values[place] = [values[node.operand0!.number][Int(node.index)]]
            default: values[place] = try emit(node, values[place], source(node), &graph)
            }
        }
        graph.outputs = zip(outputNames, outputs).map { Port($0, values[$1][0]) }
        return graph
    }

    private func emit(_ node: Node, _ input: [ValueID], _ source: Source, _ graph: inout Graph) throws -> [ValueID] {
        let type = node.box.type
        switch source {
        case .input: return input
        case .literal(let literal): return try graph.append(Catalogue.constants.literal, [], ["value": .literal(literal)], at: node.location)
        case .number(let value):
            return try graph.append(Catalogue.constants.full, [], ["value": .scalar(value), "dtype": .dtype(type.dtype), "shape": .dims(type.shape)],
                                    at: node.location)
        case .promoted:
            if type.shape.isEmpty { return input }
            guard let broadcast = Catalogue.op(named: "broadcast") else { throw InternalError("trace", "the catalogue has no broadcast") }
            return try graph.append(broadcast, input, ["shape": .dims(type.shape), "axes": .ints([])], at: node.location)
        }
    }
}
