// How far a result is from what is expected. Two literals and what is allowed come in; a reason goes out where they differ by more.
// Types are equal, integers and truth values too; floats may be off by what is allowed, and are NaN where NaN is expected.

import KilnIR

/// A bound for how far a float may be off: `atol + rtol · |expected|`.
struct Tolerance {
    var rtol: Double
    var atol = 0.0
}

extension Literal {
    /// Throws where this is not what is expected.
    func expect(_ expected: Literal, _ name: String, _ tolerance: Tolerance) throws {
        guard type == expected.type else { throw CaseError("'\(name)' is \(type), expected \(expected.type)") }
        if self == expected { return }
        for position in 0..<expected.count {
            let (a, b) = (self[position], expected[position])
            if a == b { continue }
            let (x, y) = (a.double, b.double)
            if dtype.isFloat, x.isNaN && y.isNaN || x == y || abs(x - y) <= tolerance.atol + tolerance.rtol * abs(y) { continue }
            throw CaseError("'\(name)' is \(a) at \(position) of \(shape), expected \(b)")
        }
    }
}
