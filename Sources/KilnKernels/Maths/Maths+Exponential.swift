// exp, exp2 and expm1 of f32: x = n ln 2 + r with |r| <= ln 2 / 2, a polynomial in r, and powers of two made from bits.

import KilnIR

extension Maths {
    /// ln 2 as the sum of two f32; `n * ln2High` subtracts from x without error in a fused step.
    static let ln2High = 0.6931471824645996
    static let ln2Low = -1.9046542121259336e-09
    static let log2e = 1.4426950216293335

    /// e^r; minimax on |r| <= 0.3469, relative error 2^-28.2.
    private static let expPolynomial = [
        1, 1, 0.4999999403953552, 0.16666516661643982, 0.041668105870485306, 0.00836913101375103, 0.001383644063025713,
    ]

    /// 2^r = 1 + r q(r); minimax on |r| <= 0.5005, relative error 2^-26.3.
    static let exp2Tail = [
        0.6931471824645996, 0.24022594094276428, 0.055503662675619125, 0.00962543673813343, 0.0013387923827394843,
        0.0001333722611889243,
    ]

    /// e^x within 0.9 ulp.
    static func exp(_ x: ScalarTerm) -> ScalarTerm {
        // Below the lower limit the result rounds to zero; above the upper it overflows.
        let x = x.atMost(89).atLeast(-104)
        // 254 = 2 * 127: each half of the sum is then a biased exponent.
        let shift = ScalarTerm.roundingShift + 254
        let shifted = x.fma(log2e, shift)
        let n = shifted - shift
        let r = n.fma(-ln2Low, n.fma(-ln2High, x))
        return scaled(r.polynomial(expPolynomial), shifted)
    }

    /// 2^x within 0.95 ulp.
    static func exp2(_ x: ScalarTerm) -> ScalarTerm {
        let x = x.atMost(129).atLeast(-151)
        let shift = ScalarTerm.roundingShift + 254
        let shifted = x + shift
        let r = x - (shifted - shift)
        return scaled(r.fma(r.polynomial(exp2Tail), 1), shifted)
    }

    /// `p` times the power of two in the low bits of `shifted`, in two steps, so that only the last one can round.
    private static func scaled(_ p: ScalarTerm, _ shifted: ScalarTerm) -> ScalarTerm {
        let lower = shifted.bits.shiftedRight(1)
        let upper = shifted.bits - lower
        return p * lower.shiftedLeft(23).float * upper.shiftedLeft(23).float
    }

    /// e^x - 1 within 1.2 ulp.
    static func expm1(_ x: ScalarTerm) -> ScalarTerm {
        let clamped = x.atMost(89).atLeast(-30)
        // 126: the power is halved, for 2^128 is no f32; the result is doubled.
        let shift = ScalarTerm.roundingShift + 126
        let shifted = clamped.fma(log2e, shift)
        let n = shifted - shift
        let power = shifted.bits.shiftedLeft(23).float
        // r keeps its low part: where the sum below cancels, its rounding would show.
        let high = n.fma(-ln2High, clamped)
        let r = n.fma(-ln2Low, high)
        // e^r - 1 = r + r² q(r); minimax on |r| <= 0.3469, relative error 2^-31.
        let q = r.polynomial([
            0.5, 0.1666666567325592, 0.04166649281978607, 0.008333543315529823, 0.0013932344736531377, 0.0001976429484784603,
        ])
        let tail = n.fma(-ln2Low, (r * r) * q)
        let half = power.fma(tail, power.fma(high, power - 0.5))
        return (half + half).bits(.or, x.signBit).float
    }
}
