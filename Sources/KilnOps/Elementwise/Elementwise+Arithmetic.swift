// Sums, products, quotients, powers, and what is greater. Integers wrap; division by zero gives all bits set.

import Foundation
import KilnIR

extension Elementwise {
    static let arithmetic = [neg, abs, sign, square, add, sub, mul, div, rem, pow, max, min, fma]
}

extension Elementwise {
    public static let neg = unary("neg", DType.numbers, meaning: { -$0 }, real: { -$0 }, whole: { 0 - $0 }, partial: { _, _ in .minusOne })
}
extension Operand {
    public static prefix func - (x: Self) -> Self { x.applying(Elementwise.neg, at: .unknown) }
}

extension Elementwise {
    public static let abs = unary(
        "abs", DType.numbers, domains: 0.5...2, -2 ... -0.5, meaning: { $0.abs() },
        real: { Swift.abs($0) }, whole: { $0 < 0 ? -$0 : $0 }, derivative: { x, _ in x.sign() })
}
extension Operand {
    public func abs(file: StaticString = #fileID, line: UInt = #line) -> Self { applying(Elementwise.abs, file, line) }
}

extension Elementwise {
    /// -1, 0 or 1; zeros keep their sign, and NaN stays.
    public static let sign = unary(
        "sign", DType.numbers, domains: 0.5...2, -2 ... -0.5,
        meaning: { x in (x > 0).select(1, x.dtype.isUnsigned ? x : (x < 0).select(-1, x)) },
        real: { $0 > 0 ? 1 : $0 < 0 ? -1 : $0 }, whole: { $0.signum() })
}
extension Operand {
    public func sign(file: StaticString = #fileID, line: UInt = #line) -> Self { applying(Elementwise.sign, file, line) }
}

extension Elementwise {
    public static let square = unary("square", DType.numbers, meaning: { $0 * $0 }, real: { $0 * $0 }, whole: { $0 &* $0 },
                                     derivative: { x, _ in x * 2 })
}
extension Operand {
    public func square(file: StaticString = #fileID, line: UInt = #line) -> Self { applying(Elementwise.square, file, line) }
}

extension Elementwise {
    public static let add = binary("add", meaning: { $0 + $1 }, real: { $0 + $1 }, whole: { x, _ in x[0] + x[1] },
                                   partials: { _, _, _ in (.one, .one) })
}
extension Operand {
    public static func + (a: Self, b: Self) -> Self { broadcasting(Elementwise.add, a, b) }
    public static func + (a: Self, b: some ScalarConvertible) -> Self { broadcasting(Elementwise.add, a, b) }
    public static func + (a: some ScalarConvertible, b: Self) -> Self { broadcasting(Elementwise.add, a, b) }
}

extension Elementwise {
    public static let sub = binary("sub", meaning: { $0 - $1 }, real: { $0 - $1 }, whole: { x, _ in x[0] - x[1] },
                                   partials: { _, _, _ in (.one, .minusOne) })
}
extension Operand {
    public static func - (a: Self, b: Self) -> Self { broadcasting(Elementwise.sub, a, b) }
    public static func - (a: Self, b: some ScalarConvertible) -> Self { broadcasting(Elementwise.sub, a, b) }
    public static func - (a: some ScalarConvertible, b: Self) -> Self { broadcasting(Elementwise.sub, a, b) }
}

extension Elementwise {
    public static let mul = binary("mul", meaning: { $0 * $1 }, real: { $0 * $1 }, whole: { x, _ in x[0] &* x[1] },
                                   partials: { a, b, _ in (.times(b), .times(a)) })
}
extension Operand {
    public static func * (a: Self, b: Self) -> Self { broadcasting(Elementwise.mul, a, b) }
    public static func * (a: Self, b: some ScalarConvertible) -> Self { broadcasting(Elementwise.mul, a, b) }
    public static func * (a: some ScalarConvertible, b: Self) -> Self { broadcasting(Elementwise.mul, a, b) }
}

extension Elementwise {
    /// The quotient; integers' truncates.
    public static let div = binary(
        "div", domains: 0.5...2, meaning: { $0 / $1 }, real: { $0 / $1 }, whole: { x, _ in x[1] == 0 ? -1 : x[0] / x[1] },
        partials: { _, b, y in (.times(b.reciprocal()), .times(-(y / b))) })
}
extension Operand {
    /// The quotient. Integers divide as Swift's do: toward zero.
    public static func / (a: Self, b: Self) -> Self { broadcasting(Elementwise.div, a, b) }
    public static func / (a: Self, b: some ScalarConvertible) -> Self { broadcasting(Elementwise.div, a, b) }
    public static func / (a: some ScalarConvertible, b: Self) -> Self { broadcasting(Elementwise.div, a, b) }
}

extension Elementwise {
    /// What the truncated quotient leaves, with the dividend's sign; exact. Not smooth where the quotient is whole.
    public static let rem = binary(
        "rem", domains: 1.1...1.9, meaning: { $0(.remainder, $1) }, real: { Foundation.fmod($0, $1) },
        whole: { x, _ in x[1] == 0 ? x[0] : x[0] % x[1] },
        partials: { a, b, _ in (.one, .times(-(a / b).trunc())) })
}
extension Operand {
    /// The remainder with the dividend's sign, as Swift's.
    public static func % (a: Self, b: Self) -> Self { broadcasting(Elementwise.rem, a, b) }
    public static func % (a: Self, b: some ScalarConvertible) -> Self { broadcasting(Elementwise.rem, a, b) }
}

extension Elementwise {
    public static let pow = binary(
        "pow", ulp: 0.51, domains: 0.5...2, meaning: { $0.dtype.isFloat ? $0(.power, $1) : wholePower($0, $1) },
        real: { Foundation.pow($0, $1) }, whole: { x, _ in Int128.wrappingPower(x[0], x[1]) },
        partials: { a, b, y in
            // 0^b does not change with b, and a^0 does not change with a; the logarithm of what is not chosen must stay finite.
            let isZero = a .== 0
            let slope = (b .== 0).select(0, b * a.pow((b .== 0).select(1, b) - 1))
            let growth = (isZero & (b .>= 0)).select(0, y * (isZero & (b .>= 0)).select(1, a).log())
            return (.times(slope), .times(growth))
        })

