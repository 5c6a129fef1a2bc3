// What scalar functions mean, in plain Swift; the results are rounded to the dtype by who asks.

import Foundation
import KilnIR

func integerReference(_ function: ScalarFunction, _ x: [Scalar], _ dtype: DType) -> Scalar {
    let (a, b) = (x[0].int64, x.count > 1 ? x[1].int64 : 0)
    let bits = Int64(dtype.bitWidth)
    func number(_ value: Int64) -> Scalar { .integer(value) }
    let isBelow = dtype.isSigned ? a < b : UInt64(bitPattern: a) < UInt64(bitPattern: b)
    let least: Int64 = .min >> (64 - bits)
    switch function {
    case .add: return number(a &+ b)
    case .subtract: return number(a &- b)
    case .multiply: return number(a &* b)
    case .fusedMultiplyAdd: return number(a &* b &+ x[2].int64)
    case .divide:
        if b == 0 { return number(-1) }
        if !dtype.isSigned { return .unsigned(UInt64(bitPattern: a) / UInt64(bitPattern: b)) }
        return number(a == least && b == -1 ? least : a / b)
    case .remainder:
        if b == 0 { return number(a) }
        if !dtype.isSigned { return .unsigned(UInt64(bitPattern: a) % UInt64(bitPattern: b)) }
        return number(b == -1 ? 0 : a % b)
    case .negate: return number(0 &- a)
    case .absolute: return number(dtype.isSigned && a < 0 ? 0 &- a : a)
    case .maximum: return number(isBelow ? b : a)
    case .minimum: return number(isBelow ? a : b)
    case .and: return number(a & b)
    case .or: return number(a | b)
    case .xor: return number(a ^ b)
    case .not: return number(~a)
    case .shiftLeft: return number(b < 0 || b >= bits ? 0 : a << b)
    case .shiftRight:
        if dtype.isSigned { return number(b < 0 || b >= bits ? a >> 63 : a >> b) }
        return b < 0 || b >= bits ? number(0) : .unsigned(UInt64(bitPattern: a) >> UInt64(b))
    case .equal: return .bool(a == b)
    case .notEqual: return .bool(a != b)
    case .less: return .bool(isBelow)
    case .lessEqual: return .bool(isBelow || a == b)
    case .greater: return .bool(!isBelow && a != b)
    case .greaterEqual: return .bool(!isBelow)
    case .isNaN: return false
    default: return number(a)
    }
}

/// In f64 for f64, else in f32: what a 16-bit float's function gives before it is rounded.
func floatReference(_ function: ScalarFunction, _ x: [Double], _ dtype: DType) -> Scalar {
    dtype == .f64 ? floating(function, x) : floating(function, x.map { Float($0) })
}

private func floating<F: BinaryFloatingPoint>(_ function: ScalarFunction, _ x: [F]) -> Scalar {
    func number(_ value: F) -> Scalar { .real(Double(value)) }
    let (a, b) = (x[0], x.count > 1 ? x[1] : 0)
    switch function {
    case .add: return number(a + b)
    case .subtract: return number(a - b)
    case .multiply: return number(a * b)
    case .divide: return number(a / b)
    case .fusedMultiplyAdd: return number(x[2].addingProduct(a, b))
    case .remainder: return number(b == 0 || a.isInfinite ? .nan : a.truncatingRemainder(dividingBy: b))
    case .negate: return number(-a)
    case .absolute: return number(a.magnitude)
    case .maximum, .minimum:
        if a.isNaN || b.isNaN { return number(.nan) }
        if a == b { return number((function == .maximum) == (a.sign == .minus) ? b : a) }
        return number((function == .maximum) == (a > b) ? a : b)
    case .floor: return number(a.rounded(.down))
    case .ceil: return number(a.rounded(.up))
    case .round: return number(a.rounded(.toNearestOrEven))
    case .truncate: return number(a.rounded(.towardZero))
    case .squareRoot: return number(a.squareRoot())
    case .equal: return .bool(a == b)
    case .notEqual: return .bool(a != b)
    case .less: return .bool(a < b)
    case .lessEqual: return .bool(a <= b)
    case .greater: return .bool(a > b)
    case .greaterEqual: return .bool(a >= b)
    default: return .bool(a.isNaN)
    }
}

func convertReference(_ value: Scalar, _ from: DType, _ to: DType) -> Scalar {
    if to == .bool { return .bool(value.isTrue) }
    if case .unsigned(let u) = value, to == .f32 { return .real(Double(Float(u))) }
    if case .integer(let i) = value, to == .f32 { return .real(Double(Float(i))) }
    if to.isFloat { return .real(value.double) }
    guard from.isFloat else { return .integer(value.int64) }
    let real = value.double.rounded(.towardZero)
    if real.isNaN { return .integer(0) }
    if to == .u64 { return .unsigned(real <= 0 ? 0 : UInt64(exactly: real) ?? .max) }
    let most: Int64 = to.isSigned ? .max >> (64 - Int64(to.bitWidth)) : (1 << Int64(to.bitWidth)) - 1
    let least: Int64 = to.isSigned ? ~most : 0
    return .integer(real <= Double(least) ? least : real >= Double(most) ? most : Int64(real))
}

func libm(_ function: ScalarFunction, _ x: Double) -> Double {
    switch function {
    case .exp: exp(x)
    case .log: log(x)
    case .sin: sin(x)
    case .cos: cos(x)
    case .tanh: tanh(x)
    case .erf: erf(x)
    case .power: pow(x, x)
    case .log1p: log1p(x)
    case .expm1: expm1(x)
    default: atan(x)
    }
}
