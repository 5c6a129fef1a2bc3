// Which transcendental functions are expanded inline: expressions over primitive functions, made once for each compile.

import KilnIR
import KilnKernels

/// The expansions of functions. What has none is a call of libm's, lane by lane; a GPU has no libm.
final class MathsTable {
    private struct Key: Hashable {
        var function: ScalarFunction
        var dtype: DType
    }
    private var known: [Key: ScalarExpr?] = [:]
    private var knownSmall: [Key: ScalarExpr?] = [:]

    /// Whether there is a libm to call.
    let hasLibrary: Bool

    init(hasLibrary: Bool = true) { self.hasLibrary = hasLibrary }

    func expansion(of function: ScalarFunction, _ dtype: DType) -> ScalarExpr? {
        let key = Key(function: function, dtype: dtype)
        if let known = known[key] { return known }
        let expansion = Maths.expand(function, dtype, hasLibrary: hasLibrary)
        known[key] = expansion
        return expansion
    }

    /// The cheaper expansion that holds below `Maths.smallLimit`, where there is one.
    func smallExpansion(of function: ScalarFunction, _ dtype: DType) -> ScalarExpr? {
        let key = Key(function: function, dtype: dtype)
        if let known = knownSmall[key] { return known }
        let expansion = Maths.expandSmall(function, dtype, hasLibrary: hasLibrary)
        knownSmall[key] = expansion
        return expansion
    }
}
