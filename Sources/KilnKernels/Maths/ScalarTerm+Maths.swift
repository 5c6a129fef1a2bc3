// Shorthand for the elementary functions: polynomials, bits of floats, and selections that compile to one instruction.

import KilnIR

extension ScalarTerm {
    /// The polynomial with these coefficients, lowest power first, at this term, by Horner's rule with fused steps.
    func polynomial(_ coefficients: [Double]) -> ScalarTerm {
        var sum = constant(.real(coefficients[coefficients.count - 1]))
        for c in coefficients.dropLast().reversed() { sum = sum.fma(self, constant(.real(c))) }
        return sum
    }

    func fma(_ factor: Double, _ addend: ScalarTerm) -> ScalarTerm { fma(constant(.real(factor)), addend) }
    func fma(_ factor: Double, _ addend: Double) -> ScalarTerm { fma(constant(.real(factor)), constant(.real(addend))) }
    func fma(_ factor: ScalarTerm, _ addend: Double) -> ScalarTerm { fma(factor, constant(.real(addend))) }

    var magnitude: ScalarTerm { self(.absolute) }

    /// Not above the limit; NaN stays. A comparison and selection in the order that one `min` instruction has.
    func atMost(_ limit: Double) -> ScalarTerm { (self > limit).select(constant(.real(limit)), self) }
    func atLeast(_ limit: Double) -> ScalarTerm { (self < limit).select(constant(.real(limit)), self) }

    /// The bits of an f32 or f64 as a signed integer, and back.
    var bits: ScalarTerm { bitcast(to: dtype == .f32 ? .i32 : .i64) }
    var float: ScalarTerm { bitcast(to: dtype.byteCount == 4 ? .f32 : .f64) }

    func shiftedLeft(_ count: Int64) -> ScalarTerm { self(.shiftLeft, constant(.integer(count))) }
    func shiftedRight(_ count: Int64) -> ScalarTerm { self(.shiftRight, constant(.integer(count))) }
    func masked(_ mask: Int64) -> ScalarTerm { self(.and, constant(.integer(mask))) }
    func plus(_ integer: Int64) -> ScalarTerm {
        self + constant(dtype == .u32 ? .unsigned(UInt64(UInt32(truncatingIfNeeded: integer))) : .integer(integer))
    }
    func isEqual(to value: Double) -> ScalarTerm { self(.equal, constant(.real(value))) }

    /// The sign bit alone, as an integer.
    var signBit: ScalarTerm { bits.masked(dtype == .f32 ? Int64(Int32.min) : Int64.min) }

    /// This term, which is not negative, with the sign of another.
    func withSign(of x: ScalarTerm) -> ScalarTerm { bits(.or, x.signBit).float }

    /// Adding this rounds to an integer (ties to even) that then stands in the low bits; |x| < 2^22.
    static let roundingShift = 0x1.8p23
}
