// exp2, expm1, log2, log1p and erf of f64, for targets without a libm: as for f32, with longer polynomials. Each is within 2 ulp.

import KilnIR

extension Maths {
    /// 2^r = 1 + r q(r); minimax on |r| <= 1/2, relative error 2^-57.7.
    static let doubleExp2Tail = [
        0.6931471805599453, 0.24022650695909997, 0.05550410866482377, 0.009618129107670818, 0.0013333558145896193,
        0.00015403530314835306, 1.525273432479428e-05, 1.3215550306012235e-06, 1.0177859270404581e-07, 7.031616333496794e-09,
        4.485069072493173e-10, 5.745721089722454e-11,
    ]
    static let doubleLog2e = 1.4426950408889634, doubleLog2eLow = 2.0355273740931033e-17

    static func doubleExp2(_ x: ScalarTerm) -> ScalarTerm {
        let x = x.atMost(1025).atLeast(-1080)
        let shifted = x + (doubleShift + 2046)
        let r = x - (shifted - (doubleShift + 2046))
        return doubleScaled(r.fma(r.polynomial(doubleExp2Tail), 1), shifted)
    }

    /// `p` times the power of two in the low bits of `shifted`, in two steps, so that only the last one can round.
    static func doubleScaled(_ p: ScalarTerm, _ shifted: ScalarTerm) -> ScalarTerm {
        let bits = shifted.bitcast(to: .u64)
        let lower = bits.shiftedRight(1)
        return p * lower.shiftedLeft(52).float * (bits - lower).shiftedLeft(52).float
    }

    static func doubleExpm1(_ x: ScalarTerm) -> ScalarTerm {
        let clamped = x.atMost(710).atLeast(-60)
        // 1022: the power is halved, for 2^1024 is no f64; the result is doubled.
        let shift = doubleShift + 1022
        let shifted = clamped.fma(doubleLog2e, shift)
        let n = shifted - shift
        let power = shifted.bits.shiftedLeft(52).float
        let high = n.fma(-doubleLn2High, clamped)
        let r = n.fma(-doubleLn2Low, high)
        // e^r - 1 = r + r² q(r); minimax on |r| <= 0.3469, relative error 2^-58.3.
        let q = r.polynomial([
            0.5000000000000001, 0.1666666666666667, 0.0416666666666522, 0.008333333333326106, 0.0013888888895630517,
            0.00019841269874932684, 2.480157449583033e-05, 2.755725524871672e-06, 2.756794455768247e-07, 2.5105283083360145e-08,
            1.7687881865447457e-09,
        ])
        let tail = n.fma(-doubleLn2Low, (r * r) * q)
        let half = power.fma(tail, power.fma(high, power - 0.5))
        return (half + half).bits(.or, x.signBit).float
    }

    /// The logarithm to base 2; exact at powers of two.
    static func doubleLog2(_ x: ScalarTerm) -> ScalarTerm {
        let (f, e) = doubleSplit(x)
        let tail = f.fma(doubleLog2eLow, (f * f * f.polynomial(doubleLogTail)) * doubleLog2e)
        return logarithm(x, e + f.fma(doubleLog2e, tail))
    }

    static func doubleLog1p(_ x: ScalarTerm) -> ScalarTerm {
        let edge = x.isEqual(to: -1).select(x.constant(.real(-.infinity)), x.constant(.real(.nan)))
        let value = (x > -1).select((x < Double.infinity).select(doubleLog1pFinite(x), x), edge)
        return value.bits(.or, x.signBit).float
    }

    /// As `log1pFinite`.
    static func doubleLog1pFinite(_ x: ScalarTerm, low: ScalarTerm? = nil, doublings: ScalarTerm? = nil) -> ScalarTerm {
        let exponent = (x + 1).bits.plus(-doubleTwoThirds).masked(-1 << 52)
        // 2^-e through 2^(2-e): e reaches 1024. Then f = 2^-e (1 + x) - 1, rounded once.
        let power = (x.constant(4).bits - exponent).float * 0.25
        let f = power.fma(x, power - 1)
        var e = exponent.converted(to: .f64) * 0x1p-52
        if let doublings { e = e + doublings }
        // With what the rounding of f lost.
        var lost = power.fma(x, power - 1 - f)
        if let low { lost = low.fma(power, lost) }
        return e.fma(doubleLn2High, f + e.fma(doubleLn2Low, f.polynomial(doubleLogTail).fma(f * f, lost)))
    }

    static func doubleErf(_ x: ScalarTerm) -> ScalarTerm {
        // Past the limit the result rounds to one.
        let a = x.magnitude.atMost(6)
        // log2(1 - erf a) = p(a); minimax on [0.9, 6], relative error of erf 2^-65.
        let logarithm = a.polynomial([
            3.0774553009233595e-08, -1.6279074295422085, -0.9184457201628938, -0.14827907887448688, 0.027622602175943235,
            0.0002483608901327023, -0.0023618351501190635, 0.000742845979292442, 7.449487568023553e-05, -0.0001870985043093931,
            0.00010752527001162497, -4.0929725214044986e-05, 1.1779596993505861e-05, -2.657410943799901e-06, 4.7160734774549904e-07,
            -6.474035335704509e-08, 6.598475870257327e-09, -4.5562829737664754e-10, 1.5856347804844053e-11, 3.2673739499112997e-13,
            -5.766679662488313e-14, 1.795826522257445e-15,
        ])
        let shift = doubleShift + 1023
        let shifted = logarithm + shift
        let r = logarithm - (shifted - shift)
        let power = shifted.bits.shiftedLeft(52).float
        let far = (-power).fma(r.fma(r.polynomial(doubleExp2Tail), 1), 1)
        // erf x = x + x q(x²); minimax on |x| <= 0.92, relative error 2^-71.9.
        let q = (a * a).polynomial([
            0.1283791670955126, -0.37612638903183754, 0.11283791670955125, -0.026866170645130995, 0.005223977625438168,
            -0.0008548327023073061, 0.00012055332958751332, -1.4925649403037012e-05, 1.6462086695851664e-06, -1.6365278478552523e-07,
            1.4799026522337395e-08, -1.2209066521495023e-09, 8.88322026469969e-11, -4.532654815454932e-12,
        ])
        return (a < 0.90625).select(a.fma(q, a), far).withSign(of: x)
    }
}
