// One operation: its operands' elements come in, its results' go out, by its form.

import KilnIR

/// The execution of one operation.
struct Execution {
    let operation: Operation
    let operands: [Elements]
    /// The sizes that are known; an operation that measures one adds it.
    private(set) var symbols: [String: Int]
    private let context: OpContext
    let types: [TensorType]

    init(_ graph: Graph, _ operation: Operation, _ operands: [Elements], _ symbols: [String: Int]) {
        self.operation = operation
        self.operands = operands
        self.symbols = symbols
        context = graph.context(of: operation)
        types = operation.results.map { graph.type(of: $0) }
    }

    mutating func run() throws -> [Elements] {
        for check in operation.op.checks(context) where !holds(check.condition) {
            throw CompileError(operation.op.name, check.message, at: operation.location, fix: "pass inputs of sizes that fit")
        }
        if let check = operation.op.indexCheck?(context) { try hold(operands[0], against: check) }
        let form = try operation.op.form(context)
        if case .prefix(let symbol) = form { symbols[symbol] = min(max(Int(operands[1].integers[0]), 0), operands[0].shape[0]) }
        let results = try run(form)
        for (type, result) in zip(types, results) {
            let inferred = try sizes(type.shape)
            guard type.dtype == result.dtype, inferred == result.shape else {
                throw InternalError("interpreter", "\(operation.op.name) was inferred to give \(type), gave \(result.dtype)\(result.shape)")
            }
        }
        return results
    }

    private func hold(_ indices: Elements, against check: IndexCheck) throws {
        let size = try sizes([check.size])[0]
        // What does not fit in 64 signed bits is out of range on any axis.
        for index in indices.dtype == .u64 ? indices.integers.map({ $0 < 0 ? .max : $0 }) : indices.integers where !check.allows(index, size: size) {
            throw check.error(index, size: size)
        }
    }

    private func run(_ form: Form) throws -> [Elements] {
        switch form {
        case .constant(let literal): return [Elements(literal)]
        case .elementwise(let expression): return [try elementwise(expression)]
        case .view(let map): return [try view(map)]
        case .reduce(let kind, let axes): return [try reduce(kind, axes)]
        case .contract(let contraction): return [try contract(contraction)]
        case .attention(let form): return try attention(form)
        case .gather(let coordinates): return [try gather(coordinates)]
        case .scatter(let kind, let coordinates): return [try scatter(kind, coordinates)]
        case .scan(let kind, let axis, let reverse, let exclusive): return [scan(kind, axis, reverse: reverse, exclusive: exclusive)]
        case .sort(let axis, let descending): return [sort(axis, descending: descending)]
        case .prefix: return [prefix(try resultShape())]
        case .control(let control): return try run(control)
        case .group: return try region(0, operands)
        case .opaque(let name):
            throw CompileError(operation.op.name, "is the library function \(name), which the interpreter does not have", at: operation.location,
                               fix: "compile the graph and run it")
        }
    }

    /// The dtype and sizes of the only result.
    var resultType: DType { types[0].dtype }
    func resultShape() throws -> [Int] { try sizes(types[0].shape) }

    func sizes(_ shape: Shape) throws -> [Int] {
        let sizes = try shape.map { dim -> Int in
            guard let size = dim.evaluate(symbols: symbols), size >= 0 else {
                throw CompileError(operation.op.name, "the size `\(dim)` can't be made of \(symbols)", at: operation.location,
                                   fix: "pass inputs of sizes that fit")
            }
            return size
        }
        guard sizes.reduce(1, { $0.multipliedReportingOverflow(by: $1).overflow ? .max : $0 * $1 }) < 1 << 32 else {
            throw CompileError(operation.op.name, "a result of shape \(sizes) is too large to interpret", at: operation.location, fix: "compile the graph")
        }
        return sizes
    }

    private func holds(_ condition: IndexCondition) -> Bool {
        guard let value = condition.expression.evaluate(symbols: symbols) else { return false }
        if case .isZero = condition { return value == 0 }
        return value >= 0
    }

    private func prefix(_ shape: [Int]) -> Elements {
        let count = shape.reduce(1, *)
        switch operands[0].storage {
        case .reals(let values): return Elements(resultType, shape, reals: Array(values.prefix(count)))
        case .integers(let values): return Elements(resultType, shape, integers: Array(values.prefix(count)))
        }
    }

    private func region(_ number: Int, _ inputs: [Elements]) throws -> [Elements] {
        guard operation.regions.indices.contains(number) else { throw InternalError("interpreter", "\(operation.op.name) has no region \(number)") }
        let graph = operation.regions[number]
        guard inputs.count == graph.inputs.count else {
            throw InternalError("interpreter", "region \(number) of \(operation.op.name) takes \(graph.inputs.count) inputs, gets \(inputs.count)")
        }
        let bound = try Interpreter.bind(graph, inputs.map(\.dtype), inputs.map(\.shape), symbols)
        return try Interpreter.run(graph, inputs, bound)
    }

    private func run(_ control: Control) throws -> [Elements] {
        switch control {
        case .if: return try region(operands[0][0].isTrue ? 0 : 1, Array(operands.dropFirst()))
        case .while(let carried):
            var state = operands
            while try region(0, state)[0][0].isTrue { state.replaceSubrange(..<carried, with: try region(1, state)) }
            return Array(state.prefix(carried))
        case .call: return try region(0, operands)
        }
    }
}
