// sinh, cosh and the inverse hyperbolic functions of f64, for targets without a libm: as for f32. Each is within 2 ulp.

import KilnIR

extension Maths {
    static func doubleSinh(_ x: ScalarTerm) -> ScalarTerm { HyperbolicParts(double: x.magnitude).sinh.withSign(of: x) }

    static func doubleCosh(_ x: ScalarTerm) -> ScalarTerm { HyperbolicParts(double: x.magnitude).cosh }

    static func doubleAsinh(_ x: ScalarTerm) -> ScalarTerm { asinh(x, hugeFrom: 0x1p500, doubleLog1pFinite) }

    static func doubleAcosh(_ x: ScalarTerm) -> ScalarTerm { acosh(x, hugeFrom: 0x1p500, doubleLog1pFinite) }

    static func doubleAtanh(_ x: ScalarTerm) -> ScalarTerm {
        let a = x.magnitude
        let above = a + 1, below = x.constant(1) - a
        let exponent = (above.bits - below.bits).plus(1 << 51).masked(-1 << 52)
        let power = exponent.plus(0x3ff0_0000_0000_0000).float
        let isNear = a < 0.5
        let sum = power + 1, difference = x.constant(1) - power
        let numerator = isNear.select(a.fma(sum, difference), below.fma(-power, above))
        let denominator = isNear.select(a.fma(difference, sum), below.fma(power, above))
        let z = numerator / denominator
        // atanh z = z + z³ p(z²); minimax on |z| <= 0.21, relative error 2^-68.
        let square = z * z
        let p = square.polynomial([
            0.33333333333333337, 0.1999999999999913, 0.1428571428598579, 0.11111111069608309, 0.09090912674691723, 0.07692121214677937,
            0.06672620786257459, 0.05768689258292417, 0.06439099566088154,
        ])
        let e = exponent.converted(to: .f64) * 0x1p-53
        // What the division's rounding lost, and ln 2.
        let low = e.fma(doubleLn2Low, (-z).fma(denominator, numerator) / denominator)
        let value = e.fma(doubleLn2High, z + (z * square).fma(p, low))
        let edge = a.isEqual(to: 1).select(x.constant(.real(.infinity)), x.constant(.real(.nan)))
        return (a < 1).select(value, edge).withSign(of: x)
    }
}

extension Maths.HyperbolicParts {
    /// As for f32.
    init(double magnitude: ScalarTerm) {
        let a = magnitude.atMost(710.5)
        let shift = Maths.doubleShift + 1021
        let shifted = a.fma(Maths.doubleLog2e, shift)
        let n = shifted - shift
        let powerBits = shifted.bits.shiftedLeft(52)
        power = powerBits.float
        inverse = (powerBits.constant(.integer(2046 << 52)) - powerBits).float
        sum = inverse.fma(0x1p-4, power)
        difference = inverse.fma(-0x1p-4, power)
        rHigh = n.fma(-Maths.doubleLn2High, a)
        let r = n.fma(-Maths.doubleLn2Low, rHigh)
        let z = r * r
        // cosh r = 1 + z p(z), sinh r = r + r z q(z); minimax on |r| <= 0.3469, relative errors 2^-83 and 2^-74.
        coshTail = z * z.polynomial([
            0.5, 0.041666666666666664, 0.0013888888888888896, 2.480158730156324e-05, 2.755731926784561e-07, 2.0876713073926427e-09,
            1.1493520269029098e-11,
        ])
        let q = z.polynomial([
            0.16666666666666666, 0.008333333333333337, 0.00019841269841253123, 2.7557319265357497e-06, 2.505205664161107e-08,
            1.609086795198111e-10,
        ])
        sinhTail = n.fma(-Maths.doubleLn2Low, (r * z) * q)
    }
}
