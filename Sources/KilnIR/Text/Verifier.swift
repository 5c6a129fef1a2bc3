// Checks that a graph keeps the rules of the IR: values made once and before use, types as the ops infer them, sizes that are known.
// A fault is Kiln's own: the error names the pass and shows the lines around it.

extension Graph {
    /// Checks all of the graph's rules.
    ///
    /// - Parameter pass: What ran before, for the message.
    /// - Throws: `InternalError`.
    public func verify(after pass: String = "verification") throws {
        try GraphVerifier(graph: self, pass: pass).verify(symbols: [])
    }
}

private struct GraphVerifier {
    let graph: Graph
    let pass: String
    /// Lines shown before and after the fault.
    static let reach = 3

    func verify(symbols outer: Set<String>) throws {
        var symbols = outer
        var isDefined = [Bool](repeating: false, count: graph.types.count)
        var measured: [String: Measured] = [:]
        for (number, port) in graph.inputs.enumerated() {
            guard isDefined.indices.contains(port.value) else { throw fault("input \(number) `\(port.name)` is no value of the graph") }
            guard !isDefined[port.value] else { throw fault("input \(number) `\(port.name)` is the same value as another input") }
            isDefined[port.value] = true
            for dim in graph.types[port.value].shape {
                dim.forEachVariable { if case .symbol(let name) = $0 { symbols.insert(name) } }
            }
            if let problem = problem(of: graph.types[port.value], symbols) { throw fault("input \(number) `\(port.name)`: \(problem)") }
        }
        for (position, operation) in graph.operations.enumerated() {
            if let problem = try problem(of: operation, &isDefined, &symbols, &measured) { throw fault("\(operation.op.name): \(problem)", at: position) }
        }
        for (number, port) in graph.outputs.enumerated() where !isDefined.indices.contains(port.value) || !isDefined[port.value] {
            throw fault("output \(number) `\(port.name)` is a value that nothing makes", at: graph.operations.count)
        }
    }

    /// A size that an operation has measured.
    private struct Measured: Equatable {
        var count: ValueID
        var bound: Dim
    }

    /// What is wrong with the size that an operation measures, if it does; it is a symbol after it.
    private func problem(ofSizeOf operation: Operation, _ symbols: inout Set<String>, _ measured: inout [String: Measured]) -> String? {
        guard let size = operation.op.measures?(graph.context(of: operation)) else { return nil }
        let new = Measured(count: operation.operands[size.count], bound: size.bound)
        if let known = measured[size.symbol] {
            return known == new ? nil : "the size `\(size.symbol)` is measured before, by another count or of another capacity"
        }
        if !symbols.insert(size.symbol).inserted { return "the size `\(size.symbol)` is there already" }
        measured[size.symbol] = new
        return nil
    }

    /// What is wrong with an operation; its results are defined after it.
    private func problem(of operation: Operation, _ isDefined: inout [Bool], _ symbols: inout Set<String>,
                         _ measured: inout [String: Measured]) throws -> String? {
        for (number, operand) in operation.operands.enumerated() where !isDefined.indices.contains(operand) || !isDefined[operand] {
            return "operand \(number) is used before it is made"
        }
        if let count = operation.op.operandCount, count != operation.operands.count {
            return "takes \(count) operands and has \(operation.operands.count)"
        }
        var names: Set<String> = []
        for entry in operation.attributes.entries {
            if !operation.op.attributeNames.contains(entry.name) { return "has no attribute `\(entry.name)`" }
            if !names.insert(entry.name).inserted { return "attribute `\(entry.name)` is there twice" }
            if case .dims(let dims) = entry.value, let problem = problem(of: dims, symbols) { return "attribute `\(entry.name)`: \(problem)" }
        }
        for region in operation.regions { try GraphVerifier(graph: region, pass: pass).verify(symbols: symbols) }
        let inferred: [TensorType]
        do { inferred = try operation.op.infer(graph.context(of: operation)) } catch { return "its types can't be inferred: \(error)" }
        if let problem = problem(ofSizeOf: operation, &symbols, &measured) { return problem }
        guard inferred.count == operation.results.count else { return "makes \(inferred.count) results and has \(operation.results.count)" }
        for (number, result) in operation.results.enumerated() {
            guard isDefined.indices.contains(result) else { return "result \(number) is no value of the graph" }
            guard !isDefined[result] else { return "result \(number) is made already" }
            isDefined[result] = true
            guard inferred[number] == graph.types[result] else {
                return "result \(number) is \(inferred[number]), but the graph says \(graph.types[result])"
            }
            if let problem = problem(of: inferred[number], symbols) { return "result \(number): \(problem)" }
        }
        return nil
    }

    private func problem(of type: TensorType, _ symbols: Set<String>) -> String? {
        if let size = type.shape.first(where: { ($0.constant ?? 0) < 0 }) { return "the size \(size) is negative" }
        return problem(of: type.shape, symbols)
    }

    private func problem(of dims: [Dim], _ symbols: Set<String>) -> String? {
        var problem: String?
        for dim in dims {
            dim.forEachVariable {
                switch $0 {
                case .symbol(let name) where !symbols.contains(name): problem = "the size `\(name)` is in no input's type"
                case .index(let i): problem = "the index variable d\(i) is no size"
                default: break
                }
            }
        }
        return problem
    }

    /// The error with the lines around an operation.
    private func fault(_ problem: String, at position: Int? = nil) -> InternalError {
        var printer = GraphPrinter(graph, literalsAtMost: 256)
        printer.printAll(indent: "")
        var focus = 0
        if let position {
            focus = position < graph.operations.count ? printer.operationLines[position] : printer.lines.count - 2
        }
        let shown = max(0, focus - Self.reach)..<min(printer.lines.count, focus + Self.reach + 1)
        let context = shown.map { ($0 == focus ? "> " : "  ") + printer.lines[$0] }.joined(separator: "\n")
        return InternalError(pass, "graph `\(graph.name)`: \(problem)", context: context)
    }
}
