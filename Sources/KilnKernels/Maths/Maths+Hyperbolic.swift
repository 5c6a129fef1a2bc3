// sinh, cosh, tanh and their inverses of f32.

import KilnIR

extension Maths {
    /// The hyperbolic tangent within 0.95 ulp: an odd polynomial near zero, else 1 - 2 / (e^2x + 1).
    static func tanh(_ x: ScalarTerm) -> ScalarTerm {
        // Past the limit the result rounds to one.
        let a = x.magnitude.atMost(9.125)
        let shift = ScalarTerm.roundingShift + 127
        let shifted = a.fma(2.885390043258667, shift)
        let n = shifted - shift
        let r = a.fma(3.851926067000022e-08, a.fma(2.885390043258667, -n))
        let power = shifted.bits.shiftedLeft(23).float
        let far = x.constant(1) - x.constant(2) / (power * r).fma(r.polynomial(exp2Tail), power + 1)
        // tanh x = x + x³ p(x²); minimax on |x| <= 0.98, relative error 2^-28.1.
        let z = a * a
        let p = z.polynomial([
            -0.3333330452442169, 0.13332536816596985, -0.05389346927404404, 0.021531345322728157, -0.008019806817173958,
            0.0023609634954482317, -0.00037723296554759145,
        ])
        return (a < 0.9765625).select((a * z).fma(p, a), far).withSign(of: x)
    }

    /// The hyperbolic sine within 1.3 ulp.
    static func sinh(_ x: ScalarTerm) -> ScalarTerm {
        HyperbolicParts(single: x.magnitude).sinh.withSign(of: x)
    }

    /// The hyperbolic cosine within 1.2 ulp.
    static func cosh(_ x: ScalarTerm) -> ScalarTerm {
        HyperbolicParts(single: x.magnitude).cosh
    }

    /// With a = n ln 2 + r: sinh a = sinh(n ln 2) cosh r + cosh(n ln 2) sinh r, and cosh a with the two powers' sum and difference
    /// exchanged. No division, and no cancellation that the low part of r would not repair.
    struct HyperbolicParts {
        /// A quarter of 2^n, 2^-n times four, and a quarter of their sum and of their difference.
        let power, inverse, sum, difference: ScalarTerm
        let rHigh: ScalarTerm
        /// cosh r - 1, and sinh r - rHigh.
        let coshTail, sinhTail: ScalarTerm

        init(single magnitude: ScalarTerm) {
            let a = magnitude.atMost(89.5)
            let shift = ScalarTerm.roundingShift + 125
            let shifted = a.fma(log2e, shift)
            let n = shifted - shift
            let powerBits = shifted.bits.shiftedLeft(23)
            power = powerBits.float
            // From the bits of 2^(n-2); zero past n = 128, where it no longer matters.
            inverse = (powerBits.constant(.integer(254 << 23)) - powerBits).float
            sum = inverse.fma(0x1p-4, power)
            difference = inverse.fma(-0x1p-4, power)
            rHigh = n.fma(-ln2High, a)
            let r = n.fma(-ln2Low, rHigh)
            let z = r * r
            // cosh r = 1 + z p(z), sinh r = r + r z q(z); minimax on |r| <= 0.3469, relative errors 2^-33 and 2^-34.
            coshTail = z * z.polynomial([0.5, 0.041666459292173386, 0.0013935437891632318])
            let q = z.polynomial([0.1666666716337204, 0.00833317544311285, 0.00019974067981820554])
            sinhTail = n.fma(-ln2Low, (r * z) * q)
        }

        var sinh: ScalarTerm { combined(difference, sum, -0x1p-4) }
        var cosh: ScalarTerm { combined(sum, difference, 0x1p-4) }

        /// Twice `even` cosh r + `odd` sinh r, where `even` is `power` + `weight` `inverse`, rounded.
        private func combined(_ even: ScalarTerm, _ odd: ScalarTerm, _ weight: Double) -> ScalarTerm {
            let lost = inverse.fma(weight, power - even)
            let half = odd.fma(rHigh, even) + even.fma(coshTail, odd.fma(sinhTail, lost))
            return half + half
        }
    }

