// log, log2 and log1p of f32: x = 2^e m with m in [2/3, 4/3), found in the bits, and a polynomial in m - 1.

import KilnIR

extension Maths {
    /// The bits of 2/3: subtracted before the exponent is masked, they put m into [2/3, 4/3).
    private static let twoThirds: Int64 = 0x3f2a_aaab
    private static let exponentMask: Int64 = -0x80_0000

    /// log(1 + f) = f + f² (-1/2 + f q(f)); minimax on |f| <= 1/3, relative error 2^-27.7.
    private static let logTail = [
        -0.5, 0.3333321511745453, -0.24999797344207764, 0.20010463893413544, -0.16680504381656647, 0.1400480717420578,
        -0.12183991074562073, 0.13990157842636108, -0.12893016636371613,
    ]

    /// x = 2^e (1 + f): f, and e as a float. Subnormals are scaled up first.
    private static func split(_ x: ScalarTerm) -> (f: ScalarTerm, e: ScalarTerm) {
        let isTiny = x < 0x1p-126
        let scaled = isTiny.select(x * 0x1p23, x).bits
        let exponent = scaled.plus(-twoThirds).masked(exponentMask)
        let f = (scaled - exponent).float - 1
        return (f, exponent.converted(to: .f32).fma(x.constant(0x1p-23), isTiny.select(x.constant(-23), x.constant(0))))
    }

    /// The logarithm where x is positive and finite; -inf at zero, inf at inf, else NaN.
    static func logarithm(_ x: ScalarTerm, _ value: ScalarTerm) -> ScalarTerm {
        let edge = x.isEqual(to: 0).select(x.constant(.real(-.infinity)), x.constant(.real(.nan)))
        return (x > 0).select((x < Double.infinity).select(value, x), edge)
    }

    /// The natural logarithm within 0.95 ulp.
    static func log(_ x: ScalarTerm) -> ScalarTerm {
        let (f, e) = split(x)
        return logarithm(x, e.fma(ln2High, f.polynomial(logTail).fma(f * f, f)))
    }

    /// The logarithm to base 2 within 1.5 ulp; exact at powers of two.
    static func log2(_ x: ScalarTerm) -> ScalarTerm {
        let (f, e) = split(x)
        // log2(1 + f) = f log2(e) + f² q(f); minimax on |f| <= 1/3, relative error 2^-27.5.
        let q = f.polynomial([
            -0.7213475108146667, 0.4808962941169739, -0.3606741726398468, 0.28870970010757446, -0.2404996156692505,
            0.2017233967781067, -0.17793338000774384, 0.20343288779258728, -0.17619355022907257,
        ])
        let tail = f.fma(1.925963033500011e-08, (f * f) * q)
        return logarithm(x, e + f.fma(log2e, tail))
    }

    /// log(1 + x) within 1.55 ulp.
    static func log1p(_ x: ScalarTerm) -> ScalarTerm {
        let edge = x.isEqual(to: -1).select(x.constant(.real(-.infinity)), x.constant(.real(.nan)))
        let value = (x > -1).select((x < Double.infinity).select(log1pFinite(x), x), edge)
        return value.bits(.or, x.signBit).float
    }

    /// log(1 + x) for finite x > -1; the sign of zero is lost.
    ///
    /// - Parameters:
    ///   - low: what x lacks to be exact, much less than its last place.
    ///   - doublings: a float by whose multiple of ln 2 the result is increased.
    static func log1pFinite(_ x: ScalarTerm, low: ScalarTerm? = nil, doublings: ScalarTerm? = nil) -> ScalarTerm {
        let exponent = (x + 1).bits.plus(-twoThirds).masked(exponentMask)
        // 2^-e through 2^(2-e): e reaches 128. Then f = 2^-e (1 + x) - 1, rounded once.
        let power = (x.constant(4).bits - exponent).float * 0.25
        let f = power.fma(x, power - 1)
        var e = exponent.converted(to: .f32)
        if let doublings { e = e + doublings * 0x1p23 }
        let tail = f.polynomial(logTail)
        guard let low else { return e.fma(ln2High * 0x1p-23, tail.fma(f * f, f)) }
        // With what the rounding of f lost.
        let lost = low.fma(power, power.fma(x, power - 1 - f))
        return e.fma(ln2High * 0x1p-23, tail.fma(f * f, lost) + f)
    }
}
