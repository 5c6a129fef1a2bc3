// Interprets a graph op by op, so that no input takes long and rounding can be made to show: a graph and literals come in, literals
// go out, moved by as much as kernels may be off where that is asked for.

import KilnIR
import KilnOps

/// An execution that ends where it becomes too much work.
struct Reference {
    /// What is left of the elements that may be looked at.
    private var budget: Int
    /// Decides which way results are moved; nil where they are left alone.
    private var noise: SeededGenerator?
    /// Whether a sum came near the end of what a kernel's accumulator holds, which the interpreter's does not feel, whether numbers that
    /// are not finite met a padding's zeros, which the interpreter leaves out, or whether the bits of a NaN were looked at.
    private(set) var isOpen = false

    struct TooMuch: Error {}

    private static let limit = 300_000
    private static let sizeLimit = 1 << 16
    /// More axes than any model has.
    private static let rankLimit = 64

    init(noise seed: UInt64? = nil) {
        budget = Self.limit
        noise = seed.map { SeededGenerator($0) }
    }

    /// The outputs of a graph whose symbols have the given sizes.
    mutating func run(_ graph: Graph, _ inputs: [Literal], _ symbols: [String: Int]) throws -> [Literal] {
        var values: [ValueID: Literal] = [:]
        var symbols = symbols
        for (port, input) in zip(graph.inputs, inputs) { values[port.value] = input }
        for operation in graph.operations {
            let operands = operation.operands.map { values[$0]! }
            let results = try run(operation, graph, operands, &symbols)
            for (id, result) in zip(operation.results, results) { values[id] = result }
        }
        return graph.outputs.map { values[$0.value]! }
    }

    private mutating func run(_ operation: Operation, _ graph: Graph, _ operands: [Literal], _ symbols: inout [String: Int]) throws -> [Literal] {
        let form = try graph.form(of: operation)
        try spend(try cost(form, operation, graph, symbols))
        switch form {
        case .control(.if):
            return try run(operation.regions[operands[0][0].isTrue ? 0 : 1], Array(operands.dropFirst()), symbols)
        case .control(.while(let carried)):
            var state = operands
            while try run(operation.regions[0], state, symbols)[0][0].isTrue {
                state.replaceSubrange(..<carried, with: try run(operation.regions[1], state, symbols))
            }
            return Array(state.prefix(carried))
        case .control(.call): return try run(operation.regions[0], operands, symbols)
        default: break
        }
        let results = try interpreted(operation, graph, operands, symbols)
        if case .prefix(let symbol) = form { symbols[symbol] = results[0].shape[0] }
        if noise == nil { return results }
        if case .elementwise(let expression) = form, expression.nodes.contains(where: { if case .apply(.bitcast, _) = $0 { true } else { false } }),
            operands.contains(where: { $0.dtype.isFloat && $0.doubles.contains(where: \.isNaN) }) { isOpen = true }
        return try results.map { try moved($0, form, operation, graph, operands, symbols) }
    }

    /// One operation by itself.
    private func interpreted(_ operation: Operation, _ graph: Graph, _ operands: [Literal], _ symbols: [String: Int]) throws -> [Literal] {
        var single = Graph(name: operation.op.name)
        let inputs = operation.operands.enumerated().map { single.addInput("x\($0.offset)", graph.type(of: $0.element)) }
        let results = try single.append(operation.op, inputs, operation.attributes, regions: operation.regions, at: operation.location)
        single.outputs = results.enumerated().map { Port("y\($0.offset)", $0.element) }
        return try Interpreter.run(single, inputs: operands, symbols: symbols)
    }

    // MARK: Work

    private mutating func spend(_ work: Int) throws {
        budget -= work
        if budget < 0 { throw TooMuch() }
    }

    /// How many elements an operation looks at. Sizes that a call can't have are left to the interpreter.
    private func cost(_ form: Form, _ operation: Operation, _ graph: Graph, _ symbols: [String: Int]) throws -> Int {
        func count(_ shape: Shape) throws -> Int {
            if shape.count > Self.rankLimit { throw TooMuch() }
            return try shape.reduce(1) { count, dim in
                let size = max(dim.evaluate(symbols: symbols) ?? 1, 1)
                guard size <= Self.sizeLimit, count * size <= Self.sizeLimit else { throw TooMuch() }
                return count * size
            }
        }
        var cost = 16
        for id in operation.operands + operation.results { cost += try count(graph.type(of: id).shape) }
        switch form {
        case .contract(let contraction): return try cost + count(contraction.sizes)
        case .attention: return try cost + operation.operands.prefix(2).reduce(1) { try $0 * count(graph.type(of: $1).shape) }
        default: return cost
        }
    }

