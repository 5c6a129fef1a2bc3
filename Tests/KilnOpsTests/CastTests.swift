// Conversions between all dtypes: truncation, saturation, wrapping, and rounding once.

import KilnIR
import KilnOps
import Testing

@Suite struct CastTests {
    private func cast(_ value: Scalar, _ from: DType, _ to: DType) throws -> Scalar {
        try Interpreter.apply(Elementwise.cast, [Literal(from, [], scalars: [value])], ["dtype": .dtype(to)])[0][0]
    }

    @Test(arguments: DType.integers)
    func floatsTruncateAndSaturate(_ dtype: DType) throws {
        let width = dtype.bitWidth
        let most: Scalar = dtype.isUnsigned ? .unsigned(.max >> UInt64(64 - width)) : .integer(.max >> Int64(64 - width))
        let least: Scalar = dtype.isUnsigned ? .unsigned(0) : .integer(.min >> Int64(64 - width))
        for source in DType.floats + [.f8e5m2] {
            #expect(try cast(.real(.nan), source, dtype).int64 == 0)
            #expect(try cast(.real(.infinity), source, dtype) == most)
            #expect(try cast(.real(-.infinity), source, dtype) == least)
            #expect(try cast(2.5, source, dtype).int64 == 2)
            #expect(try cast(-2.5, source, dtype).int64 == (dtype.isSigned ? -2 : 0))
            #expect(try cast(-0.5, source, dtype).int64 == 0)
        }
    }

    @Test func integersWrap() throws {
        #expect(try cast(300, .i32, .u8) == .unsigned(44))
        #expect(try cast(200, .u8, .i8) == .integer(-56))
        #expect(try cast(-1, .i8, .u64) == .unsigned(.max))
        #expect(try cast(.unsigned(.max), .u64, .i32) == .integer(-1))
        #expect(try cast(.unsigned(.max), .u64, .f32) == .real(18446744073709551616))
        #expect(try cast(16777217, .i64, .f32) == .real(16777216))
    }

    @Test(arguments: DType.numbers + DType.floats8)
    func boolsAreZeroAndOne(_ dtype: DType) throws {
        #expect(try cast(true, .bool, dtype).double == 1)
        #expect(try cast(false, .bool, dtype).double == 0)
        #expect(try cast(2, dtype, .bool) == .bool(true))
        #expect(try cast(0, dtype, .bool) == .bool(false))
    }

    /// Doubles around every tie between neighbours: rounding to f32 on the way must not be seen.
    @Test func doublesAreRoundedOnce() throws {
        var numbers = SampleNumbers(seed: 3)
        var values: [Double] = []
        for _ in 0..<3000 {
            let base = Double(Float16(bitPattern: UInt16.random(in: 0..<0x7BFF, using: &numbers)))
            let next = Double(Float16(base).nextUp)
            let tie = (base + next) / 2
            values += [tie, tie.nextUp, tie.nextDown, -tie.nextUp]
        }
        values += specials(.f64).map(\.double)
        let found = try Interpreter.apply(Elementwise.cast, [Literal(.f64, [values.count], doubles: values)], ["dtype": .dtype(.f16)])[0]
        for (value, result) in zip(values, found.doubles) { #expect(result == Double(Float16(value)) || value.isNaN && result.isNaN) }
        let brains = try Interpreter.apply(Elementwise.cast, [Literal(.f64, [values.count], doubles: values)], ["dtype": .dtype(.bf16)])[0]
        for dtype in DType.floats8 {
            let found = try Interpreter.apply(Elementwise.cast, [Literal(.f64, [values.count], doubles: values)], ["dtype": .dtype(dtype)])[0]
            for (value, result) in zip(values, found.scalars) {
                #expect(result == Literal(dtype, [], scalars: [.real(value)])[0] || value.isNaN && result.double.isNaN)
            }
        }
        for (value, result) in zip(values, brains.scalars) {
            #expect(result == Literal(.bf16, [], scalars: [.real(value)])[0] || value.isNaN && result.double.isNaN)
        }
    }

    @Test func bitsStay() throws {
        func bits(_ value: Scalar, _ from: DType, _ to: DType) throws -> Scalar {
            try Interpreter.apply(Elementwise.bitcast, [Literal(from, [], scalars: [value])], ["dtype": .dtype(to)])[0][0]
        }
        #expect(try bits(1, .f32, .u32) == .unsigned(0x3F80_0000))
        #expect(try bits(.integer(-1), .i64, .u64) == .unsigned(.max))
        #expect(try bits(0x3C00, .u16, .f16) == .real(1))
        #expect(try bits(0x3F80, .i16, .bf16) == .real(1))
        #expect(try bits(0x38, .u8, .f8e4m3) == .real(1) && bits(-1, .f8e5m2, .i8) == .integer(-0x44))
        #expect(throws: ShapeError.self) { try bits(1, .f32, .f64) }
    }
}
