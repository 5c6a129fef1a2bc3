// Floats of 8 and 4 bits through compiled code: every code's number, and the nearest code of numbers on and around every boundary.

import Kiln
import KilnIR
@testable import KilnONNX
import KilnOps
import Testing

@Suite struct SmallFloatTests {
    /// A format written down once more: what each magnitude stands for.
    struct Format: CustomStringConvertible, Sendable {
        var element: ElementType
        /// Magnitudes of finite numbers, by code.
        var finite: [Double]
        var sign: UInt8
        /// What is too great becomes where conversions do not saturate, and what NaN becomes.
        var overflow: UInt8
        var notANumber: UInt8
        var hasNegativeZero = true
        var description: String { "\(element)" }

        init(_ element: ElementType, exponentBits: Int, fractionBits: Int, bias: Int, count: Int, overflow: UInt8, notANumber: UInt8,
             hasNegativeZero: Bool = true) {
            self.element = element
            finite = (0..<count).map { code in
                let (field, fraction) = (code >> fractionBits, Double(code & (1 << fractionBits - 1)) / Double(1 << fractionBits))
                return field == 0 ? Double(sign: .plus, exponent: 1 - bias, significand: 1) * fraction
                    : Double(sign: .plus, exponent: field - bias, significand: 1 + fraction)
            }
            (sign, self.overflow, self.notANumber, self.hasNegativeZero) = (1 << UInt8(exponentBits + fractionBits), overflow, notANumber, hasNegativeZero)
        }

        func number(_ code: UInt8) -> Double {
            let magnitude = Int(code & (sign - 1)), isNegative = code & sign != 0
            if !hasNegativeZero, code == sign { return .nan }
            if element == .float8e5m2, magnitude == 0x7C { return isNegative ? -.infinity : .infinity }
            guard magnitude < finite.count else { return .nan }
            return isNegative ? -finite[magnitude] : finite[magnitude]
        }

        func code(_ x: Double, saturates: Bool) -> UInt8 {
            let bit: UInt8 = x.sign == .minus ? sign : 0
            if x.isNaN { return notANumber | bit }
            let magnitude = abs(x), last = finite.count - 1
            // The first of the next binade, where rounding up from the greatest would lead.
            let beyond = finite[last] + (finite[last] - finite[last - 1])
            var best = last
            if magnitude < finite[last] {
                let above = finite.firstIndex { $0 >= magnitude }!
                let below = max(above - 1, 0)
                let (down, up) = (magnitude - finite[below], finite[above] - magnitude)
                best = up < down || up == down && above % 2 == 0 ? above : below
            } else if !saturates, magnitude > (finite[last] + beyond) / 2 || magnitude == (finite[last] + beyond) / 2 && last % 2 == 1 {
                return overflow | bit
            }
            return best == 0 && !hasNegativeZero ? 0 : UInt8(best) | bit
        }
    }

    static let formats = [
        Format(.float8e4m3fn, exponentBits: 4, fractionBits: 3, bias: 7, count: 0x7F, overflow: 0x7F, notANumber: 0x7F),
        Format(.float8e5m2, exponentBits: 5, fractionBits: 2, bias: 15, count: 0x7C, overflow: 0x7C, notANumber: 0x7F),
        Format(.float8e4m3fnuz, exponentBits: 4, fractionBits: 3, bias: 8, count: 0x80, overflow: 0x80, notANumber: 0x80, hasNegativeZero: false),
        Format(.float8e5m2fnuz, exponentBits: 5, fractionBits: 2, bias: 16, count: 0x80, overflow: 0x80, notANumber: 0x80, hasNegativeZero: false),
        Format(.float4e2m1, exponentBits: 2, fractionBits: 1, bias: 1, count: 8, overflow: 0x7, notANumber: 0x8),
    ]

    @Test(arguments: formats) func everyCodeIsItsNumber(_ format: Format) throws {
        let codes = (0..<Int(format.sign) * 2).map { UInt8($0) }
        let dtype = try #require(format.element.dtype)
        let results = try compiled(Literal(dtype, [codes.count], bytes: codes)) { try format.element.numbers($0) }
        for code in codes {
            let (result, expected) = (results[Int(code)].double, format.number(code))
            #expect(result.isNaN && expected.isNaN || result == expected && result.sign == expected.sign, "code \(code) is \(result), not \(expected)")
        }
    }

    @Test(arguments: formats, [true, false]) func numbersRoundToTheNearest(_ format: Format, saturates: Bool) throws {
        for dtype in [DType.f32, .f64] {
            // Each number, each midpoint, and what lies right beside them.
            var points = format.finite + zip(format.finite, format.finite.dropFirst()).map { ($0 + $1) / 2 }
            let last = format.finite.count - 1
            points += [format.finite[last] * 2 - format.finite[last - 1], format.finite[last] * 1.5 - format.finite[last - 1] * 0.5, 1e9, 1e-9, .infinity]
            let beside = points.flatMap { x in dtype == .f32 ? [Double(Float(x).nextUp), Double(Float(x).nextDown)] : [x.nextUp, x.nextDown] }
            let values = (points + beside).flatMap { [$0, -$0] } + [.nan]
            let results = try compiled(Literal(dtype, [values.count], doubles: values)) { x in
                try format.element.elements(x, Conversion(saturates: saturates)).bitcast(to: .u8)
            }
            for (position, value) in values.enumerated() {
                let result = UInt8(truncatingIfNeeded: results[position].int64)
                let expected = format.code(value, saturates: saturates || format.element == .float4e2m1)
                // NaN may lose its sign.
                #expect(result == expected || value.isNaN && result | format.sign == expected | format.sign, "\(dtype) \(value) is \(result), not \(expected)")
            }
        }
    }

    @Test(arguments: [("up", 3.0, 4.0), ("up", 4, 4), ("down", 3.9, 2), ("nearest", 2.9, 2), ("nearest", 3, 4), ("nearest", 3.1, 4), ("up", 0, 0x1p-127)])
    func powersOfTwo(_ mode: String, _ value: Double, _ expected: Double) throws {
        let rounding = try #require(ExponentFloat.Rounding(rawValue: mode))
        let element = ElementType.float8e8m0
        let result = try compiled(Literal(.f32, [1], doubles: [value])) { try element.numbers(try element.elements($0, Conversion(rounding: rounding))) }
        #expect(result[0].double == expected)
    }

    @Test(arguments: [(ElementType.int4, [7, -8, -8, 7, -1]), (.uint4, [7, 8, 8, 7, 15]), (.int2, [-1, 0, 0, -1, -1]), (.uint2, [3, 0, 0, 3, 3])])
    func integersWrap(_ element: ElementType, _ expected: [Int]) throws {
        let result = try compiled(Literal(.i64, [5], scalars: [7, 8, -8, 23, -1])) { try element.elements($0) }
        #expect(result.scalars.map(\.int64) == expected.map { Int64($0) })
    }

    /// What a value becomes in compiled code.
    private func compiled(_ value: Literal, _ body: (Value) throws -> Value) throws -> Literal {
        let builder = GraphBuilder("small")
        let result = try body(builder.input("x", value.type))
        return try CompiledGraph(try builder.finish([("y", result)])).run([value])[0]
    }
}
