// The rule of conversions and the table of promotions, number by number.

import KilnIR
import Testing

@Suite struct ConversionTests {
    @Test func realsSaturateAndLoseTheirFraction() {
        #expect(Scalar.real(1e19).converted(to: .u64) == .unsigned(10_000_000_000_000_000_000))
        #expect(Scalar.real(0x1p64).converted(to: .u64) == .unsigned(.max))
        #expect(Scalar.real(0x1p63).converted(to: .u64) == .unsigned(1 << 63))
        #expect(Scalar.real(0x1p63).converted(to: .i64) == .integer(.max) && Scalar.real(-1e300).converted(to: .i64) == .integer(.min))
        #expect(Scalar.real(300).converted(to: .i8) == .integer(127) && Scalar.real(-129.9).converted(to: .i8) == .integer(-128))
        #expect(Scalar.real(-1.5).converted(to: .u8) == .unsigned(0) && Scalar.real(255.9).converted(to: .u8) == .unsigned(255))
        for dtype in DType.integers { #expect(Scalar.real(.nan).converted(to: dtype).int64 == 0) }
        #expect(Scalar.real(.nan).converted(to: .bool) == true && Scalar.real(-0.0).converted(to: .bool) == false)
    }

    @Test func integersKeepTheirLowBits() {
        #expect(Scalar.integer(300).converted(to: .i8) == .integer(44) && Scalar.integer(-1).converted(to: .u64) == .unsigned(.max))
        #expect(Scalar.unsigned(.max).converted(to: .i32) == .integer(-1) && Scalar.integer(-1).converted(to: .u16) == .unsigned(65535))
        #expect(Scalar.bool(true).converted(to: .u8) == .unsigned(1) && Scalar.integer(256).converted(to: .bool) == true)
    }

    @Test func floatsAreRoundedOnce() {
        #expect(Scalar.integer(16_777_217).converted(to: .f32) == .real(16_777_216))
        // By way of f64 this would go up.
        #expect(Scalar.integer(0x20_0000_1000_0001).converted(to: .f32) == .real(Double(Float(0x20_0000_1000_0001 as Int64))))
        #expect(Scalar.real(0.1).converted(to: .f32) == .real(Double(Float(0.1))) && Scalar.real(1e39).converted(to: .f32) == .real(.infinity))
        #expect(Scalar.real(1e39).converted(to: .f8e4m3) == .real(448) && Scalar.real(1e39).converted(to: .f8e5m2) == .real(.infinity))
    }

    @Test(arguments: DType.all) func aDTypeHoldsItsOwnEnds(_ dtype: DType) {
        for scalar in [dtype.least, dtype.greatest, Scalar.integer(1).converted(to: dtype)] {
            #expect(scalar.converted(to: dtype) == scalar)
            #expect(Literal(dtype, [1], scalars: [scalar])[0] == scalar)
        }
        #expect(dtype.byteCount * 8 >= dtype.bitWidth && DType(name: dtype.name) == dtype && DType(rawValue: dtype.rawValue) == dtype)
        if let format = dtype.format { #expect(1 + format.exponentBits + format.fractionBits == dtype.bitWidth) }
    }

    /// Pairs as PyTorch 2.12's `torch.promote_types` gives them, where it has both.
    @Test func promotions() {
        let pairs: [(DType, DType, DType?)] = [
            (.bool, .u8, .u8), (.bool, .bool, .bool), (.i8, .i32, .i32), (.u8, .u16, .u16), (.u8, .i8, .i16), (.u8, .i64, .i64), (.u16, .i16, .i32),
            (.u32, .i8, .i64), (.u64, .i64, nil), (.u64, .u8, .u64), (.i64, .f16, .f16), (.u64, .f8e4m3, .f8e4m3), (.f16, .bf16, .f32), (.f16, .f32, .f32),
            (.f64, .f32, .f64), (.f8e4m3, .f8e5m2, .f32), (.f8e5m2, .f16, .f16), (.bool, .f32, .f32),
        ]
        for (a, b, wanted) in pairs {
            #expect(DType.promotion(a, b) == wanted, "\(a) and \(b)")
            #expect(DType.promotion(b, a) == wanted, "\(b) and \(a)")
        }
    }
}