    /// The inverse hyperbolic sine within 1.4 ulp.
    static func asinh(_ x: ScalarTerm) -> ScalarTerm { asinh(x, hugeFrom: 0x1p63, log1pFinite) }

    /// The inverse hyperbolic cosine within 1.85 ulp; NaN below 1.
    static func acosh(_ x: ScalarTerm) -> ScalarTerm { acosh(x, hugeFrom: 0x1p63, log1pFinite) }

    /// A format's log1p of a finite number, given in two parts; the result plus so many times ln 2.
    typealias Log1p = (_ x: ScalarTerm, _ low: ScalarTerm?, _ doublings: ScalarTerm?) -> ScalarTerm

    /// log1p(a + a² / (1 + sqrt(1 + a²))), and log 2a where squares would overflow.
    static func asinh(_ x: ScalarTerm, hugeFrom limit: Double, _ log1p: Log1p) -> ScalarTerm {
        let a = x.magnitude
        let square = a * a
        let value = logarithm(ofOnePlus: a, square / ((square + 1)(.squareRoot) + 1), isHuge: a > limit, huge: a, log1p)
        return (a < Double.infinity).select(value, a).withSign(of: x)
    }

    /// log1p(t + sqrt(2t + t²)) with t = x - 1, and log 2x where squares would overflow.
    static func acosh(_ x: ScalarTerm, hugeFrom limit: Double, _ log1p: Log1p) -> ScalarTerm {
        let t = x - 1
        let value = logarithm(ofOnePlus: t.fma(t, t + t)(.squareRoot), t, isHuge: x > limit, huge: x, log1p)
        let inside = (x < Double.infinity).select(value, x)
        return (x < 1).select(x.constant(.real(.nan)), inside)
    }

    /// log(1 + a + b) for a >= b >= 0, the sum's rounding made good; where squares overflow, the logarithm of twice `huge`.
    private static func logarithm(ofOnePlus a: ScalarTerm, _ b: ScalarTerm, isHuge: ScalarTerm, huge: ScalarTerm,
                                  _ log1p: Log1p) -> ScalarTerm {
        let sum = a + b
        let none = a.constant(0)
        return log1p(isHuge.select(huge, sum), isHuge.select(none, b - (sum - a)), isHuge.select(a.constant(1), none))
    }

    /// The inverse hyperbolic tangent within 1.8 ulp: with (1 + a) / (1 - a) = 2^e m, half of e ln 2 plus atanh((m-1) / (m+1)).
    static func atanh(_ x: ScalarTerm) -> ScalarTerm {
        let a = x.magnitude
        let above = a + 1, below = x.constant(1) - a
        // Differences of bits are near logarithms: good enough to choose e so that |z| < 0.21.
        let exponent = (above.bits - below.bits).plus(0x40_0000).masked(-0x80_0000)
        let power = exponent.plus(0x3f80_0000).float
        // z = (above - power below) / (above + power below). Up to a half each is one rounding from x, and z is x itself where e is 0;
        // beyond, `below` is exact, and the powers grow too large to add one to.
        let isNear = a < 0.5
        let sum = power + 1, difference = x.constant(1) - power
        let numerator = isNear.select(a.fma(sum, difference), below.fma(-power, above))
        let denominator = isNear.select(a.fma(difference, sum), below.fma(power, above))
        let z = numerator / denominator
        // atanh z = z + z³ p(z²); minimax on |z| <= 0.21, relative error 2^-34.
        let square = z * z
        let p = square.polynomial([0.3333333134651184, 0.20000503957271576, 0.14249056577682495, 0.12121699005365372])
        let value = exponent.converted(to: .f32).fma(0.5 * ln2High * 0x1p-23, (z * square).fma(p, z))
        let edge = a.isEqual(to: 1).select(x.constant(.real(.infinity)), x.constant(.real(.nan)))
        return (a < 1).select(value, edge).withSign(of: x)
    }
}
