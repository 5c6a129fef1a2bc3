// Rules about sums, products and powers that keep every bit: of floats by IEEE 754 (so x + 0 stays, since -0 + 0 is +0),
// of integers by arithmetic modulo a power of two.

import KilnIR
import KilnOps

/// The rules of simplification, group by group.
enum Rules {
    private static let signedNumbers = DType.numbers.filter(\.isSigned)
    private static let signedIntegers = DType.integers.filter(\.isSigned)

    /// Of floats and integers alike.
    static let arithmetic = rules {
        rule("x * 1", DType.numbers) { x in (x * 1, x) }
        rule("x / 1", DType.numbers) { x in (x / 1, x) }
        rule("x * -1", signedNumbers) { x in (x * -1, -x) }
        rule("x / -1", signedNumbers) { x in (x / -1, -x) }
        rule("x - 0", DType.numbers) { x in (x - 0, x) }
        rule("neg neg x", DType.numbers) { x in (-(-x), x) }
        rule("x + neg y", DType.numbers) { x, y in (x + (-y), x - y) }
        rule("neg x + y", DType.numbers) { x, y in ((-x) + y, y - x) }
        rule("x - neg y", DType.numbers) { x, y in (x - (-y), x + y) }
        rule("neg x * neg y", DType.numbers) { x, y in ((-x) * (-y), x * y) }
        rule("neg x * a", DType.numbers, variables: { v in ((-v.x) * v.a, v.x * (-v.a)) })
        rule("neg (x * a)", DType.numbers, variables: { v in (-(v.x * v.a), v.x * (-v.a)) })
        rule("abs abs x", DType.numbers) { x in (x.abs().abs(), x.abs()) }
        rule("abs neg x", signedNumbers) { x in ((-x).abs(), x.abs()) }
        rule("square neg x", DType.numbers) { x in ((-x).square(), x.square()) }
        rule("square abs x", DType.numbers) { x in (x.abs().square(), x.square()) }
        rule("max(x, x)", DType.numbers) { x in (x.maximum(x), x) }
        rule("min(x, x)", DType.numbers) { x in (x.minimum(x), x) }
        rule("max(x, least)", DType.numbers) { x in (x.maximum(number(x.dtype.least, x)), x) }
        rule("min(x, greatest)", DType.numbers) { x in (x.minimum(number(x.dtype.greatest, x)), x) }
        rule("relu relu x", DType.numbers) { x in (x.relu().relu(), x.relu()) }
        rule("sign sign x", DType.numbers) { x in (x.sign().sign(), x.sign()) }
        rule("pow(x, 0)", DType.numbers) { x in (x.pow(number(0, x)), number(1, x)) }
        rule("pow(x, 1)", DType.numbers) { x in (x.pow(number(1, x)), x) }
        // In f64 the power is not the square to the last bit.
        rule("pow(x, 2)", DType.integers + [.f16, .bf16, .f32]) { x in (x.pow(number(2, x)), x.square()) }
        rule("fma(x, 1, y)", DType.numbers) { x, y in (x.fma(number(1, x), y), x + y) }
    }

    /// Of floats.
    static let floats = rules {
        rule("x + -0", DType.floats) { x in (x + number(-0.0, x), x) }
        rule("-0 - x", DType.floats) { x in (number(-0.0, x) - x, -x) }
        rule("neg x / neg y", DType.floats) { x, y in ((-x) / (-y), x / y) }
        rule("neg x / a", DType.floats, variables: { v in ((-v.x) / v.a, v.x / (-v.a)) })
        rule("neg (x / a)", DType.floats, variables: { v in (-(v.x / v.a), v.x / (-v.a)) })
        rule("1 / x", DType.floats) { x in (1 / x, x.reciprocal()) }
        rule("abs square x", DType.floats) { x in (x.square().abs(), x.square()) }
        rule("fma(x, y, -0)", DType.floats) { x, y in (x.fma(y, number(-0.0, x)), x * y) }
    }

    /// Rounding what is rounded.
    static let roundings: [Rule] = {
        let functions: [(String, (Pattern) -> Pattern)] = [
            ("floor", { $0.floor() }), ("ceil", { $0.ceil() }), ("round", { $0.round() }), ("trunc", { $0.trunc() }),
        ]
        return functions.flatMap { outer in
            functions.flatMap { inner in
                rule("\(outer.0) \(inner.0) x", DType.floats) { x in (outer.1(inner.1(x)), inner.1(x)) }
            }
        }
    }()

