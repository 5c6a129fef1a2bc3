// Floats of 8 and 4 bits that Kiln has no dtype for, as compositions of its elementwise ops. In: numbers in f32 or f64, or codes in u8.
// Out: the other of the two, rounded once, ties to even.

import KilnIR
import KilnOps

/// A format of a sign, an exponent and a fraction.
struct SmallFloat: Sendable {
    let fractionBits: Int
    let bias: Int
    /// The code of the sign; all below it are magnitudes.
    let sign: Int
    /// The greatest finite number's code.
    let greatest: Int
    /// The code of what is greater, where conversions do not saturate; nil where they always do.
    let overflow: Int?
    let notANumber: Int
    /// Whether zero has a sign. Where it has none, the code of -0 is NaN's.
    let hasNegativeZero: Bool

    init?(_ element: ElementType) {
        switch element {
        case .float8e4m3fn: self.init(3, bias: 7, sign: 0x80, greatest: 0x7E, overflow: 0x7F, notANumber: 0x7F, hasNegativeZero: true)
        case .float8e5m2: self.init(2, bias: 15, sign: 0x80, greatest: 0x7B, overflow: 0x7C, notANumber: 0x7F, hasNegativeZero: true)
        case .float8e4m3fnuz: self.init(3, bias: 8, sign: 0x80, greatest: 0x7F, overflow: 0x80, notANumber: 0x80, hasNegativeZero: false)
        case .float8e5m2fnuz: self.init(2, bias: 16, sign: 0x80, greatest: 0x7F, overflow: 0x80, notANumber: 0x80, hasNegativeZero: false)
        // It has no NaN; -0 stands in for it.
        case .float4e2m1: self.init(1, bias: 1, sign: 0x8, greatest: 0x7, overflow: nil, notANumber: 0x8, hasNegativeZero: true)
        default: return nil
        }
    }

    private init(_ fractionBits: Int, bias: Int, sign: Int, greatest: Int, overflow: Int?, notANumber: Int, hasNegativeZero: Bool) {
        (self.fractionBits, self.bias, self.sign, self.greatest) = (fractionBits, bias, sign, greatest)
        (self.overflow, self.notANumber, self.hasNegativeZero) = (overflow, notANumber, hasNegativeZero)
    }

    /// The codes, in u8, of numbers in f32 or f64.
    func codes<T: Operand>(_ x: T, saturates: Bool) -> T {
        let isDouble = x.dtype == .f64
        let (integer, width, fraction, wideBias) = isDouble ? (DType.u64, 64, 52, 1023) : (DType.u32, 32, 23, 127)
        let bits = x.bitcast(to: integer), magnitude = bits & (Int.max >> (64 - width))
        // To the nearest by what is cut off; a carry out of the fraction lands in the exponent.
        let cut = fraction - fractionBits
        let rounded = magnitude + (1 << (cut - 1) - 1) + ((magnitude >> cut) & 1)
        let normal = (rounded >> cut) - ((wideBias - bias) << fractionBits)
        let absolute = magnitude.bitcast(to: x.dtype)
        let subnormal = (absolute * power(bias - 1 + fractionBits)).round().cast(to: integer)
        let code = (absolute .< power(1 - bias)).select(subnormal, normal)
        let limited = (code .> greatest).select(saturates ? greatest : overflow ?? greatest, code)
        let known = x.isNaN().select(notANumber, limited)
        let signed = known | ((bits >> (width - 1)) * sign)
        return (hasNegativeZero ? signed : (known .== 0).select(0, signed)).cast(to: .u8)
    }

    /// The numbers, in f32, of codes in u8.
    func numbers<T: Operand>(_ codes: T) -> T {
        let wide = codes.cast(to: .u32), magnitude = wide & (sign - 1)
        let normal = (magnitude << (23 - fractionBits)) + ((127 - bias) << 23)
        let subnormal = (magnitude.cast(to: .f32) * power(1 - bias - fractionBits)).bitcast(to: .u32)
        let absolute = (magnitude .< (1 << fractionBits)).select(subnormal, normal)
        let value = (absolute | ((wide & sign) * (0x8000_0000 / sign))).bitcast(to: .f32)
        return hasNegativeZero ? value : (wide .== notANumber).select(Double.nan, value)
    }

    private func power(_ exponent: Int) -> Double { Double(sign: .plus, exponent: exponent, significand: 1) }
}

/// Powers of two alone: eight bits of exponent, NaN, no sign and no zero (OCP's E8M0).
enum ExponentFloat {
    /// How a number between two powers becomes one of them.
    enum Rounding: String { case up, down, nearest }

    /// The codes, in u8, of numbers in f32. Negative ones count as positive.
    static func codes<T: Operand>(_ x: T, _ rounding: Rounding, saturates: Bool) -> T {
        let bits = x.bitcast(to: .u32) & 0x7FFF_FFFF
        let exponent = bits >> 23, fraction = bits & 0x7F_FFFF
        let isUp: T = switch rounding {
        case .up: fraction .!= 0
        // A tie goes up, but for the one between 0 and the least.
        case .nearest: (fraction .> 0x40_0000) | ((fraction .== 0x40_0000) & (exponent .!= 0))
        case .down: fraction .< 0
        }
        let code = exponent + isUp.cast(to: .u32)
        return (exponent .== 0xFF).select(0xFF, saturates ? code.minimum(0xFE) : code).cast(to: .u8)
    }

    /// The numbers, in f32, of codes in u8.
    static func numbers<T: Operand>(_ codes: T) -> T {
        let code = codes.cast(to: .u32)
        let bits = (code .== 0).select(0x40_0000, (code .== 0xFF).select(0x7FC0_0000, code << 23))
        return bits.bitcast(to: .f32)
    }
}
