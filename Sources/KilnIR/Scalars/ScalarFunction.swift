// The closed set of functions of single elements. Every elementwise op is an expression over these; the interpreter,
// the vector maths and the backends each give them their meaning once.

/// A function of one to three elements. Floats follow IEEE 754; integers wrap.
public enum ScalarFunction: String, CaseIterable, Hashable, Sendable {
    // Arithmetic. Integer division truncates; by zero it gives all bits set, and the remainder by zero is the dividend.
    case add, subtract, multiply, divide, remainder
    case negate, absolute
    /// `maximum` and `minimum` give NaN where either is NaN, and order -0 below +0.
    case maximum, minimum
    /// `a * b + c`, rounded once.
    case fusedMultiplyAdd = "fma"
    /// The high half of the product of two u32 or u64.
    case multiplyHigh = "mulhi"
    // Rounding to integral values; `round` takes ties to even.
    case floor, ceil, round, truncate
    // Algebraic and transcendental functions of floats.
    case squareRoot = "sqrt"
    case reciprocalSquareRoot = "rsqrt"
    case exp, exp2, expm1, log, log2, log1p, sin, cos, tan, asin, acos, atan, sinh, cosh, tanh, asinh, acosh, atanh, erf
    case power = "pow"
    // Bits of integers, and truth values. Shifts by the width or more give zero (or the sign).
    case and, or, xor, not
    case shiftLeft = "shl"
    case shiftRight = "shr"
    // Comparisons give bool; any comparison with NaN but `notEqual` is false.
    case equal = "eq"
    case notEqual = "ne"
    case less = "lt"
    case lessEqual = "le"
    case greater = "gt"
    case greaterEqual = "ge"
    case isNaN = "isnan"
    /// `select(condition, a, b)`.
    case select
    /// To another dtype by value: floats to integers truncate and saturate, NaN gives 0; integers wrap; to bool is `!= 0`.
    case convert
    /// To another dtype of the same width by bits.
    case bitcast

    public var arity: Int {
        switch self {
        case .add, .subtract, .multiply, .divide, .remainder, .maximum, .minimum, .multiplyHigh, .power, .and, .or, .xor,
            .shiftLeft, .shiftRight, .equal, .notEqual, .less, .lessEqual, .greater, .greaterEqual: 2
        case .fusedMultiplyAdd, .select: 3
        default: 1
        }
    }

    public var isComparison: Bool {
        switch self {
        case .equal, .notEqual, .less, .lessEqual, .greater, .greaterEqual, .isNaN: true
        default: false
        }
    }
}