    /// Repeated squaring over all bits of the exponent. A negative exponent leaves ±1 for ±1 and truncates to 0 otherwise.
    private static func wholePower(_ base: ScalarTerm, _ exponent: ScalarTerm) -> ScalarTerm {
        let dtype = base.dtype
        var (result, power) = (base.constant(1), base)
        for bit in 0..<(dtype.isSigned ? dtype.bitWidth - 1 : dtype.bitWidth) {
            let mask = base.constant(.integer(1 << Int64(bit)))
            result = result * exponent(.and, mask)(.notEqual, base.constant(0)).select(power, 1)
            power = power * power
        }
        if dtype.isUnsigned { return result }
        let isUnit = base.equals(base.constant(1))(.or, base.equals(base.constant(-1)))
        return (exponent < 0)(.and, isUnit(.not)).select(0, result)
    }
}
extension Operand {
    public func pow(_ exponent: Self, file: StaticString = #fileID, line: UInt = #line) -> Self {
        Self.broadcasting(Elementwise.pow, self, exponent, at: SourceLocation(file, line))
    }
    /// The power; squares, cubes, roots and reciprocals are spelled as such.
    public func pow(_ exponent: some ScalarConvertible, file: StaticString = #fileID, line: UInt = #line) -> Self {
        let at = SourceLocation(file, line)
        switch exponent.scalar.double {
        case 1: return self
        case 2: return applying(Elementwise.square, at: at)
        case 3: return Self.broadcasting(Elementwise.mul, applying(Elementwise.square, at: at), self, at: at)
        case 0.5 where dtype.isFloat: return applying(Elementwise.sqrt, at: at)
        case -0.5 where dtype.isFloat: return applying(Elementwise.rsqrt, at: at)
        case -1 where dtype.isFloat: return applying(Elementwise.reciprocal, at: at)
        default: return Self.broadcasting(Elementwise.pow, self, exponent, at: at)
        }
    }
}

extension Elementwise {
    /// The greater; NaN where either is NaN. Equal operands share the gradient.
    public static let max = binary(
        "max", meaning: { $0(.maximum, $1) }, real: { a, b in a.isNaN || b.isNaN ? .nan : a == b ? (a.sign == .minus ? b : a) : Swift.max(a, b) },
        whole: { x, _ in Swift.max(x[0], x[1]) },
        partials: { a, b, _ in (.times(share(a .> b, a .== b, a.dtype)), .times(share(b .> a, a .== b, a.dtype))) })

    /// The lesser; NaN where either is NaN. Equal operands share the gradient.
    public static let min = binary(
        "min", meaning: { $0(.minimum, $1) }, real: { a, b in a.isNaN || b.isNaN ? .nan : a == b ? (a.sign == .minus ? a : b) : Swift.min(a, b) },
        whole: { x, _ in Swift.min(x[0], x[1]) },
        partials: { a, b, _ in (.times(share(a .< b, a .== b, a.dtype)), .times(share(b .< a, a .== b, a.dtype))) })

    private static func share(_ wins: Value, _ ties: Value, _ dtype: DType) -> Value {
        wins.cast(to: dtype) + ties.cast(to: dtype) * 0.5
    }
}
extension Operand {
    public func maximum(_ other: Self, file: StaticString = #fileID, line: UInt = #line) -> Self {
        Self.broadcasting(Elementwise.max, self, other, at: SourceLocation(file, line))
    }
    public func maximum(_ other: some ScalarConvertible, file: StaticString = #fileID, line: UInt = #line) -> Self {
        Self.broadcasting(Elementwise.max, self, other, at: SourceLocation(file, line))
    }
    public func minimum(_ other: Self, file: StaticString = #fileID, line: UInt = #line) -> Self {
        Self.broadcasting(Elementwise.min, self, other, at: SourceLocation(file, line))
    }
    public func minimum(_ other: some ScalarConvertible, file: StaticString = #fileID, line: UInt = #line) -> Self {
        Self.broadcasting(Elementwise.min, self, other, at: SourceLocation(file, line))
    }
}

extension Elementwise {
    /// `a * b + c`, rounded once.
    public static let fma = define(
        "fma", operands: 3, DType.numbers, ulp: 1, meaning: { $0[0].dtype.isFloat ? $0[0].fma($0[1], $0[2]) : $0[0] * $0[1] + $0[2] },
        real: { Foundation.fma($0[0], $0[1], $0[2]) }, whole: { x, _ in x[0] &* x[1] &+ x[2] },
        partials: { x, _ in [.times(x[1]), .times(x[0]), .one] })
}
extension Operand {
    /// `self * b + c`, rounded once; the three have one type.
    public func fma(_ b: Self, _ c: Self, file: StaticString = #fileID, line: UInt = #line) -> Self {
        .apply(Elementwise.fma, self, b, c, at: SourceLocation(file, line))
    }
}