    /// Of integers.
    static let integers = rules {
        rule("x + 0", DType.integers) { x in (x + 0, x) }
        rule("0 - x", DType.integers) { x in (0 - x, -x) }
        rule("x - x", DType.integers) { x in (x - x, number(0, x)) }
        rule("x * 0", DType.integers) { x in (x * 0, number(0, x)) }
        rule("x rem 1", DType.integers) { x in (x % 1, number(0, x)) }
        rule("neg (x - y)", DType.integers) { x, y in (-(x - y), y - x) }
        rule("(x + a) + b", DType.integers, variables: { v in ((v.x + v.a) + v.b, v.x + (v.a + v.b)) })
        rule("(x + a) - b", DType.integers, variables: { v in ((v.x + v.a) - v.b, v.x + (v.a - v.b)) })
        rule("(x - a) + b", DType.integers, variables: { v in ((v.x - v.a) + v.b, v.x + (v.b - v.a)) })
        rule("(x - a) - b", DType.integers, variables: { v in ((v.x - v.a) - v.b, v.x - (v.a + v.b)) })
        rule("(x * a) * b", DType.integers, variables: { v in ((v.x * v.a) * v.b, v.x * (v.a * v.b)) })
        rule("fma(x, y, 0)", DType.integers) { x, y in (x.fma(y, number(0, x)), x * y) }
        rule("x shl 0", DType.integers) { x in (x << 0, x) }
        rule("x shr 0", DType.integers) { x in (x >> 0, x) }
        rule("abs x", DType.integers.filter(\.isUnsigned)) { x in (x.abs(), x) }
        rule("relu x", DType.integers.filter(\.isUnsigned)) { x in (x.relu(), x) }
    }

    /// Of real numbers: floats may differ in the last bits, in the sign of zero, and where a step overflows or is NaN.
    static let reals = rules {
        rule("x + 0", DType.floats, .fastMath) { x in (x + 0, x) }
        rule("0 - x", DType.floats, .fastMath) { x in (0 - x, -x) }
        rule("x - x", DType.floats, .fastMath) { x in (x - x, number(0, x)) }
        rule("x * 0", DType.floats, .fastMath) { x in (x * 0, number(0, x)) }
        rule("neg (x - y)", DType.floats, .fastMath) { x, y in (-(x - y), y - x) }
        rule("(x + a) + b", DType.floats, .fastMath, variables: { v in ((v.x + v.a) + v.b, v.x + (v.a + v.b)) })
        rule("(x * a) * b", DType.floats, .fastMath, variables: { v in ((v.x * v.a) * v.b, v.x * (v.a * v.b)) })
        rule("x / a", DType.floats, .fastMath, variables: { v in (v.x / v.a, v.x * v.a.reciprocal()) })
        rule("x * reciprocal y", DType.floats, .fastMath) { x, y in (x * y.reciprocal(), x / y) }
        rule("reciprocal reciprocal x", DType.floats, .fastMath) { x in (x.reciprocal().reciprocal(), x) }
        rule("reciprocal sqrt x", DType.floats, .fastMath) { x in (x.sqrt().reciprocal(), x.rsqrt()) }
        rule("square sqrt x", DType.floats, .fastMath) { x in (x.sqrt().square(), x) }
        rule("sqrt square x", DType.floats, .fastMath) { x in (x.square().sqrt(), x.abs()) }
        rule("log exp x", DType.floats, .fastMath) { x in (x.exp().log(), x) }
        rule("exp log x", DType.floats, .fastMath) { x in (x.log().exp(), x) }
        rule("pow(x, 2)", [.f64], .fastMath) { x in (x.pow(number(2, x)), x.square()) }
        rule("pow(x, 3)", DType.floats, .fastMath) { x in (x.pow(number(3, x)), x.square() * x) }
        rule("pow(x, -1)", DType.floats, .fastMath) { x in (x.pow(number(-1, x)), x.reciprocal()) }
        rule("pow(x, 0.5)", DType.floats, .fastMath) { x in (x.pow(number(0.5, x)), x.sqrt()) }
        rule("not x < y", DType.floats, .fastMath) { x, y in (~(x .< y), x .>= y) }
        rule("not x > y", DType.floats, .fastMath) { x, y in (~(x .> y), x .<= y) }
    }
}

extension DType {
    /// The number below all others.
    var least: Scalar {
        if isFloat { return .real(-.infinity) }
        return isSigned ? .integer(-1 << Int64(bitWidth - 1)) : .unsigned(0)
    }

    /// The number above all others.
    var greatest: Scalar {
        if isFloat { return .real(.infinity) }
        return isSigned ? .integer(Int64.max >> Int64(64 - bitWidth)) : .unsigned(UInt64.max >> UInt64(64 - bitWidth))
    }
}
