// Runs a graph as its ops are declared, slowly and exactly: what kernels are held against.
// A graph and literals come in; literals go out. Ops are run by their form, so one that is added runs here by itself.

import KilnIR

/// The reference execution of graphs.
///
/// Integers are exact. Float results are computed in Double and rounded to their dtype once: sums, products, scans and contractions
/// accumulate in Double, so kernels, which accumulate in f32 or f64 in an order of their own, differ by a bounded rounding error.
public enum Interpreter {
    /// The outputs for the given inputs. Sizes that are symbols are inferred from the inputs' shapes.
    ///
    /// Throws a `CompileError` where the inputs don't fit the graph, or where a check that an op left to run time fails.
    public static func run(_ graph: Graph, inputs: [Literal], symbols: [String: Int] = [:]) throws -> [Literal] {
        guard inputs.count == graph.inputs.count else {
            throw CompileError(graph.name, "takes \(graph.inputs.count) inputs, was given \(inputs.count)", fix: "pass one value for each input")
        }
        let bound = try bind(graph, inputs.map(\.dtype), inputs.map(\.shape), symbols)
        return try run(graph, inputs.map(Elements.init), bound).map(\.literal)
    }

    /// The results of one op.
    public static func apply(_ op: OpDefinition, _ operands: [Literal], _ attributes: Attributes = .none, regions: [Graph] = [],
                             symbols: [String: Int] = [:]) throws -> [Literal] {
        var graph = Graph(name: op.name)
        let inputs = operands.enumerated().map { graph.addInput("x\($0.offset)", $0.element.type) }
        let results = try graph.append(op, inputs, attributes, regions: regions)
        graph.outputs = results.enumerated().map { Port("y\($0.offset)", $0.element) }
        return try run(graph, inputs: operands, symbols: symbols)
    }

    static func run(_ graph: Graph, _ inputs: [Elements], _ symbols: [String: Int]) throws -> [Elements] {
        var values = [Elements?](repeating: nil, count: graph.types.count)
        for (port, input) in zip(graph.inputs, inputs) { values[port.value] = input }
        var lastUse = [Int](repeating: -1, count: graph.types.count)
        for (position, operation) in graph.operations.enumerated() { for operand in operation.operands { lastUse[operand] = position } }
        for output in graph.outputs { lastUse[output.value] = .max }
        var symbols = symbols
        for (position, operation) in graph.operations.enumerated() {
            let operands = try operation.operands.map { try value($0, values, graph) }
            var execution = Execution(graph, operation, operands, symbols)
            let results = try execution.run()
            symbols = execution.symbols
            for (id, result) in zip(operation.results, results) { values[id] = result }
            for operand in operation.operands where lastUse[operand] == position { values[operand] = nil }
        }
        return try graph.outputs.map { try value($0.value, values, graph) }
    }

    private static func value(_ id: ValueID, _ values: [Elements?], _ graph: Graph) throws -> Elements {
        guard let value = values[id] else { throw InternalError("interpreter", "value \(id) is used before it is made", context: graph.name) }
        return value
    }

    /// The symbols' sizes. Every dimension is checked; a symbol that occurs only in arithmetic is solved for where that is linear.
    static func bind(_ graph: Graph, _ dtypes: [DType], _ shapes: [[Int]], _ given: [String: Int]) throws -> [String: Int] {
        var symbols = given
        func fail(_ number: Int, _ fix: String) -> CompileError {
            let found = TensorType(dtypes[number], shapes[number].map { .constant($0) })
            return CompileError(graph.name, "input `\(graph.inputs[number].name)` takes \(graph.inputTypes[number]), was given \(found)", fix: fix)
        }
        for (number, type) in graph.inputTypes.enumerated() {
            guard type.dtype == dtypes[number] else { throw fail(number, "pass \(type.dtype)") }
            guard type.rank == shapes[number].count else { throw fail(number, "pass a value of rank \(type.rank)") }
        }
        let dims = zip(graph.inputTypes, shapes).enumerated().flatMap { number, pair in
            zip(pair.0.shape, pair.1).map { (number: number, dim: $0, size: $1) }
        }
        for _ in 0..<2 { for (_, dim, size) in dims { solve(dim, size, &symbols) } }
        for (number, dim, size) in dims where dim.evaluate(symbols: symbols) != size {
            throw fail(number, "pass a shape in which `\(dim)` is one number throughout")
        }
        return symbols
    }

    private static func solve(_ dim: Dim, _ size: Int, _ symbols: inout [String: Int]) {
        let known = symbols
        let rest = dim.substituting { if case .symbol(let name) = $0 { known[name].map { .constant($0) } } else { nil } }
        let names = rest.symbols
        let slopes = rest.terms.filter { !$0.atoms.isEmpty }
        guard names.count == 1, slopes.count == 1, slopes[0].atoms == [.symbol(names[0])] else { return }
        let offset = rest.terms.first { $0.atoms.isEmpty }?.coefficient ?? 0
        let (difference, overflow) = size.subtractingReportingOverflow(offset)
        if !overflow, slopes[0].coefficient != -1 || difference != .min, difference % slopes[0].coefficient == 0 {
            symbols[names[0]] = difference / slopes[0].coefficient
        }
    }
}
