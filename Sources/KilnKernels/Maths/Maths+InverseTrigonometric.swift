// asin, acos and atan of f32: odd polynomials on the middle of the domain, and identities that bring the rest there.

import KilnIR

extension Maths {
    /// π/2 as the product of two f32, within 2^-43: a fused step subtracts it with one rounding.
    private static let halfPiFactor = 1.3876187801361084, halfPiOther = 1.1320085525512695

    /// The parts asin and acos share, for a = |x|: s = a near zero and sqrt((1-a)/2) beyond a half, and asin s = s + s z p(z).
    private static func arcsine(_ a: ScalarTerm) -> (isFar: ScalarTerm, angle: ScalarTerm) {
        let isFar = a > 0.5
        let z = isFar.select(a.fma(-0.5, 0.5), a * a)
        let s = isFar.select(z(.squareRoot), a)
        // Minimax on |s| <= 1/2, relative error 2^-27.6.
        let p = z.polynomial([0.16666752099990845, 0.074953094124794, 0.04546915367245674, 0.02418474107980728, 0.042158398777246475])
        return (isFar, (s * z).fma(p, s))
    }

    /// The arc sine within 1.9 ulp; NaN beyond 1.
    static func asin(_ x: ScalarTerm) -> ScalarTerm {
        let (isFar, angle) = arcsine(x.magnitude)
        let far = x.constant(.real(halfPiFactor)).fma(halfPiOther, angle * -2)
        return isFar.select(far, angle).withSign(of: x)
    }

    /// The arc cosine within 1.2 ulp; NaN beyond 1.
    static func acos(_ x: ScalarTerm) -> ScalarTerm {
        let (isFar, angle) = arcsine(x.magnitude)
        // acos x is π/2 - asin x near zero, 2 angle near 1, and π - 2 angle near -1.
        let doubled = angle + angle
        let signed = angle.bits(.xor, x.signBit).float
        let near = x.constant(.real(halfPiFactor)).fma(halfPiOther, -signed)
        let below = x.constant(.real(halfPiFactor)).fma(2 * halfPiOther, -doubled)
        return isFar.select((x > 0).select(doubled, below), near)
    }

    /// The arc tangent within 1.35 ulp: beyond 1, π/2 - atan(1/x).
    static func atan(_ x: ScalarTerm) -> ScalarTerm {
        let a = x.magnitude
        let isFar = a > 1
        let t = isFar.select(x.constant(1) / a, a)
        let z = t * t
        // atan t = t + t z p(z); minimax on |t| <= 1, relative error 2^-28.5.
        let p = z.polynomial([
            -0.33333298563957214, 0.1999852955341339, -0.14264015853405, 0.10950880497694016, -0.08399306237697601,
            0.05788138136267662, -0.031096961349248886, 0.010868660174310207, -0.00178281229455024,
        ])
        let angle = (t * z).fma(p, t)
        let far = x.constant(.real(halfPiFactor)).fma(halfPiOther, -angle)
        return isFar.select(far, angle).withSign(of: x)
    }
}
