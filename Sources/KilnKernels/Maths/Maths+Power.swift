// pow of f32, computed in f64: 2^(y log2 x), with the special cases of C's powf (IEEE 754-2019, 9.2.1).

import KilnIR

extension Maths {
    /// x^y within 0.51 ulp.
    static func power(_ x: ScalarTerm, _ y: ScalarTerm) -> ScalarTerm {
        let a = x.magnitude
        let exponent = y.converted(to: .f64)
        let size = exp2OfDouble(exponent * log2InDouble(a)).converted(to: .f32)
        return signed(size, x, y)
    }

    /// The power with its sign and special cases, from that of |x|.
    static func signed(_ size: ScalarTerm, _ x: ScalarTerm, _ y: ScalarTerm) -> ScalarTerm {
        let a = x.magnitude
        // A negative base asks for an integer exponent, and an odd one keeps the sign; -0 and -inf do without the first.
        let whole = y(.truncate), half = y * 0.5
        let isInteger = whole(.equal, y)
        let isOdd = isInteger(.and, half(.truncate)(.notEqual, half))
        let negative = (x < 0)(.and, (x > -Double.infinity))(.and, isInteger(.not))
        let signed = size.bits(.or, isOdd.select(x.signBit, x.signBit.constant(0))).float
        let value = negative.select(x.constant(.real(.nan)), signed)
        // 1^y and x^0 are 1 even for NaN, and so is (-1)^±inf.
        let isOne = x.isEqual(to: 1)(.or, y.isEqual(to: 0))(.or, a.isEqual(to: 1)(.and, y.magnitude.isEqual(to: .infinity)))
        return isOne.select(x.constant(1), value)
    }

    /// log2 of an f32 that is not negative, as f64 with a relative error of 2^-37.4; -inf at zero, inf at inf.
    private static func log2InDouble(_ a: ScalarTerm) -> ScalarTerm {
        // An f32's subnormals are normal here.
        let wide = a.converted(to: .f64)
        let exponent = wide.bits.plus(-0x3fe5_5555_5555_5555).masked(-1 << 52)
        let f = (wide.bits - exponent).float - 1
        let e = exponent.converted(to: .f64) * 0x1p-52
        // log2(1 + f) = f q(f); minimax on |f| <= 1/3.
        let q = f.polynomial([
            1.4426950408925738, -0.721347520469108, 0.48089834380323176, -0.360673751895654, 0.28853945838830974,
            -0.2404499822919465, 0.2060753329111397, -0.18030246440828387, 0.16090236618650167, -0.14501453195440497,
            0.12347352764601487, -0.11172385783400274, 0.15781020413362876, -0.15058727075768463,
        ])
        let value = f.fma(q, e)
        let positive = (wide < Double.infinity).select(value, wide)
        return wide.isEqual(to: 0).select(wide.constant(.real(-.infinity)), positive)
    }

    /// 2^t for f64 as far as f32 can tell: the ends of the range stand for zero and infinity.
    private static func exp2OfDouble(_ t: ScalarTerm) -> ScalarTerm {
        let t = t.atMost(200).atLeast(-200)
        let shift = 0x1.8p52 + 1023
        let shifted = t + shift
        let r = t - (shifted - shift)
        // 2^r = 1 + r q(r); minimax on |r| <= 1/2, relative error 2^-34.3.
        let q = r.polynomial([
            0.693147180705704, 0.24022651068764359, 0.055504103629396846, 0.00961803777073833, 0.0013333936592523335,
            0.00015466882014813759, 1.5196038208163624e-05,
        ])
        return r.fma(q, 1) * shifted.bits.shiftedLeft(52).float
    }
}
