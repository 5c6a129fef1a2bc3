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
    ///   - source: what a node without operands becomes, and whether it is a number that has not been computed; inputs are added in the order of `inputs`.
    ///   - inputs: the placeholders, leaves and numbers that become inputs, in order.
    func graph(name: String, inputs: [(Node, String)], outputNames: [String], source: (_ node: Node, _ isNumber: Bool) throws -> Source) throws -> Graph {
        var graph = Graph(name: name)
        var values = [[ValueID]](repeating: [], count: nodes.count)
        var numberOfNode: [ObjectIdentifier: Int] = [:]
        for (number, node) in nodes.enumerated() where key.words[starts[number]] < 0 { numberOfNode[ObjectIdentifier(node)] = number }
        for (node, name) in inputs {
            let number = numberOfNode[ObjectIdentifier(node)]
            let isNumber = number.map { key.words[starts[$0]] == Word.number } ?? false
            let value = graph.addInput(name, isNumber ? TensorType(node.box.type.dtype, []) : node.box.type)
            // An input may be one that nothing uses.
            if let number { values[number] = [value] }
        }
        for (number, node) in nodes.enumerated() {
            let words = key.words[starts[number]..<starts[number + 1]]
            let word = words[words.startIndex]
            switch word {
            // One program computes all; the results are copied to where they belong.
            case Word.transfer: values[number] = values[words[words.startIndex + 1]]
            case Word.result: values[number] = [values[words[words.startIndex + 2]][words[words.startIndex + 1]]]
            case ..<0:
                if values[number].isEmpty || word == Word.number { values[number] = try emit(node, values[number], source(node, word == Word.number), &graph) }
            default:
                let signature = node.signature!
                values[number] = try graph.append(signature.op, words.dropFirst().map { values[$0][0] }, signature.attributes,
                                                  regions: signature.regions, at: node.location)
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
