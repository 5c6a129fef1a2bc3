// One op on operands of given types, which may be views of the inputs: what every check of the catalogue runs.
// Many cases make one graph, so that one compilation serves them all; a case that fails is shown alone.

import KilnIR
import KilnOps

/// How an operand comes from an input.
enum InputView: CaseIterable, Sendable {
    case plain, permuted, sliced, reversed, broadcast, padded

    /// The type of the input that gives an operand of the given type; nil where the view needs axes that are not there.
    func input(_ type: TensorType) -> TensorType? {
        switch self {
        case .plain, .reversed: type
        case .permuted: type.rank < 2 ? nil : type.with(shape: type.shape.reversed())
        case .sliced: type.rank == 0 ? nil : type.with(shape: type.shape.dropLast() + [type.shape.last! * 2 + 1])
        case .broadcast: type.rank == 0 ? nil : type.with(shape: Array(type.shape.dropFirst()))
        case .padded: type.rank == 0 || (type.shape[0].constant ?? 0) < 2 ? nil : type.with(shape: [type.shape[0] - 1] + type.shape.dropFirst())
        }
    }

    /// The operand from the input.
    func apply(_ value: Value, to type: TensorType) -> Value {
        switch self {
        case .plain: return value
        case .permuted: return value.permuting(value.dims.indices.reversed())
        case .reversed: return value.flipping(Array(value.dims.indices))
        case .sliced:
            let zeros = [Dim](repeating: 0, count: type.rank - 1)
            return value.slicing(starts: zeros + [1], ends: value.dims, steps: zeros.map { _ in 1 } + [2])
        case .broadcast: return value.broadcasting(to: type.shape, axes: Array(1..<type.rank))
        case .padded:
            let zeros = [Dim](repeating: 0, count: type.rank)
            var low = zeros
            low[0] = 1
            return value.padding(low: low, high: zeros, value: Scalar.integer(1).converted(to: type.dtype))
        }
    }
}

/// One op, with its operands and where they come from.
struct Case: Sendable {
    var op: OpDefinition
    var sample: OpSample
    /// One for each operand.
    var views: [InputView]
    /// Which numbers fill the inputs.
    var numbers: Numbers = .drawn

    enum Numbers: Sendable {
        case drawn
        case special
        /// Special ones among which sums have no rounding that depends on the order, but for their bound.
        case specialTerms
    }

    init(_ op: OpDefinition, _ sample: OpSample, views: [InputView]? = nil, numbers: Numbers = .drawn) {
        self.op = op
        self.sample = sample
        self.views = views ?? sample.operands.map { _ in .plain }
        self.numbers = numbers
    }

    /// All samples of an op for a dtype.
    static func samples(_ op: OpDefinition, _ dtype: DType) -> [Case] { op.samples(dtype).map { Case(op, $0) } }

    var label: String {
        let operands = zip(sample.operands, views).map { $1 == .plain ? "\($0)" : "\($1) \($0)" }
        return "\(op.name)(\(operands.joined(separator: ", "))) \(sample.attributes.entries.map { "\($0.name) = \($0.value)" })"
    }

    func inputTypes() throws -> [TensorType] {
        try zip(sample.operands, views).map { type, view in
            guard let input = view.input(type) else { throw InternalError("tests", "\(view) of \(type)") }
            return input
        }
    }

    /// Appends the case to a graph; gives the op's operands and results.
    func append(to builder: GraphBuilder, prefix: String = "") throws -> (operands: [Value], results: [Value]) {
        let inputs = try inputTypes().enumerated().map { builder.input("\(prefix)x\($0)", $1) }
        let operands = zip(zip(inputs, views), sample.operands).map { $0.1.apply($0.0, to: $1) }
        if let error = builder.error { throw error }
        var attributes = sample.attributes
        // Each case measures a size of its own.
        if op.measures != nil, let symbol = attributes.string("symbol") { attributes["symbol"] = .string(prefix + symbol) }
        let results = try builder.graph.append(op, operands.map(\.id), attributes, regions: sample.regions)
        return (operands, results.map(builder.value))
    }

    /// The case alone; on demand, what the op is given comes out before its results.
    func graph(showsOperands: Bool = false) throws -> Graph {
        let builder = GraphBuilder("alone")
        let (operands, results) = try append(to: builder)
        let shown = showsOperands ? operands.enumerated().map { ("o\($0)", $1) } : []
        return try builder.finish(shown + results.enumerated().map { ("y\($0)", $1) })
    }

    /// Values for the inputs.
    func draw(_ generator: inout SampleNumbers, symbols: [String: Int]) throws -> [Literal] {
        var inputs = sample
        inputs.operands = try inputTypes()
        let drawn = try inputs.draw(&generator, symbols: symbols)
        if numbers == .drawn { return drawn }
        return drawn.enumerated().map { number, literal in
            if sample.integerRanges[number] != nil { return literal }
            guard numbers == .specialTerms, literal.dtype.isFloat else { return generator.special(literal.dtype, literal.shape) }
            let format = FloatFormat(literal.dtype)
            let terms = [0, 1, -0.0, -1, 0.5, format.leastNonzero, -format.leastNormal, 3].map { Scalar.real($0) }
            let wild: [Scalar] = [.real(.infinity), .real(-.infinity), .real(.nan)]
            // Most rows stay finite.
            return generator.special(literal.dtype, literal.shape, Array(repeating: terms, count: 12).flatMap { $0 } + wild)
        }
    }
}
