// Prints graphs in Kiln's text. Values are numbered afresh in order, inputs go by their names: equal graphs print alike.

extension Graph: CustomStringConvertible {
    /// The graph's text, which `Graph.parse` reads.
    public var description: String { description(literalsAtMost: .max) }

    /// The same; of literals of more bytes only how many they are, which can't be read back.
    public func description(literalsAtMost most: Int) -> String {
        var printer = GraphPrinter(self, literalsAtMost: most)
        printer.printAll(indent: "")
        return printer.lines.joined(separator: "\n") + "\n"
    }

    /// Whether both have the same inputs, operations and outputs, in the same order; the numbers of values do not matter.
    public func isEquivalent(to other: Graph) -> Bool {
        guard name == other.name, inputs.map(\.name) == other.inputs.map(\.name), outputs.map(\.name) == other.outputs.map(\.name),
            operations.count == other.operations.count else { return false }
        var counterpart: [ValueID: ValueID] = [:]
        func matches(_ a: ValueID, _ b: ValueID) -> Bool {
            counterpart.updateValue(b, forKey: a) == nil && type(of: a) == other.type(of: b)
        }
        for (a, b) in zip(inputs, other.inputs) { guard matches(a.value, b.value) else { return false } }
        for (a, b) in zip(operations, other.operations) {
            guard a.op == b.op, a.attributes == b.attributes, a.location == b.location, a.results.count == b.results.count,
                a.operands.map({ counterpart[$0] }) == b.operands, a.regions.count == b.regions.count,
                zip(a.regions, b.regions).allSatisfy({ $0.isEquivalent(to: $1) }),
                zip(a.results, b.results).allSatisfy({ matches($0, $1) }) else { return false }
        }
        return outputs.map { counterpart[$0.value] } == other.outputs.map(\.value)
    }
}

/// Writes a graph line by line; what is broken prints with question marks, for the verifier's messages.
struct GraphPrinter {
    let graph: Graph
    /// Bytes of the longest literal that is printed.
    let literalsAtMost: Int
    private(set) var lines: [String] = []
    /// The line where each operation begins.
    private(set) var operationLines: [Int] = []
    private var names: [ValueID: String] = [:]

    init(_ graph: Graph, literalsAtMost: Int) {
        self.graph = graph
        self.literalsAtMost = literalsAtMost
        var taken: Set<String> = []
        for (position, port) in graph.inputs.enumerated() {
            names[port.value] = taken.insert(port.name).inserted ? "%\(port.name.asName)" : "%\(position)"
        }
        var next = graph.inputs.count
        for operation in graph.operations {
            for result in operation.results {
                if names[result] == nil { names[result] = "%\(next)" }
                next += 1
            }
        }
    }

    private func text(_ value: ValueID) -> String { names[value] ?? "%?\(value)" }
    private func typeText(_ value: ValueID) -> String { graph.types.indices.contains(value) ? graph.types[value].description : "?" }

    mutating func printAll(indent: String) {
        let inputs = graph.inputs.map { port in
            let name = text(port.value)
            // Of inputs with one name, the later ones go by number.
            return name + (name == "%\(port.name.asName)" ? "" : " named \(port.name.quoted)") + ": \(typeText(port.value))"
        }
        let outputs = graph.outputs.map { "\($0.name.asName): \(typeText($0.value))" }
        lines.append("\(indent)graph @\(graph.name.asName)(\(inputs.joined(separator: ", "))) -> (\(outputs.joined(separator: ", "))) {")
        for operation in graph.operations {
            operationLines.append(lines.count)
            print(operation, indent: indent + "  ")
        }
        lines.append(indent + "  return" + (graph.outputs.isEmpty ? "" : " ") + graph.outputs.map { text($0.value) }.joined(separator: ", "))
        lines.append(indent + "}")
    }

    private mutating func print(_ operation: Operation, indent: String) {
        var line = indent + operation.results.map(text).joined(separator: ", ") + (operation.results.isEmpty ? "" : " = ")
        line += operation.op.name == "return" ? operation.op.name.quoted : operation.op.name.asName
        if operation.operands.isEmpty, operation.results.isEmpty { line += "()" }
        if !operation.operands.isEmpty { line += " " + operation.operands.map(text).joined(separator: ", ") }
        if !operation.attributes.entries.isEmpty { line += " \(operation.attributes.description(atMost: literalsAtMost))" }
        if !operation.results.isEmpty { line += " : " + operation.results.map(typeText).joined(separator: ", ") }
        line += operation.location.suffix
        lines.append(line + (operation.regions.isEmpty ? "" : " with {"))
        for region in operation.regions {
            var inner = GraphPrinter(region, literalsAtMost: literalsAtMost)
            inner.printAll(indent: indent + "  ")
            lines += inner.lines
        }
        if !operation.regions.isEmpty { lines.append(indent + "}") }
    }
}
