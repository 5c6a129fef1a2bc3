// What each scalar function gives for one, two or three elements: floats in Double, then rounded; integers wrapped.

import Foundation
import KilnIR

extension ScalarFunction {
    /// The value of a function of one element.
    func evaluate(_ x: Scalar, from source: DType, to dtype: DType) -> Scalar {
        switch self {
        case .convert: return x.converted(to: dtype)
        case .bitcast: return Scalar(bits: x.bits(source), dtype)
        case .isNaN: return .bool(x.double.isNaN)
        default: break
        }
        switch x {
        case .real(let value): return .real(dtype.rounded(real(value)))
        case .bool(let value): return .bool(self == .not ? !value : value)
        case .integer, .unsigned: return integer(x).converted(to: dtype)
        }
    }

    private func real(_ x: Double) -> Double {
        switch self {
        case .negate: -x
        case .absolute: abs(x)
        case .floor: x.rounded(.down)
        case .ceil: x.rounded(.up)
        case .round: x.rounded(.toNearestOrEven)
        case .truncate: x.rounded(.towardZero)
        case .squareRoot: x.squareRoot()
        case .reciprocalSquareRoot: 1 / x.squareRoot()
        case .exp: Foundation.exp(x)
        case .exp2: Foundation.exp2(x)
        case .expm1: Foundation.expm1(x)
        case .log: Foundation.log(x)
        case .log2: Foundation.log2(x)
        case .log1p: Foundation.log1p(x)
        case .sin: Foundation.sin(x)
        case .cos: Foundation.cos(x)
        case .tan: Foundation.tan(x)
        case .asin: Foundation.asin(x)
        case .acos: Foundation.acos(x)
        case .atan: Foundation.atan(x)
        case .sinh: Foundation.sinh(x)
        case .cosh: Foundation.cosh(x)
        case .tanh: Foundation.tanh(x)
        case .asinh: Foundation.asinh(x)
        case .acosh: Foundation.acosh(x)
        case .atanh: Foundation.atanh(x)
        case .erf: Foundation.erf(x)
        // Functions of two or three, and of bits; listed so that a new function can't be forgotten here.
        case .add, .subtract, .multiply, .divide, .remainder, .maximum, .minimum, .fusedMultiplyAdd, .multiplyHigh, .power, .and, .or, .xor, .not,
            .shiftLeft, .shiftRight, .equal, .notEqual, .less, .lessEqual, .greater, .greaterEqual, .isNaN, .select, .convert, .bitcast: .nan
        }
    }

    private func integer(_ x: Scalar) -> Scalar {
        switch (self, x) {
        case (.negate, .integer(let v)): .integer(0 &- v)
        case (.negate, .unsigned(let v)): .unsigned(0 &- v)
        case (.absolute, .integer(let v)): .integer(v < 0 ? 0 &- v : v)
        case (.not, .integer(let v)): .integer(~v)
        case (.not, .unsigned(let v)): .unsigned(~v)
        default: x
        }
    }

    /// The value of a function of two elements of the same dtype.
    func evaluate(_ x: Scalar, _ y: Scalar, from source: DType, to dtype: DType) -> Scalar {
        switch (x, y) {
        case (.real(let a), .real(let b)):
            if isComparison { return .bool(compare(a, b)) }
            return .real(dtype.rounded(real(a, b)))
        case (.integer(let a), .integer(let b)):
            if isComparison { return .bool(compare(a, b)) }
            if self == .shiftLeft || self == .shiftRight { return .integer(shift(a, by: UInt64(bitPattern: b), dtype)).converted(to: dtype) }
            if self == .divide || self == .remainder { return .integer(quotient(a, b)).converted(to: dtype) }
            return .integer(integer(a, b)).converted(to: dtype)
        case (.unsigned(let a), .unsigned(let b)):
            if isComparison { return .bool(compare(a, b)) }
            return .unsigned(unsigned(a, b, dtype)).converted(to: dtype)
        case (.bool(let a), .bool(let b)):
            if isComparison { return .bool(compare(a ? 1 : 0, b ? 1 : 0)) }
            return .bool(truth(a, b))
        default: return .integer(0)
        }
    }

    private func compare<T: Comparable>(_ a: T, _ b: T) -> Bool {
        switch self {
        case .equal: a == b
        case .notEqual: a != b
        case .less: a < b
        case .lessEqual: a <= b
        case .greater: a > b
        default: a >= b
        }
    }

