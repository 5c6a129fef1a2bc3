// The error function of f32: an odd polynomial near zero, one minus an exponential beyond.

import KilnIR

extension Maths {
    /// erf x within 1.3 ulp.
    static func erf(_ x: ScalarTerm) -> ScalarTerm {
        // Past the limit the result rounds to one.
        let a = x.magnitude.atMost(4)
        // log2(1 - erf a) = p(a); minimax on [0.9, 4], relative error of erf 2^-29.1.
        let logarithm = a.polynomial([
            -0.00024024854064919055, -1.627066969871521, -0.9189631938934326, -0.15020336210727692, 0.03219355270266533,
            -0.004422429483383894, 0.0002859547093976289,
        ])
        let shift = ScalarTerm.roundingShift + 127
        let shifted = logarithm + shift
        let r = logarithm - (shifted - shift)
        let power = shifted.bits.shiftedLeft(23).float
        let complement = r.fma(r.polynomial(exp2Tail), 1)
        let far = (-power).fma(complement, 1)
        // erf x = x + x q(x²); minimax on |x| <= 0.92, relative error 2^-30.
        let q = (a * a).polynomial([
            0.12837916612625122, -0.3761262893676758, 0.11283625662326813, -0.026855729520320892, 0.005192392505705357,
            -0.0008049514726735651, 7.99504850874655e-05,
        ])
        return (a < 0.90625).select(a.fma(q, a), far).withSign(of: x)
    }
}
