// Rules of two patterns, left → right: `rule("x * 1", .numbers) { x in (x * 1, x) }`, for each dtype of a class.
// Variables are any values; those of `Numbers` are numbers known at compile time.

import KilnIR
import KilnOps

/// The variables of a rule.
struct PatternVariables {
    /// Any values.
    let x, y, z: Pattern
    /// Numbers known at compile time.
    let a, b: Pattern
    /// Truth values.
    let p, q: Pattern

    init(_ dtype: DType) {
        x = .variable(0, dtype)
        y = .variable(1, dtype)
        z = .variable(2, dtype)
        a = .number(3, dtype)
        b = .number(4, dtype)
        p = .variable(5, .bool)
        q = .variable(6, .bool)
    }
    static let count = 7
}

/// A rule for each of the dtypes; the body gives its left and right side.
func rule(_ name: String, _ dtypes: [DType], _ tag: Rule.Tag = .exact,
          variables: (PatternVariables) -> (Pattern, Pattern)) -> [Rule] {
    dtypes.compactMap { dtype in
        let (left, right) = variables(PatternVariables(dtype))
        return patternRule(dtypes.count == 1 ? name : "\(name) [\(dtype)]", tag, left, right)
    }
}

func rule(_ name: String, _ dtypes: [DType], _ tag: Rule.Tag = .exact, _ body: (Pattern) -> (Pattern, Pattern)) -> [Rule] {
    rule(name, dtypes, tag, variables: { body($0.x) })
}

func rule(_ name: String, _ dtypes: [DType], _ tag: Rule.Tag = .exact, _ body: (Pattern, Pattern) -> (Pattern, Pattern)) -> [Rule] {
    rule(name, dtypes, tag, variables: { body($0.x, $0.y) })
}

/// Nil where an op of the rule does not take the dtype.
private func patternRule(_ name: String, _ tag: Rule.Tag, _ left: Pattern, _ right: Pattern) -> Rule? {
    guard left.problem == nil, right.problem == nil, case .apply(let root, let operands, let attributes) = left.node else { return nil }
    return Rule(name, tag, roots: [root], dtype: left.type.dtype, made: operands.map(\.maker), examples: { try patternExamples(left) }, rewrite: { site in
        var bindings = Bindings(count: PatternVariables.count)
        guard Pattern.match(operands, attributes, site.operation, at: site, &bindings) else { return nil }
        let values = bindings.values.map { site.value(Swift.max($0, 0)) }
        return [right.build(values, in: site.builder, shape: site.type.shape)]
    })
}

/// The left side as a graph over vectors, with several choices of its numbers.
private func patternExamples(_ left: Pattern) throws -> [Graph] {
    let choices: [(Scalar, Scalar)] = [(3, -2), (0, 5), (-1, 0.5)]
    let shape: Shape = [.constant(Rule.exampleSize)]
    return try choices.prefix(left.holdsNumbers ? 3 : 1).map { first, second in
        let builder = GraphBuilder("example")
        var values: [Value] = []
        for number in 0..<PatternVariables.count {
            let (dtype, isNumber) = left.variable(number) ?? (.bool, true)
            let type = TensorType(dtype, shape)
            values.append(isNumber ? builder.full((number == 3 ? first : second).converted(to: dtype), type) : builder.input("v\(number)", type))
        }
        return try builder.finish([("left", left.build(values, in: builder, shape: shape))])
    }
}

/// This number everywhere, beside `x`.
func number(_ value: Scalar, _ x: Pattern) -> Pattern { x.full(value, x.type, at: .unknown) }

/// A list of rules, written one below the other.
@resultBuilder
enum RuleList {
    static func buildExpression(_ rules: [Rule]) -> [Rule] { rules }
    static func buildExpression(_ rule: Rule) -> [Rule] { [rule] }
    static func buildBlock(_ parts: [Rule]...) -> [Rule] { parts.flatMap { $0 } }
    static func buildArray(_ parts: [[Rule]]) -> [Rule] { parts.flatMap { $0 } }
}

func rules(@RuleList _ list: () throws -> [Rule]) rethrows -> [Rule] { try list() }

extension Rule {
    /// The number of elements of the vectors in the examples of rules of patterns.
    package static let exampleSize = 64
}

extension Pattern {
    fileprivate var holdsNumbers: Bool {
        switch node {
        case .number: true
        case .apply(_, let operands, _): operands.contains(where: \.holdsNumbers)
        default: false
        }
    }

    /// The op that makes each value which matches, where there is one.
    fileprivate var maker: OpDefinition? {
        switch node {
        case .apply(let op, _, _): op
        case .number, .constant: Elementwise.full
        case .variable, .invalid: nil
        }
    }

    /// The dtype of a variable, and whether it is a number known at compile time; nil where it does not occur.
    fileprivate func variable(_ wanted: Int) -> (DType, Bool)? {
        switch node {
        case .variable(let number): number == wanted ? (type.dtype, false) : nil
        case .number(let number): number == wanted ? (type.dtype, true) : nil
        case .apply(_, let operands, _): operands.lazy.compactMap { $0.variable(wanted) }.first
        default: nil
        }
    }
}