    private func real(_ a: Double, _ b: Double) -> Double {
        switch self {
        case .add: a + b
        case .subtract: a - b
        case .multiply: a * b
        case .divide: a / b
        case .remainder: Foundation.fmod(a, b)
        case .maximum: Double.propagatingMaximum(a, b)
        case .minimum: -Double.propagatingMaximum(-a, -b)
        case .power: Foundation.pow(a, b)
        default: .nan
        }
    }

    private func truth(_ a: Bool, _ b: Bool) -> Bool {
        switch self {
        case .and, .multiply, .minimum: a && b
        case .or, .add, .maximum: a || b
        default: a != b
        }
    }

    private func integer<T: FixedWidthInteger>(_ a: T, _ b: T) -> T {
        switch self {
        case .add: a &+ b
        case .subtract: a &- b
        case .multiply: a &* b
        case .maximum: Swift.max(a, b)
        case .minimum: Swift.min(a, b)
        case .power: T.wrappingPower(a, b)
        case .and: a & b
        case .or: a | b
        case .xor: a ^ b
        default: 0
        }
    }

    private func quotient(_ a: Int64, _ b: Int64) -> Int64 {
        if self == .divide { return b == 0 ? -1 : b == -1 ? 0 &- a : a / b }
        return b == 0 ? a : b == -1 ? 0 : a % b
    }

    private func unsigned(_ a: UInt64, _ b: UInt64, _ dtype: DType) -> UInt64 {
        switch self {
        case .divide: b == 0 ? .max : a / b
        case .remainder: b == 0 ? a : a % b
        case .multiplyHigh: dtype == .u64 ? a.multipliedFullWidth(by: b).high : (a &* b) >> UInt64(dtype.bitWidth)
        case .shiftLeft: b >= UInt64(dtype.bitWidth) ? 0 : a << b
        case .shiftRight: b >= UInt64(dtype.bitWidth) ? 0 : a >> b
        default: integer(a, b)
        }
    }

    /// A negative count is a great one.
    private func shift(_ a: Int64, by count: UInt64, _ dtype: DType) -> Int64 {
        let isBeyond = count >= UInt64(dtype.bitWidth)
        if self == .shiftLeft { return isBeyond ? 0 : a << Int64(count) }
        return isBeyond ? (a < 0 ? -1 : 0) : a >> Int64(count)
    }

    /// The value of a function of three elements.
    func evaluate(_ x: Scalar, _ y: Scalar, _ z: Scalar, to dtype: DType) -> Scalar {
        if self == .select { return x.isTrue ? y : z }
        switch (x, y, z) {
        case (.real(let a), .real(let b), .real(let c)):
            // The product of two f32 is exact in Double, but its sum with a third would be rounded twice.
            if dtype == .f64 { return .real(Foundation.fma(a, b, c)) }
            if dtype == .f32 { return .real(Double(Foundation.fma(Float(a), Float(b), Float(c)))) }
            return .real(dtype.rounded(a * b + c))
        case (.integer(let a), .integer(let b), .integer(let c)): return .integer(a &* b &+ c).converted(to: dtype)
        case (.unsigned(let a), .unsigned(let b), .unsigned(let c)): return .unsigned(a &* b &+ c).converted(to: dtype)
        default: return .integer(0)
        }
    }
}

extension Double {
    /// The greater; NaN where either is NaN; -0 is below +0.
    static func propagatingMaximum(_ a: Double, _ b: Double) -> Double {
        if a.isNaN { return a }
        if b.isNaN { return b }
        if a == b { return a.sign == .minus ? b : a }
        return a > b ? a : b
    }
}

extension FixedWidthInteger {
    /// The power, wrapped. A negative exponent gives what truncation leaves of the fraction: 1 for 1, ±1 for -1, else 0.
    static func wrappingPower(_ base: Self, _ exponent: Self) -> Self {
        if exponent < 0 {
            if base == 1 { return 1 }
            // Only -1 has a reciprocal that is an integer beside 1.
            if Self.isSigned, base == 0 &- 1 { return exponent & 1 == 0 ? 1 : base }
            return 0
        }
        var (result, square, left): (Self, Self, Self) = (1, base, exponent)
        while left != 0 {
            if left & 1 != 0 { result = result &* square }
            square = square &* square
            left >>= 1
        }
        return result
    }
}