    // MARK: Rounding

    /// A result moved, up or down at random, by as much as a kernel's may be off: an op's bound, and for sums of n terms the root of n
    /// units of their magnitudes.
    private mutating func moved(_ result: Literal, _ form: Form, _ operation: Operation, _ graph: Graph, _ operands: [Literal],
                                _ symbols: [String: Int]) throws -> Literal {
        guard result.dtype.isFloat, !result.shape.contains(0) else { return result }
        let unit = result.dtype.unitRoundoff
        let root = 2 * Double(operands.reduce(1) { max($0, $1.count) }).squareRoot()
        switch form {
        case .elementwise where operation.op.ulp > 0: return shifted(result, relative: 2 * unit * operation.op.ulp.rounded(.up))
        case .reduce(.sum, _), .scan(.sum, _, _, _), .contract, .scatter(.add, _):
            let magnitudes = try interpreted(operation, graph, operands.map { $0.mapReals(abs) }, symbols)[0].doubles
            if case .contract(let contraction) = form, contraction.isPadded, operands.contains(where: { !$0.isFinite }) { isOpen = true }
            // Scattered sums are kept in the result's dtype, others in f32 at least.
            let own = if case .scatter = form { unit } else { result.dtype == .f64 ? unit : DType.f32.unitRoundoff }
            if magnitudes.contains(where: { $0 > result.dtype.greatestSum / 2 }) { isOpen = true }
            return shifted(result, relative: unit, absolute: magnitudes.map { $0 * root * own })
        case .reduce(.product, _), .scan(.product, _, _, _), .scatter(.multiply, _):
            let exponents = operands.flatMap(\.doubles).map { $0 == 0 || !$0.isFinite ? 0 : abs(Int($0.exponent)) + 1 }
            if exponents.reduce(0, +) > Int(result.dtype.greatestSum.exponent) - 2 { isOpen = true }
            return shifted(result, relative: root * unit)
        case .attention(let attention):
            let greatest = operands.map { $0.dtype.isFloat ? $0.mapReals(abs).doubles.max() ?? 0 : 0 }
            if operands.contains(where: { !$0.isFinite }) || greatest[0] * greatest[1] * Double(operands[0].count) * max(abs(attention.scale), 1) > result.dtype.greatestSum { isOpen = true }
            // Weighted values may cancel.
            return shifted(result, relative: 32 * unit, absolute: Array(repeating: 8 * unit * (greatest.max() ?? 0), count: result.count))
        default: return result
        }
    }

    private mutating func shifted(_ literal: Literal, relative: Double, absolute: [Double]? = nil) -> Literal {
        Literal(literal.dtype, literal.shape, doubles: literal.doubles.enumerated().map { position, value in
            let step = abs(value) * relative + (absolute?[position] ?? 0)
            return noise!.below(2) == 0 ? value + step : value - step
        })
    }
}

extension Contraction {
    fileprivate var isPadded: Bool { !left.conditions.isEmpty || !right.conditions.isEmpty }
}

extension Literal {
    fileprivate var isFinite: Bool { !dtype.isFloat || doubles.allSatisfy(\.isFinite) }

    func mapReals(_ function: (Double) -> Double) -> Literal { dtype.isFloat ? Literal(dtype, shape, doubles: doubles.map(function)) : self }
}

extension DType {
    /// Half the distance from 1 to the next number.
    var unitRoundoff: Double {
        switch self {
        case .f8e4m3: 0x1p-4
        case .f8e5m2: 0x1p-3
        case .bf16: 0x1p-8
        case .f16: 0x1p-11
        case .f64: 0x1p-53
        default: 0x1p-24
        }
    }

    /// The least positive number, in the types that kernels compute in.
    var leastNonzero: Double { self == .f64 ? .leastNonzeroMagnitude : Double(Float.leastNonzeroMagnitude) }

    /// What a sum of numbers of this dtype may not reach on its way.
    fileprivate var greatestSum: Double { self == .f64 ? .greatestFiniteMagnitude : self == .f16 ? 65504 : Double(Float.greatestFiniteMagnitude) }
}
