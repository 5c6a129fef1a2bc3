// A local rewriting of graphs: what is looked for, what takes its place, and whether the two agree to the last bit.
// Rules come out of patterns written as mathematics, or of a function where attributes decide.

import KilnIR
import KilnOps

/// A rule of rewriting.
public struct Rule: Sendable {
    /// What a rule promises.
    public enum Tag: String, Hashable, Sendable {
        /// Both sides give the same bits for every input (a NaN being as good as any other).
        case exact
        /// Both sides are equal for real numbers only.
        case fastMath
    }

    public var name: String
    public var tag: Tag
    /// The ops that an operation must have for the rule to be tried.
    public var roots: [OpDefinition]
    /// The dtype that the first result must have; nil for any.
    public var dtype: DType?
    /// What must make the first operands, as far as that is known before the rule is tried; nil for anything.
    public var made: [OpDefinition?]
    /// Builds what takes the operation's place, a value of the same type for each result; nil where the rule does not apply.
    public var rewrite: @Sendable (RewriteSite) throws -> [Value]?
    /// Graphs on which the rule applies, for the tests.
    public var examples: @Sendable () throws -> [Graph]

    public init(_ name: String, _ tag: Tag = .exact, roots: [OpDefinition], dtype: DType? = nil, made: [OpDefinition?] = [],
                examples: @escaping @Sendable () throws -> [Graph],
                rewrite: @escaping @Sendable (RewriteSite) throws -> [Value]?) {
        self.name = name
        self.tag = tag
        self.roots = roots
        self.dtype = dtype
        self.made = made
        self.rewrite = rewrite
        self.examples = examples
    }
}

/// An operation under rewriting, in the graph that is being built, with a view of what its operands are.
public struct RewriteSite {
    public let operation: Operation
    let rewriter: Rewriter

    public var builder: GraphBuilder { rewriter.builder }
    public var attributes: Attributes { operation.attributes }
    /// The type of the first result.
    public var type: TensorType { builder.graph.types[operation.results[0]] }
    public var operands: [Value] { operation.operands.map(builder.value) }
    public var context: OpContext { builder.graph.context(of: operation) }

    /// The operation that makes a value; nil for inputs.
    public func definition(of value: ValueID) -> Operation? { rewriter.definition(of: value) }

    /// Whether nothing but this operation is known to use operand `i`: what makes it can be taken apart without being computed twice.
    public func isOnlyUse(ofOperand i: Int) -> Bool { rewriter.isUsedOnce(operation.operands[i]) }

    /// The operation that makes operand `i`, where that is the given op.
    public func operand(_ i: Int, madeBy op: OpDefinition) -> Operation? {
        guard i < operation.operands.count, let made = definition(of: operation.operands[i]), made.op === op else { return nil }
        return made
    }

    /// The number that a value holds everywhere, rounded to its dtype, where that is known.
    public func uniform(_ value: ValueID) -> Scalar? {
        guard let made = definition(of: value), made.op === Elementwise.full, let scalar = made.attributes.scalar("value") else { return nil }
        return scalar.converted(to: builder.graph.types[value].dtype)
    }

    public func type(of value: ValueID) -> TensorType { builder.graph.types[value] }
    public func value(_ id: ValueID) -> Value { builder.value(id) }

    /// Applies an op with one result.
    public func apply(_ op: OpDefinition, _ operands: [Value], _ attributes: Attributes = .none) -> Value {
        builder.append(op, operands, attributes, at: operation.location)[0]
    }
}

extension Scalar {
    /// This number as a tensor of `dtype` holds it.
    func rounded(to dtype: DType) -> Scalar { Literal(dtype, [], scalars: [self])[0] }
}
