// sin, cos, tan and their inverses of f64, for targets without a libm: as for f32, but the reduced argument is the sum of two
// f64. Each is within 2 ulp.

import KilnIR

extension Maths {
    /// π/2 as the sum of three f64.
    private static let halfPi = 1.5707963267948966, halfPiLow = 6.123233995736766e-17, halfPiLowest = -1.4973849048591698e-33

    /// A zero, and the bits of 2/π: the words that arguments from 2^17 to 2^1024 meet.
    private static let twoOverPiWords: [UInt64] = [
        0x0000_0000_0000_0000,
        0xa2f9_836e_4e44_1529, 0xfc27_57d1_f534_ddc0, 0xdb62_9599_3c43_9041, 0xfe51_63ab_debb_c561,
        0xb724_6e3a_424d_d2e0, 0x0649_2eea_09d1_921c, 0xfe1d_eb1c_b129_a73e, 0xe882_35f5_2ebb_4484,
        0xe99c_7026_b45f_7e41, 0x3991_d639_8353_39f4, 0x9c84_5f8b_bdf9_283b, 0x1ff8_97ff_de05_980f,
        0xef2f_118b_5a0a_6d1f, 0x6d36_7ecf_27cb_09b7, 0x4f46_3f66_9e5f_ea2d, 0x7527_bac7_ebe5_f17b,
        0x3d07_39f7_8a52_92ea, 0x6bfb_5fb1_1f8d_5d08, 0x5603_3046_fc7b_6bab,
    ]

    /// What is left of an argument after quarter turns, and their number modulo four.
    private struct Reduced {
        var high, low, quarters: ScalarTerm
    }

    /// |x| < 2^17: the first step is exact, and the others lose nothing that `low` does not have.
    private static func reducedSmall(_ a: ScalarTerm) -> Reduced {
        let shifted = a.fma(0.6366197723675814, doubleShift)
        let n = shifted - doubleShift
        let first = n.fma(-halfPi, a)
        let high = n.fma(-halfPiLow, first)
        let low = n.fma(-halfPiLowest, n.fma(-halfPiLow, first - high))
        return Reduced(high: high, low: low, quarters: shifted.bits)
    }

    /// |x| >= 2^17, by Payne and Hanek's method: 128 bits of the product with 2/π, modulo four.
    private static func reducedLarge(_ a: ScalarTerm) -> Reduced {
        let bits = a.bitcast(to: .u64)
        let m = bits.masked(0xf_ffff_ffff_ffff)(.or, bits.constant(.integer(1 << 52)))
        // |x| = m 2^(e-1075); the first bit of 2/π whose product with m is below four, counted in the words above.
        let start = bits.shiftedRight(52).plus(-1013)
        let word = start.shiftedRight(6), count = start.masked(63)
        let rest = count(.xor, count.constant(.integer(63)))
        let isWord = (1...16).map { word(.equal, word.constant(.integer(Int64($0)))) }
        let words = (0..<4).map { offset in
            isWord.enumerated().reduce(bits.constant(.unsigned(twoOverPiWords[offset]))) { found, choice in
                choice.element.select(bits.constant(.unsigned(twoOverPiWords[choice.offset + 1 + offset])), found)
            }
        }
        func window(_ i: Int) -> ScalarTerm { words[i](.shiftLeft, count)(.or, words[i + 1].shiftedRight(1)(.shiftRight, rest)) }
        let (high, middle, low) = (window(0), window(1), window(2))
        let middleProduct = m * middle
        let lowSum = middleProduct + m(.multiplyHigh, low)
        let carry = lowSum(.less, middleProduct).converted(to: .u64)
        let highSum = m * high + m(.multiplyHigh, middle) + carry
        let quarters = highSum.plus(1 << 61).shiftedRight(62).bitcast(to: .i64)
        let fraction = highSum.shiftedLeft(2)(.or, lowSum.shiftedRight(62)).bitcast(to: .i64)
        let near = fraction.converted(to: .f64)
        let far = lowSum.shiftedLeft(2).converted(to: .f64).fma(0x1p-64, (fraction - near.converted(to: .i64)).converted(to: .f64))
        // Times π/2.
        let scaled = near * 0x1p-64, farScaled = far * 0x1p-64
        let product = scaled * halfPi
        let lost = scaled.fma(halfPi, -product)
        return Reduced(high: product, low: scaled.fma(halfPiLow, farScaled.fma(halfPi, lost)), quarters: quarters)
    }

    private static func reduced(_ a: ScalarTerm, _ allArguments: Bool) -> Reduced {
        var result = reducedSmall(a)
        guard allArguments else { return result }
        let large = reducedLarge(a)
        let bits = a.bitcast(to: .u64).plus(-0x4100_0000_0000_0000)
        let isLarge = bits(.less, bits.constant(.integer(0x3ef0_0000_0000_0000)))
        result.high = isLarge.select(large.high, result.high)
        result.low = isLarge.select(large.low, result.low)
        result.quarters = isLarge.select(large.quarters, result.quarters)
        return result
    }

    /// sin r - r and cos r - 1 + r²/2, with what the low part of r adds. Minimax on |r| <= 0.789, relative errors 2^-68 and 2^-74.
    private static func tails(_ r: Reduced) -> (sine: ScalarTerm, cosine: ScalarTerm) {
        let z = r.high * r.high
        let p = z.polynomial([
            -0.16666666666666666, 0.008333333333333321, -0.00019841269841254034, 2.7557319213662378e-06, -2.5052104775860423e-08,
            1.6058349518492774e-10, -7.577856940596753e-13,
        ])
        let q = z.polynomial([
            0.041666666666666664, -0.0013888888888888872, 2.4801587301569693e-05, -2.7557319214633215e-07, 2.0876754204954376e-09,
            -1.1470275561365665e-11, 4.7373333858240733e-14,
        ])
        return ((r.high * z).fma(p, r.low * z.fma(-0.5, 1)), (z * z).fma(q, -(r.high * r.low)))
    }

