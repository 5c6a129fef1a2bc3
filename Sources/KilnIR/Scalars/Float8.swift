// The 8-bit floats: bits from numbers and numbers from bits, rounded once, ties to even.

/// One of the formats of 8-bit floats.
public struct Float8: Sendable {
    package let fractionBits: Int
    /// The exponent of the least normal number.
    package let leastExponent: Int
    /// The bits that stand for whatever is too large: 448 in f8e4m3, as PyTorch's `.to(torch.float8_e4m3fn)` (since 2.12, its pull request
    /// 178817), ONNX's Cast and NVIDIA's `cvt.satfinite` have it; infinity in f8e5m2, as in PyTorch.
    package let greatest: UInt8
    private let hasInfinity: Bool

    /// - Precondition: `dtype` is in `DType.floats8`.
    public init(_ dtype: DType) {
        let format = dtype.format ?? DType.FloatFormat(exponentBits: 5, fractionBits: 2)
        fractionBits = format.fractionBits
        leastExponent = 2 - 1 << (format.exponentBits - 1)
        hasInfinity = format.greatest == nil
        // Infinity has the highest exponent and no fraction; where there is none, all of that exponent but the last, NaN, are numbers.
        greatest = hasInfinity ? UInt8((1 << format.exponentBits - 1) << fractionBits) : 0x7E
    }

    /// The number that a byte stands for.
    public func value(_ bits: UInt8) -> Double {
        let magnitude = Int(bits & 0x7F)
        let sign: FloatingPointSign = bits & 0x80 == 0 ? .plus : .minus
        if magnitude > Int(greatest) { return sign == .plus ? .nan : -.nan }
        if hasInfinity, magnitude == Int(greatest) { return sign == .plus ? .infinity : -.infinity }
        let field = magnitude >> fractionBits, fraction = magnitude & (1 << fractionBits - 1)
        let significand = field == 0 ? fraction : fraction | 1 << fractionBits
        return Double(sign: sign, exponent: leastExponent - fractionBits + max(field - 1, 0), significand: Double(significand))
    }

    /// The byte of the nearest number; 0x7F (with the sign) for NaN.
    public func bits(_ value: Double) -> UInt8 {
        let sign: UInt8 = value.sign == .minus ? 0x80 : 0
        if value.isNaN { return sign | 0x7F }
        let magnitude = abs(value)
        if magnitude >= 0x1p20 { return sign | greatest }
        let exponent = max(magnitude == 0 ? leastExponent : Int(magnitude.exponent), leastExponent)
        let units = Double(sign: .plus, exponent: fractionBits - exponent, significand: magnitude).rounded(.toNearestOrEven)
        // A carry out of the fraction lands in the exponent's field.
        let code = Int(units) + (exponent - leastExponent) << fractionBits
        return sign | UInt8(min(code, Int(greatest)))
    }
}
