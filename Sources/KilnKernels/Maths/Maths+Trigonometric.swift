// sin, cos and tan of f32: reduction to |r| <= π/4 and a quarter turn, by fused steps for small arguments
// and Payne and Hanek's method (SIGSAM Bulletin 18, 1983) in 64-bit integers for large ones; then polynomials in r.

import KilnIR

extension Maths {
    /// Bits of 2/π, the first eight of them zero: the words that arguments from 2^17 to 2^128 meet.
    private static let twoOverPi: [UInt64] = [
        0x00a2_f983_6e4e_4415, 0x29fc_2757_d1f5_34dd, 0xc0db_6295_993c_4390, 0x41fe_5163_abde_bbc5,
    ]

    /// The fraction of a turn that a large finite magnitude makes, in units of 2^-64, exact to 2^-60.
    private static func turns(_ magnitude: ScalarTerm) -> ScalarTerm {
        // |x| = m 2^(e-150); the product of m and the bits of 2/π from e - 144 on, modulo four quarter turns.
        let bits = magnitude.bitcast(to: .u32)
        let m = bits.masked(0x7f_ffff)(.or, bits.constant(.integer(0x80_0000))).converted(to: .u64)
        let skip = bits.shiftedRight(23).plus(-144).converted(to: .u64)
        let count = skip.masked(63)
        // 63 - count, and one more shift in the constants below: no shift reaches the width.
        let rest = count(.xor, count.constant(.integer(63)))
        let isSecond = skip(.greaterEqual, skip.constant(.integer(64)))
        func word(_ i: Int, halved: Bool = false) -> ScalarTerm {
            func constant(_ i: Int) -> ScalarTerm { skip.constant(.unsigned(halved ? twoOverPi[i] >> 1 : twoOverPi[i])) }
            return isSecond.select(constant(i + 1), constant(i))
        }
        let high = word(0)(.shiftLeft, count)(.or, word(1, halved: true)(.shiftRight, rest))
        let low = word(1)(.shiftLeft, count)(.or, word(2, halved: true)(.shiftRight, rest))
        return m * high + (m * low.shiftedRight(32)).shiftedRight(32)
    }

    /// Quarter turns (modulo four) and what is left of them in radians as f64, of a large finite magnitude.
    private static func reducedLarge(_ magnitude: ScalarTerm) -> (quarters: ScalarTerm, r: ScalarTerm) {
        let turns = turns(magnitude)
        let quarters = turns.plus(1 << 61).shiftedRight(62).converted(to: .u32).bitcast(to: .i32)
        let fraction = turns.shiftedLeft(2).bitcast(to: .i64).converted(to: .f64)
        return (quarters, fraction * 8.515303950216386e-20)
    }

    /// Whether a magnitude is finite and past `smallLimit`; the others, NaN and infinity too, belong to the small path.
    private static func isLarge(_ magnitude: ScalarTerm) -> ScalarTerm {
        let bits = magnitude.bitcast(to: .u32).plus(-0x4800_0000)
        return bits(.less, bits.constant(.integer(0x3780_0000)))
    }

    /// sin(x + quarterTurns π/2) within 1.5 ulp.
    static func sine(_ x: ScalarTerm, quarterTurns: Int64, _ allArguments: Bool) -> ScalarTerm {
        let a = x.magnitude
        let shifted = a.fma(0.6366197466850281, ScalarTerm.roundingShift)
        let n = shifted - ScalarTerm.roundingShift
        // π/2 in three f32: the first step is exact, and the third's error is below 2^-33 n ulp.
        var r = n.fma(1.7151245100058819e-15, n.fma(4.371138828673793e-08, n.fma(-1.5707963705062866, a)))
        var quarters = shifted.bits
        if allArguments {
            let large = reducedLarge(a), isLarge = isLarge(a)
            r = isLarge.select(large.r.converted(to: .f32), r)
            quarters = isLarge.select(large.quarters, quarters)
        }
        if quarterTurns != 0 { quarters = quarters.plus(quarterTurns) }
        let z = r * r
        // sin r = r + r z p(z), minimax on |r| <= 0.789, relative error 2^-32.5;
        // cos r = 1 + z (-1/2 + z q(z)), relative error 2^-32.9.
        let sine = (r * z).fma(z.polynomial([-0.1666666716337204, 0.008333379402756691, -0.00019853038247674704, 2.8319814191490877e-06]), r)
        let cosine = z.fma(z.polynomial([-0.5, 0.04166664555668831, -0.0013887305976822972, 2.4431650672340766e-05]), 1)
        let isOdd = quarters.masked(1)(.notEqual, quarters.constant(0))
        var flip = quarters.shiftedLeft(30).masked(Int64(Int32.min))
        if quarterTurns == 0 { flip = flip(.xor, x.signBit) }
        return isOdd.select(cosine, sine).bits(.xor, flip).float
    }

    /// tan x within 0.53 ulp. The reduced argument and the quotient are f64: near a pole each rounding would show.
    static func tan(_ x: ScalarTerm, _ allArguments: Bool) -> ScalarTerm {
        let a = x.magnitude, wide = a.converted(to: .f64)
        let shifted = wide.fma(0.6366197723675814, 0x1.8p52)
        let n = shifted - 0x1.8p52
        var r = n.fma(-6.123233995736766e-17, n.fma(-1.5707963267948966, wide))
        var quarters = shifted.bits.converted(to: .i32)
        if allArguments {
            let large = reducedLarge(a), isLarge = isLarge(a)
            r = isLarge.select(large.r, r)
            quarters = isLarge.select(large.quarters, quarters)
        }
        let z = r * r
        // tan r = r + r z p(z); minimax on |r| <= 0.789, relative error 2^-29.5.
        let p = z.polynomial([
            0.3333335087519436, 0.13332623420986867, 0.05406458559814538, 0.021257360819831435, 0.01090193652452675,
            3.569234919101907e-06, 0.004419691010779432,
        ])
        let t = (r * z).fma(p, r)
        let isOdd = quarters.masked(1)(.notEqual, quarters.constant(0))
        let value = isOdd.select(t.constant(-1), t) / isOdd.select(t, t.constant(1))
        return value.converted(to: .f32).bits(.xor, x.signBit).float
    }
}
