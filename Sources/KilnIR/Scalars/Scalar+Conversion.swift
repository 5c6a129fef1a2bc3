// The one rule by which numbers change their dtype: a scalar and a dtype come in, the scalar of that dtype goes out.

extension Scalar {
    /// This value by value in another dtype. It is the rule of `cast`, `full`, constants, fills and kernels alike:
    ///
    /// - To bool it is `!= 0`; NaN is true. A bool is 0 or 1.
    /// - Integers to integers keep their low bits, as in NumPy, PyTorch and ONNX Runtime: 300 is 44 as i8, -1 is the greatest u64.
    /// - Reals to integers lose their fraction. Where those leave the result open, this doesn't: what is past an end is that end, so that
    ///   300.0 is 127 as i8 and -1.5 is 0 as u8; NaN is 0. (LLVM's saturating conversions, and Rust's `as`.)
    /// - To a float it is the nearest, ties to even, rounded once; past the greatest it is infinity, or 448 in f8e4m3, which has none.
    ///   64-bit integers are rounded to f64 before they are rounded to a float narrower than f32.
    public func converted(to dtype: DType) -> Scalar {
        switch dtype.kind {
        case .bool: return .bool(isTrue)
        case .float:
            // f32 is reached from 64 bits in one step.
            if dtype == .f32, case .integer(let value) = self { return .real(Double(Float(value))) }
            if dtype == .f32, case .unsigned(let value) = self { return .real(Double(Float(value))) }
            return .real(dtype.rounded(double))
        case .signed:
            if case .real(let value) = self { return .integer(Self.saturated(value, bits: dtype.bitWidth)) }
            let unused = Int64(64 - dtype.bitWidth)
            return .integer((int64 << unused) >> unused)
        case .unsigned:
            if case .real(let value) = self { return .unsigned(Self.saturated(value, bits: dtype.bitWidth)) }
            return .unsigned(UInt64(bitPattern: int64) & (.max >> UInt64(64 - dtype.bitWidth)))
        }
    }

    private static func saturated(_ value: Double, bits: Int) -> Int64 {
        if value.isNaN { return 0 }
        let end = Double(sign: .plus, exponent: bits - 1, significand: 1)
        if value <= -end { return .min >> Int64(64 - bits) }
        return value >= end ? .max >> Int64(64 - bits) : Int64(value)
    }

    private static func saturated(_ value: Double, bits: Int) -> UInt64 {
        if value.isNaN || value <= 0 { return 0 }
        return value >= Double(sign: .plus, exponent: bits, significand: 1) ? .max >> UInt64(64 - bits) : UInt64(value)
    }

    /// The bits of this value in `dtype`'s layout.
    package func bits(_ dtype: DType) -> UInt64 {
        switch dtype {
        case .f16: UInt64(Float16(double).bitPattern)
        case .bf16: UInt64(bfloat16Bits(double))
        case .f32: UInt64(Float(double).bitPattern)
        case .f64: double.bitPattern
        case _ where dtype.isFloat: UInt64(Float8(dtype).bits(double))
        default: UInt64(bitPattern: int64) & (.max >> UInt64(64 - dtype.byteCount * 8))
        }
    }

    /// The value whose bits in `dtype`'s layout these are.
    package init(bits: UInt64, _ dtype: DType) {
        switch dtype {
        case .bool: self = .bool(bits & 1 != 0)
        case .f16: self = .real(Double(Float16(bitPattern: UInt16(truncatingIfNeeded: bits))))
        case .bf16: self = .real(Double(Float(bitPattern: UInt32(truncatingIfNeeded: bits & 0xFFFF) << 16)))
        case .f32: self = .real(Double(Float(bitPattern: UInt32(truncatingIfNeeded: bits))))
        case .f64: self = .real(Double(bitPattern: bits))
        case _ where dtype.isFloat: self = .real(Float8(dtype).value(UInt8(truncatingIfNeeded: bits)))
        default: self = Scalar.unsigned(bits).converted(to: dtype)
        }
    }
}

extension DType {
    /// The nearest number of this float dtype, ties to even.
    @inline(__always)
    public func rounded(_ value: Double) -> Double {
        switch self {
        case .f16: Double(Float16(value))
        case .bf16: Double(Float(bitPattern: UInt32(bfloat16Bits(value)) << 16))
        case .f32: Double(Float(value))
        case _ where isFloat && bitWidth == 8: Float8(self).value(Float8(self).bits(value))
        default: value
        }
    }
}

/// The bfloat16 nearest to a Double, ties to even, rounded once.
public func bfloat16Bits(_ value: Double) -> UInt16 {
    if value.isNaN { return 0x7FC0 | (value.sign == .minus ? 0x8000 : 0) }
    // Rounding to odd in f32 first keeps the second rounding from seeing a false tie.
    let nearest = Float(value)
    var bits = nearest.bitPattern
    if nearest.isFinite, Double(nearest) != value {
        let towardZero = abs(Double(nearest)) > abs(value) ? bits - 1 : bits
        bits = towardZero | 1
    }
    if bits & 0x7F80_0000 == 0x7F80_0000 { return UInt16(bits >> 16) }
    return UInt16(truncatingIfNeeded: (bits &+ 0x7FFF &+ ((bits >> 16) & 1)) >> 16)
}