    /// cos r as the sum of two.
    private static func cosine(_ r: Reduced, _ tail: ScalarTerm) -> (high: ScalarTerm, low: ScalarTerm) {
        let half = r.high * r.high * 0.5
        let high = half.constant(1) - half
        // What rounding r² lost counts too.
        let square = r.high * r.high
        let lost = r.high.fma(r.high, -square) * -0.5
        return (high, half.constant(1) - high - half + (tail + lost))
    }

    /// sin(x + quarterTurns π/2).
    static func doubleSine(_ x: ScalarTerm, quarterTurns: Int64, _ allArguments: Bool) -> ScalarTerm {
        let r = reduced(x.magnitude, allArguments)
        let tails = tails(r)
        let sine = r.high + tails.sine
        let (high, low) = cosine(r, tails.cosine)
        let quarters = quarterTurns == 0 ? r.quarters : r.quarters.plus(quarterTurns)
        let isOdd = quarters.masked(1)(.notEqual, quarters.constant(0))
        var flip = quarters.shiftedLeft(62).masked(Int64.min)
        if quarterTurns == 0 { flip = flip(.xor, x.signBit) }
        return isOdd.select(high + low, sine).bits(.xor, flip).float
    }

    static func doubleTan(_ x: ScalarTerm, _ allArguments: Bool) -> ScalarTerm {
        let r = reduced(x.magnitude, allArguments)
        let tails = tails(r)
        let sineHigh = r.high + tails.sine
        let sineLow = tails.sine - (sineHigh - r.high)
        let (first, second) = cosine(r, tails.cosine)
        let cosineHigh = first + second
        let cosineLow = second - (cosineHigh - first)
        let isOdd = r.quarters.masked(1)(.notEqual, r.quarters.constant(0))
        let (above, aboveLow) = (isOdd.select(-cosineHigh, sineHigh), isOdd.select(-cosineLow, sineLow))
        let (below, belowLow) = (isOdd.select(sineHigh, cosineHigh), isOdd.select(sineLow, cosineLow))
        let quotient = above / below
        let rest = (-quotient).fma(below, above) + (-quotient).fma(belowLow, aboveLow)
        // At zero, where the sign counts, there is no rest; at infinity and NaN it is NaN as well.
        let value = rest.isEqual(to: 0).select(quotient, quotient + rest / below)
        return value.bits(.xor, x.signBit).float
    }

    // MARK: Inverses

    /// The parts asin and acos share; see `asin`. Minimax on |s| <= 1/2, relative error 2^-55.9.
    private static func doubleArcsine(_ a: ScalarTerm) -> (isFar: ScalarTerm, angle: ScalarTerm) {
        let isFar = a > 0.5
        let z = isFar.select(a.fma(-0.5, 0.5), a * a)
        let s = isFar.select(z(.squareRoot), a)
        let p = z.polynomial([
            0.16666666666665408, 0.07500000000336927, 0.044642856828397436, 0.030381959134187137, 0.022371758115827, 0.01735970379075062,
            0.013885244986636298, 0.012169149460601754, 0.0065282433524232, 0.019527533043496335, -0.01622310556786132,
            0.031911484378186736,
        ])
        // What the root's rounding lost.
        let low = isFar(.and, z > 0).select(s.fma(-s, z) / (s + s), z.constant(0))
        return (isFar, s + (s * z).fma(p, low))
    }

    static func doubleAsin(_ x: ScalarTerm) -> ScalarTerm {
        let (isFar, angle) = doubleArcsine(x.magnitude)
        let far = x.constant(.real(halfPi)) - (angle + angle - halfPiLow)
        return isFar.select(far, angle).withSign(of: x)
    }

    static func doubleAcos(_ x: ScalarTerm) -> ScalarTerm {
        let (isFar, angle) = doubleArcsine(x.magnitude)
        let doubled = angle + angle
        let signed = angle.bits(.xor, x.signBit).float
        let near = x.constant(.real(halfPi)) - (signed - halfPiLow)
        let below = x.constant(.real(2 * halfPi)) - (doubled - 2 * halfPiLow)
        return isFar.select((x > 0).select(doubled, below), near)
    }

    static func doubleAtan(_ x: ScalarTerm) -> ScalarTerm {
        let a = x.magnitude
        let isFar = a > 1
        let t = isFar.select(x.constant(1) / a, a)
        let z = t * t
        // atan t = t + t z p(z); minimax on |t| <= 1, relative error 2^-57.6.
        let p = z.polynomial([
            -0.3333333333333307, 0.19999999999951454, -0.14285714282574818, 0.11111111007018755, -0.09090907002881668,
            0.07692279838232155, -0.06666404050456527, 0.058805277801498974, -0.052535184298092695, 0.04722321888457982,
            -0.042191782993287526, 0.03664190118413115, -0.02990384814611363, 0.02198484619356029, -0.01390055806040388,
            0.007196504775527713, -0.0028849206925001987, 0.000831323095130192, -0.00015216122612161787, 1.3225119976881636e-05,
        ])
        let angle = (t * z).fma(p, t)
        let far = x.constant(.real(halfPi)) - (angle - halfPiLow)
        return isFar.select(far, angle).withSign(of: x)
    }
}
