// The yardstick of the elementary functions: an f32 and the exact value come in, their distance in ulp goes out.

/// How far an f32 is from an exact value.
package struct FloatError {
    /// In units of the exact value's last place in f32; infinite where NaN, an infinity or a zero's sign is wrong.
    package let ulp: Double

    package init(_ value: Float, exact: Double) {
        if exact.isNaN || value.isNaN {
            ulp = exact.isNaN && value.isNaN ? 0 : .infinity
        } else if exact == 0 || exact.isInfinite {
            ulp = Double(value) == exact && value.sign == exact.sign ? 0 : .infinity
        } else {
            // An overflow counts as the power of two after the greatest number, and so does an exact value past it.
            let finite = value.isInfinite ? (value < 0 ? -0x1p128 : 0x1p128) : Double(value)
            let unit = Double(sign: .plus, exponent: min(max(exact.exponent - 23, -149), 104), significand: 1)
            ulp = abs(finite - min(max(exact, -0x1p128), 0x1p128)) / unit
        }
    }
}
