// The meaning of an elementwise op for kernels: a small typed graph of scalar functions, shared subexpressions and all.

/// An expression over the elements of an op's operands at one position.
public struct ScalarExpr: Hashable, Sendable {
    public enum Node: Hashable, Sendable {
        /// The element of operand `i`.
        case argument(Int)
        case constant(Scalar)
        /// The position along an axis of the result, as i64.
        case index(Int)
        /// A function of earlier nodes.
        case apply(ScalarFunction, [Int])
    }

    /// In order of evaluation; each refers to earlier ones alone.
    public var nodes: [Node]
    /// The dtype of each node.
    public var dtypes: [DType]
    /// The node whose value is the expression's.
    public var result: Int

    public var dtype: DType { dtypes[result] }

    /// Builds an expression over operands of the given dtypes.
    public init(_ operands: [DType], _ body: ([ScalarTerm]) -> ScalarTerm) {
        let arena = ScalarArena()
        let arguments = operands.enumerated().map { arena.append(.argument($0.offset), $0.element) }
        let result = body(arguments)
        nodes = arena.nodes
        dtypes = arena.dtypes
        self.result = result.id
        // A constant result of a body that used none of its operands has an arena of its own.
        if result.arena !== arena {
            nodes = result.arena.nodes
            dtypes = result.arena.dtypes
        }
    }
}

/// The nodes of an expression under construction.
public final class ScalarArena {
    var nodes: [ScalarExpr.Node] = []
    var dtypes: [DType] = []
    private var known: [Key: Int] = [:]
    private struct Key: Hashable {
        var node: ScalarExpr.Node
        var dtype: DType
    }

    public init() {}

    func append(_ node: ScalarExpr.Node, _ dtype: DType) -> ScalarTerm {
        let key = Key(node: node, dtype: dtype)
        if let id = known[key] { return ScalarTerm(arena: self, id: id, dtype: dtype) }
        nodes.append(node)
        dtypes.append(dtype)
        known[key] = nodes.count - 1
        return ScalarTerm(arena: self, id: nodes.count - 1, dtype: dtype)
    }

    public func constant(_ value: Scalar, _ dtype: DType) -> ScalarTerm { append(.constant(value.converted(to: dtype)), dtype) }
    public func index(_ axis: Int) -> ScalarTerm { append(.index(axis), .i64) }
}

/// A node of an expression under construction, with the operators one expects.
public struct ScalarTerm {
    public let arena: ScalarArena
    let id: Int
    public let dtype: DType

    /// Applies a function; the result's dtype is the first value's, or bool for comparisons.
    public static func apply(_ function: ScalarFunction, _ terms: ScalarTerm..., as dtype: DType? = nil) -> ScalarTerm {
        let natural: DType = function.isComparison ? .bool : (function == .select ? terms[1].dtype : terms[0].dtype)
        return terms[0].arena.append(.apply(function, terms.map(\.id)), dtype ?? natural)
    }

    /// A constant of this term's dtype.
    public func constant(_ value: Scalar) -> ScalarTerm { arena.constant(value, dtype) }

    public func converted(to target: DType) -> ScalarTerm { target == dtype ? self : .apply(.convert, self, as: target) }
    public func bitcast(to target: DType) -> ScalarTerm { target == dtype ? self : .apply(.bitcast, self, as: target) }
    public func select(_ a: ScalarTerm, _ b: ScalarTerm) -> ScalarTerm { .apply(.select, self, a, b) }
    public func fma(_ b: ScalarTerm, _ c: ScalarTerm) -> ScalarTerm { .apply(.fusedMultiplyAdd, self, b, c) }
    public func callAsFunction(_ function: ScalarFunction) -> ScalarTerm { .apply(function, self) }
    public func callAsFunction(_ function: ScalarFunction, _ other: ScalarTerm) -> ScalarTerm { .apply(function, self, other) }

    public static func + (a: ScalarTerm, b: ScalarTerm) -> ScalarTerm { .apply(.add, a, b) }
    public static func - (a: ScalarTerm, b: ScalarTerm) -> ScalarTerm { .apply(.subtract, a, b) }
    public static func * (a: ScalarTerm, b: ScalarTerm) -> ScalarTerm { .apply(.multiply, a, b) }
    public static func / (a: ScalarTerm, b: ScalarTerm) -> ScalarTerm { .apply(.divide, a, b) }
    public static prefix func - (a: ScalarTerm) -> ScalarTerm { .apply(.negate, a) }
    public static func + (a: ScalarTerm, b: Double) -> ScalarTerm { a + a.constant(.real(b)) }
    public static func - (a: ScalarTerm, b: Double) -> ScalarTerm { a - a.constant(.real(b)) }
    public static func * (a: ScalarTerm, b: Double) -> ScalarTerm { a * a.constant(.real(b)) }
    public static func / (a: ScalarTerm, b: Double) -> ScalarTerm { a / a.constant(.real(b)) }
    public static func < (a: ScalarTerm, b: ScalarTerm) -> ScalarTerm { .apply(.less, a, b) }
    public static func > (a: ScalarTerm, b: ScalarTerm) -> ScalarTerm { .apply(.greater, a, b) }
    public static func < (a: ScalarTerm, b: Double) -> ScalarTerm { a < a.constant(.real(b)) }
    public static func > (a: ScalarTerm, b: Double) -> ScalarTerm { a > a.constant(.real(b)) }
}
