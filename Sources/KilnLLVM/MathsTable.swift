// Which transcendental functions are expanded inline: expressions over primitive functions, made once for each compile.

import KilnIR
import KilnKernels

/// The expansions of functions. What has none is a call of libm's, lane by lane.
final class MathsTable {
    private struct Key: Hashable {
        var function: ScalarFunction
        var dtype: DType
    }
    private var known: [Key: ScalarExpr?] = [:]

    func expansion(of function: ScalarFunction, _ dtype: DType) -> ScalarExpr? {
        let key = Key(function: function, dtype: dtype)
        if let known = known[key] { return known }
        let expansion = Maths.expand(function, dtype)
        known[key] = expansion
        return expansion
    }
}
