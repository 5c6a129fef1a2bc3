// Patterns: the third thing that ops can be applied to, beside tensors and values, so that rules are written with the same spelling.
// A pattern is matched against a value of a graph, which binds its variables, and built again as the rule's other side.

import KilnIR
import KilnOps

/// A shape of expression over values.
public struct Pattern: Operand, Sendable {
    indirect enum Node: Sendable {
        /// Any value, the same one at each occurrence.
        case variable(Int)
        /// Any value that is known to be the same number everywhere.
        case number(Int)
        /// This number everywhere.
        case constant(Scalar)
        case apply(OpDefinition, [Pattern], Attributes)
        /// The op does not take such operands.
        case invalid(String)
    }

    let node: Node
    public let type: TensorType

    /// The shape that stands for every shape: rules of patterns are about elementwise ops.
    static let anyShape: Shape = ["n"]

    static func variable(_ number: Int, _ dtype: DType) -> Pattern { Pattern(node: .variable(number), type: TensorType(dtype, anyShape)) }
    static func number(_ number: Int, _ dtype: DType) -> Pattern { Pattern(node: .number(number), type: TensorType(dtype, anyShape)) }

    public static func apply(_ op: OpDefinition, _ operands: [Pattern], _ attributes: Attributes, regions: [Graph],
                             at location: SourceLocation) -> [Pattern] {
        let context = OpContext(op: op, operands: operands.map(\.type), attributes: attributes, regions: regions, location: location)
        do {
            for operand in operands { if case .invalid = operand.node { return [operand] } }
            let types = try op.infer(context)
            // A view of a number is that number.
            if operands.count == 1, case .constant = operands[0].node, case .view = try op.form(context) {
                return [Pattern(node: operands[0].node, type: types[0])]
            }
            return types.map { Pattern(node: .apply(op, operands, attributes), type: $0) }
        } catch { return [Pattern(node: .invalid("\(error)"), type: operands.first?.type ?? TensorType(.bool, []))] }
    }

    public func literal(_ literal: Literal, at location: SourceLocation) -> Pattern {
        literal.count == 1 ? Pattern(node: .constant(literal[0]), type: literal.type)
            : Pattern(node: .invalid("a pattern holds single numbers only"), type: literal.type)
    }
    public func scalar(_ value: Scalar, _ dtype: DType, at location: SourceLocation) -> Pattern {
        full(value, TensorType(dtype, []), at: location)
    }
    public func full(_ value: Scalar, _ type: TensorType, at location: SourceLocation) -> Pattern {
        Pattern(node: .constant(value.converted(to: type.dtype)), type: type)
    }

    /// What is wrong with the pattern, where something is.
    var problem: String? {
        switch node {
        case .invalid(let text): text
        case .apply(_, let operands, _): operands.lazy.compactMap(\.problem).first
        default: nil
        }
    }

    /// The op at the pattern's root.
    var root: OpDefinition? { if case .apply(let op, _, _) = node { op } else { nil } }

    /// Whether the value is such an expression; `bindings` receives the variables' values.
    func matches(_ value: ValueID, at site: RewriteSite, _ bindings: inout Bindings) -> Bool {
        guard site.type(of: value).dtype == type.dtype else { return false }
        switch node {
        case .variable(let number): return bindings.bind(number, value)
        case .number(let number): return site.uniform(value) != nil && bindings.bind(number, value)
        case .constant(let scalar): return site.uniform(value) == scalar
        case .apply(let op, let operands, let attributes):
            guard let made = site.definition(of: value), made.op === op else { return false }
            return Self.match(operands, attributes, made, at: site, &bindings)
        case .invalid: return false
        }
    }

    static func match(_ operands: [Pattern], _ attributes: Attributes, _ operation: Operation, at site: RewriteSite,
                      _ bindings: inout Bindings) -> Bool {
        guard operation.operands.count == operands.count, operation.attributes == attributes else { return false }
        for (pattern, operand) in zip(operands, operation.operands) where !pattern.matches(operand, at: site, &bindings) { return false }
        return true
    }

    /// The expression over the variables' values; numbers take the given shape.
    func build(_ bindings: [Value], in builder: GraphBuilder, shape: Shape) -> Value {
        switch node {
        case .variable(let number), .number(let number): bindings[number]
        case .constant(let scalar): builder.full(scalar, TensorType(type.dtype, shape))
        case .apply(let op, let operands, let attributes):
            builder.append(op, operands.map { $0.build(bindings, in: builder, shape: shape) }, attributes)[0]
        case .invalid: bindings[0]
        }
    }
}

/// The values of a pattern's variables.
struct Bindings {
    var values: [ValueID]

    init(count: Int) { values = [ValueID](repeating: -1, count: count) }

    mutating func bind(_ number: Int, _ value: ValueID) -> Bool {
        if values[number] >= 0 { return values[number] == value }
        values[number] = value
        return true
    }
}
