// Takes a transcendental function of one or two elements and a dtype; gives an expression in primitive functions alone,
// branch-free, so that it vectorises on every target and rounds the same way on each.

import KilnIR

/// Kiln's own elementary functions. Polynomials are minimax, computed with Remez exchange in mpmath and rounded to the
/// dtype coefficient by coefficient; each function states its interval, the polynomial's relative error and the bound in ulp
/// that a sweep over all inputs confirmed.
public enum Maths {
    /// The function's expansion over its arguments, or nil where a backend has it as one instruction or calls libm.
    /// - Parameter hasLibrary: whether there is a libm; what is left to it is expanded too where there is none.
    public static func expand(_ function: ScalarFunction, _ dtype: DType, hasLibrary: Bool = true) -> ScalarExpr? {
        expand(function, dtype, hasLibrary, allArguments: true)
    }

    /// As `expand`, but sin, cos and tan hold for |x| < 2^17 only, at a third of the cost; nil where `expand` has no such part.
    public static func expandSmall(_ function: ScalarFunction, _ dtype: DType, hasLibrary: Bool = true) -> ScalarExpr? {
        switch function {
        case .sin, .cos, .tan: expand(function, dtype, hasLibrary, allArguments: false)
        default: nil
        }
    }

    /// The magnitude below which `expandSmall` is as good as `expand`.
    public static let smallLimit = 0x1p17

    private static func expand(_ function: ScalarFunction, _ dtype: DType, _ hasLibrary: Bool, allArguments: Bool) -> ScalarExpr? {
        if dtype == .f64 {
            if function == .power, !hasLibrary { return ScalarExpr([dtype, dtype]) { doublePower($0[0], $0[1]) } }
            let body = hasLibrary ? double(function) : doubleWithoutLibrary(function, allArguments)
            return body.map { body in ScalarExpr([dtype]) { body($0[0]) } }
        }
        guard dtype == .f32 else { return nil }
        if function == .power { return ScalarExpr([dtype, dtype]) { power($0[0], $0[1]) } }
        guard let body = unary(function, allArguments) else { return nil }
        return ScalarExpr([dtype]) { body($0[0]) }
    }

    private static func unary(_ function: ScalarFunction, _ allArguments: Bool) -> ((ScalarTerm) -> ScalarTerm)? {
        switch function {
        case .exp: exp
        case .exp2: exp2
        case .expm1: expm1
        case .log: log
        case .log2: log2
        case .log1p: log1p
        case .sin: { sine($0, quarterTurns: 0, allArguments) }
        case .cos: { sine($0, quarterTurns: 1, allArguments) }
        case .tan: { tan($0, allArguments) }
        case .asin: asin
        case .acos: acos
        case .atan: atan
        case .sinh: sinh
        case .cosh: cosh
        case .tanh: tanh
        case .asinh: asinh
        case .acosh: acosh
        case .atanh: atanh
        case .erf: erf
        case .reciprocalSquareRoot: reciprocalSquareRoot
        default: nil
        }
    }

    /// 1 / sqrt(x) within 0.51 ulp: the rounded root's reciprocal q, and one step of Newton on x q² - 1 without error.
    static func reciprocalSquareRoot(_ x: ScalarTerm) -> ScalarTerm {
        let q = x.constant(1) / x(.squareRoot)
        let product = x * q
        let excess = x.fma(q, -product).fma(q, product.fma(q, -1))
        let refined = excess.fma(q * -0.5, q)
        // At zero and infinity the step is NaN and q is right.
        return refined(.isNaN).select(q, refined)
    }
}
