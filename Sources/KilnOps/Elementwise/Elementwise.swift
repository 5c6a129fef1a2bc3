// Ops whose result at a position depends on their operands' elements at that position alone.
// One declaration in a table says everything of such an op; its spelling on `Operand` stands right below it.

import KilnIR

/// The elementwise ops.
///
/// To add one, write its row beside its like and name it in that file's table:
///
///     static let sigmoid = unary("sigmoid", ulp: 4, { x in 1 / (1 + exp(-x)) },
///                                real: { 1 / (1 + Foundation.exp(-$0)) }, derivative: { x, y in y * (1 - y) })
///
/// Type rule, text, pullback, kernels, interpretation and tests follow from the row.
public enum Elementwise {
    /// All of them, table by table.
    public static let all: [OpDefinition] =
        constants + arithmetic + algebraic + exponential + trigonometric + activations + comparisons + bits + conversions

    /// The dtype of an op's result.
    enum ResultType: Sendable {
        /// That of the operand with this number.
        case operand(Int)
        case bool
    }

    /// The derivative of a result with respect to an operand, by what it does to a cotangent.
    enum Partial {
        /// No gradient flows: the result is piecewise constant in the operand, or the operand is no real number.
        case none
        case one
        case minusOne
        case times(Value)
        /// One where the bool holds, zero elsewhere, also where the cotangent is infinite.
        case `where`(Value)

        func gradient(_ cotangent: Value) -> Value? {
            switch self {
            case .none: nil
            case .one: cotangent
            case .minusOne: -cotangent
            case .times(let factor): cotangent * factor
            case .where(let condition): condition.select(cotangent, 0)
            }
        }
    }

    typealias Real = @Sendable ([Double]) -> Double
    /// On integers and bools as mathematical numbers; what it gives is wrapped to the dtype.
    typealias Whole = @Sendable ([Int128], DType) -> Int128

    /// An op of one operand.
    ///
    /// - Parameters:
    ///   - ulp: the bound of an f32 kernel's error.
    ///   - domains: where the op is smooth; the tests draw a sample from each.
    ///   - meaning: what kernels compute. f16 and bf16 arrive as f32, and the result is rounded to them once.
    ///   - real, whole: the same in plain Swift, written independently.
    ///   - derivative: dy/dx from the operand and the result.
    static func unary(_ name: String, _ dtypes: [DType] = DType.floats, to result: ResultType = .operand(0), ulp: Double = 0,
                      domains: ClosedRange<Double>..., meaning: @escaping @Sendable (ScalarTerm) -> ScalarTerm,
                      real: (@Sendable (Double) -> Double)? = nil, whole: (@Sendable (Int128) -> Int128)? = nil,
                      partial: (@Sendable (Value, Value) -> Partial)? = nil,
                      derivative: (@Sendable (Value, Value) -> Value)? = nil) -> OpDefinition {
        let wide: Real? = if let real { { real($0[0]) } } else { nil }
        let exact: Whole? = if let whole { { x, _ in whole(x[0]) } } else { nil }
        return define(name, operands: 1, dtypes, to: result, ulp: ulp, domains: domains, meaning: { meaning($0[0]) }, real: wide, whole: exact,
                      partials: { x, y in
                          if let derivative { return [.times(derivative(x[0], y))] }
                          return [partial?(x[0], y) ?? .none]
                      })
    }

    /// An op of two operands of one dtype.
    static func binary(_ name: String, _ dtypes: [DType] = DType.numbers, to result: ResultType = .operand(0), ulp: Double = 0,
                       domains: ClosedRange<Double>..., meaning: @escaping @Sendable (ScalarTerm, ScalarTerm) -> ScalarTerm,
                       real: (@Sendable (Double, Double) -> Double)? = nil, whole: Whole? = nil,
                       partials: (@Sendable (Value, Value, Value) -> (Partial, Partial))? = nil) -> OpDefinition {
        let wide: Real? = if let real { { real($0[0], $0[1]) } } else { nil }
        return define(name, operands: 2, dtypes, to: result, ulp: ulp, domains: domains, meaning: { meaning($0[0], $0[1]) }, real: wide,
                      whole: whole, partials: { x, y in
                          guard let (first, second) = partials?(x[0], x[1], y) else { return [.none, .none] }
                          return [first, second]
                      })
    }

    /// An op of any number of operands of one dtype, the first of which may be a condition.
    static func define(_ name: String, operands count: Int, _ dtypes: [DType], to result: ResultType = .operand(0), condition: Bool = false,
                       ulp: Double = 0, domains: [ClosedRange<Double>] = [], meaning: @escaping @Sendable ([ScalarTerm]) -> ScalarTerm,
                       real: Real? = nil, whole: Whole? = nil,
                       partials: @escaping @Sendable ([Value], Value) -> [Partial]) -> OpDefinition {
        let exact: (@Sendable ([Scalar], DType) -> Scalar)? =
            if let whole { { scalars, dtype in Scalar(wrapping: whole(scalars.map(\.whole), dtype), dtype) } } else { nil }
        let pullback: OpDefinition.Pullback = { pull in
            zip(partials(pull.operands, pull.result), pull.operands).map { partial, operand in
                operand.dtype.isFloat ? partial.gradient(pull.cotangent) : nil
            }
        }
        return OpDefinition(
            name, operandCount: count, dtypes: dtypes, ulp: ulp,
            infer: { context in
                let types = try check(context, count, dtypes, condition: condition)
                switch result {
                case .operand(let number): return [types[number]]
                case .bool: return [types[0].with(dtype: .bool)]
                }
            },
            form: { context in
                guard context.operands.count == count else { throw InternalError(name, "has \(context.operands.count) operands") }
                return .elementwise(expression(context.operands.map(\.dtype), to: result, meaning))
            },
            reference: ScalarReference(real: real, integer: exact), pullback: pullback,
            samples: { samples($0, count, condition: condition, domains) })
    }

    /// A matrix and a number for each domain.
    private static func samples(_ dtype: DType, _ count: Int, condition: Bool, _ domains: [ClosedRange<Double>]) -> [OpSample] {
        let shapes: [Shape] = [[2, 3], [], ["n", 5]]
        return shapes.flatMap { shape in
            (domains.isEmpty ? [-2...2] : domains).map { domain in
                OpSample((0..<count).map { TensorType(condition && $0 == 0 ? .bool : dtype, shape) }, domain: domain)
            }
        }
    }

    /// The expression of a meaning: floats narrower than f32 are computed in it and rounded once.
    static func expression(_ operands: [DType], to result: ResultType, _ meaning: ([ScalarTerm]) -> ScalarTerm) -> ScalarExpr {
        ScalarExpr(operands) { arguments in
            let value = meaning(arguments.map { $0.dtype.isNarrowFloat ? $0.converted(to: .f32) : $0 })
            switch result {
            case .operand(let number): return value.converted(to: operands[number])
            case .bool: return value
            }
        }
    }
}
