// pow of f64, for targets without a libm: 2^(y log2 x) with the logarithm as the sum of two f64. Within 2 ulp.

import KilnIR

extension Maths {
    static func doublePower(_ x: ScalarTerm, _ y: ScalarTerm) -> ScalarTerm {
        let logarithm = log2InTwo(x.magnitude)
        let product = y * logarithm.high
        // Past the limit the result is zero or infinite.
        let isInside = product.magnitude < 1100
        let lost = y.fma(logarithm.high, -product)
        let low = isInside.select(y.fma(logarithm.low, lost), x.constant(0))
        return signed(exp2OfTwo(product.atMost(1100).atLeast(-1100), low), x, y)
    }

    /// log2 of a number that is not negative with a relative error of 2^-64; -inf at zero, inf at inf.
    private static func log2InTwo(_ a: ScalarTerm) -> (high: ScalarTerm, low: ScalarTerm) {
        let isTiny = a < 0x1p-1022
        let bits = isTiny.select(a * 0x1p52, a).bits
        // m in [sqrt(1/2), sqrt 2).
        let exponent = bits.plus(-0x3fe6_a09e_667f_3bcd).masked(-1 << 52)
        let m = (bits - exponent).float
        let e = exponent.converted(to: .f64).fma(0x1p-52, isTiny.select(a.constant(-52), a.constant(0)))
        // log m = 2 atanh s with s = (m - 1) / (m + 1).
        let f = m - 1, d = m + 1
        let dLow = m - (d - 1)
        let s = f / d
        let sLow = (-s).fma(dLow, (-s).fma(d, f)) / d
        let z = s * s
        let zLow = (s + s).fma(sLow, s.fma(s, -z))
        // atanh s = s + s z (1/3 + z q(z)); minimax on |s| <= 0.1716, q's error 2^-59.9.
        let tail = z * z.polynomial([
            0.2, 0.14285714285714687, 0.11111111110824907, 0.09090909168321128, 0.07692297419727935, 0.06667405464122145,
            0.05853039795484291, 0.05862363718278948,
        ])
        let third = tail + 0.3333333333333333
        let thirdLow = tail - (third - 0.3333333333333333) + 1.850371707708594e-17
        let (t, tLow) = product(z, zLow, third, thirdLow)
        let (u, uLow) = product(s, sLow, t, tLow)
        let sum = s + u
        let sumLow = u - (sum - s) + (sLow + uLow)
        let twice = a.constant(.real(2 * doubleLog2e))
        let (l, lLow) = product(sum, sumLow, twice, a.constant(.real(2 * doubleLog2eLow)))
        let high = e + l
        let low = l - (high - e) + lLow
        // The split means nothing at the ends.
        let edge = a.isEqual(to: 0).select(a.constant(.real(-.infinity)), a)
        let isInside = (a > 0)(.and, a < Double.infinity)
        return (isInside.select(high, edge), isInside.select(low, a.constant(0)))
    }

    /// (a + aLow) (b + bLow).
    private static func product(_ a: ScalarTerm, _ aLow: ScalarTerm, _ b: ScalarTerm, _ bLow: ScalarTerm) -> (ScalarTerm, ScalarTerm) {
        let high = a * b
        return (high, aLow.fma(b, a.fma(bLow, a.fma(b, -high))))
    }

    private static func exp2OfTwo(_ x: ScalarTerm, _ low: ScalarTerm) -> ScalarTerm {
        let shifted = x + (doubleShift + 2046)
        let r = x - (shifted - (doubleShift + 2046))
        let part = r * r.polynomial(doubleExp2Tail)
        let p = (low * doubleLn2High).fma(part + 1, part) + 1
        return doubleScaled(p, shifted)
    }
}
