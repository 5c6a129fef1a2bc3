// Literals: every dtype keeps what it can hold, bfloat16 rounds once to nearest even.

import KilnIR
import Testing

@Suite struct LiteralTests {
    @Test func bfloat16KeepsItsOwnNumbers() {
        for bits in UInt16.min...UInt16.max {
            let value = Double(Float(bitPattern: UInt32(bits) << 16))
            if value.isNaN { continue }
            #expect(bfloat16Bits(value) == bits)
        }
    }

    /// Against a search among both neighbours, in exact arithmetic: all are Doubles.
    @Test func bfloat16RoundsToNearestEven() {
        var random = SeededGenerator(3)
        for bits in stride(from: UInt16(0), to: 0x7F7F, by: 7) {
            let low = Double(Float(bitPattern: UInt32(bits) << 16)), high = Double(Float(bitPattern: UInt32(bits + 1) << 16))
            let middle = (low + high) / 2
            let even = bits & 1 == 0 ? bits : bits + 1
            #expect(bfloat16Bits(middle) == even)
            #expect(bfloat16Bits(middle.nextUp) == bits + 1)
            #expect(bfloat16Bits(middle.nextDown) == bits)
            #expect(bfloat16Bits(-middle) == even | 0x8000)
            let between = Double.random(in: low...high, using: &random)
            if between != middle { #expect(bfloat16Bits(between) == (between < middle ? bits : bits + 1)) }
        }
        #expect(bfloat16Bits(.infinity) == 0x7F80)
        #expect(bfloat16Bits(1e300) == 0x7F80)
        #expect(bfloat16Bits(-1e300) == 0xFF80)
        #expect(bfloat16Bits(.nan) == 0x7FC0)
        #expect(bfloat16Bits(-0.0) == 0x8000)
        // Halfway between the greatest number and infinity, which has the even significand.
        #expect(bfloat16Bits(0x1.FFp127) == 0x7F80)
    }

    @Test(arguments: DType.all) func elementsKeepTheirValues(dtype: DType) {
        let scalars: [Scalar] = switch dtype {
        case .bool: [true, false]
        case .f8e4m3: [0.5, -2, .real(-0.0), 448, .real(.nan)]
        case _ where dtype.isFloat: [0.5, -2, .real(-0.0), .real(.infinity), .real(.nan)]
        case _ where dtype.isUnsigned: [.unsigned(0), .unsigned(UInt64.max >> UInt64(64 - dtype.bitWidth))]
        default: [.integer(0), .integer(Int64.min >> (64 - dtype.bitWidth)), .integer(Int64.max >> (64 - dtype.bitWidth))]
        }
        let floats = dtype.isFloat ? scalars.map { $0.converted(to: dtype) } : scalars
        let literal = Literal(dtype, [scalars.count], scalars: floats)
        #expect(literal.scalars == floats)
        #expect(literal.bytes.count == scalars.count * dtype.byteCount)
    }

    /// Every byte stands for a number, and every number between two of them goes to the nearer, or to the even one.
    @Test(arguments: DType.floats8) func eightBitFloatsAreRoundedOnce(dtype: DType) {
        let format = Float8(dtype)
        let greatest: UInt8 = dtype == .f8e4m3 ? 0x7E : 0x7B
        for bits in UInt8.min...UInt8.max where bits & 0x7F <= greatest { #expect(format.bits(format.value(bits)) == bits) }
        for bits in 0..<greatest {
            let (low, high) = (format.value(bits), format.value(bits + 1))
            let tie = (low + high) / 2
            #expect(low < high && format.bits(tie) == bits + bits & 1)
            #expect(format.bits(tie.nextUp) == bits + 1 && format.bits(tie.nextDown) == bits)
            #expect(format.bits(-tie.nextUp) == 0x80 | bits + 1)
        }
        #expect(format.value(greatest) == (dtype == .f8e4m3 ? 448 : 57344) && format.value(1) == (dtype == .f8e4m3 ? 0x1p-9 : 0x1p-16))
        #expect(format.bits(1e300) == (dtype == .f8e4m3 ? 0x7E : 0x7C) && format.bits(-.infinity) == (dtype == .f8e4m3 ? 0xFE : 0xFC))
        #expect(format.bits(.nan) == 0x7F && format.value(0xFF).isNaN)
        #expect(Float8(.f8e4m3).bits(464) == 0x7E && Float8(.f8e5m2).bits(61440) == 0x7C && Float8(.f8e5m2).bits(61439) == 0x7B)
    }

    @Test func settingWrapsAndRounds() {
        #expect(Literal(.i8, [], scalars: [.integer(200)])[0] == .integer(-56))
        #expect(Literal(.u8, [], scalars: [.integer(-1)])[0] == .unsigned(255))
        #expect(Literal(.f16, [], scalars: [.real(1 + 0x1p-11)])[0] == .real(1))
        #expect(Literal(.f32, [], scalars: [.real(0.1)])[0] == .real(Double(Float(0.1))))
        #expect(Scalar.real(1e30).int64 == .max)
        #expect(Scalar.real(.nan).int64 == 0)
    }
}
