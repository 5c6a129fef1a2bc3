// Logic on bools, and the bits of integers. Shifts by the width or more, and by negative counts, give zero or the sign.

import KilnIR

extension Elementwise {
    static let bits = [and, or, xor, not, shl, shr, mulhi]
    private static let logical = [DType.bool] + DType.integers
}

extension Elementwise {
    public static let and = binary("and", logical, meaning: { $0(.and, $1) }, whole: { x, _ in x[0] & x[1] })
}
extension Operand {
    public static func & (a: Self, b: Self) -> Self { broadcasting(Elementwise.and, a, b) }
    public static func & (a: Self, b: some ScalarConvertible) -> Self { broadcasting(Elementwise.and, a, b) }
}

extension Elementwise {
    public static let or = binary("or", logical, meaning: { $0(.or, $1) }, whole: { x, _ in x[0] | x[1] })
}
extension Operand {
    public static func | (a: Self, b: Self) -> Self { broadcasting(Elementwise.or, a, b) }
    public static func | (a: Self, b: some ScalarConvertible) -> Self { broadcasting(Elementwise.or, a, b) }
}

extension Elementwise {
    public static let xor = binary("xor", logical, meaning: { $0(.xor, $1) }, whole: { x, _ in x[0] ^ x[1] })
}
extension Operand {
    public static func ^ (a: Self, b: Self) -> Self { broadcasting(Elementwise.xor, a, b) }
    public static func ^ (a: Self, b: some ScalarConvertible) -> Self { broadcasting(Elementwise.xor, a, b) }
}

extension Elementwise {
    public static let not = unary("not", logical, meaning: { $0(.not) }, whole: { ~$0 })
}
extension Operand {
    /// The opposite of a bool, the complement of an integer's bits.
    public static prefix func ~ (x: Self) -> Self { x.applying(Elementwise.not, at: .unknown) }
    public static prefix func .! (x: Self) -> Self { x.applying(Elementwise.not, at: .unknown) }
    public func logicalNot(file: StaticString = #fileID, line: UInt = #line) -> Self { applying(Elementwise.not, file, line) }
}

extension Elementwise {
    public static let shl = binary("shl", DType.integers, meaning: { $0(.shiftLeft, $1) },
                                   whole: { x, dtype in x[1] < 0 || x[1] >= dtype.bitWidth ? 0 : x[0] << x[1] })
}
extension Operand {
    public static func << (a: Self, b: Self) -> Self { broadcasting(Elementwise.shl, a, b) }
    public static func << (a: Self, b: some ScalarConvertible) -> Self { broadcasting(Elementwise.shl, a, b) }
}

extension Elementwise {
    public static let shr = binary("shr", DType.integers, meaning: { $0(.shiftRight, $1) },
                                   whole: { x, dtype in x[1] < 0 || x[1] >= dtype.bitWidth ? (x[0] < 0 ? -1 : 0) : x[0] >> x[1] })
}
extension Operand {
    public static func >> (a: Self, b: Self) -> Self { broadcasting(Elementwise.shr, a, b) }
    public static func >> (a: Self, b: some ScalarConvertible) -> Self { broadcasting(Elementwise.shr, a, b) }
}

extension Elementwise {
    /// The high half of the product of unsigned integers.
    public static let mulhi = binary("mulhi", [.u32, .u64], meaning: { $0(.multiplyHigh, $1) },
                                     whole: { x, dtype in Int128(truncatingIfNeeded: (UInt128(x[0]) * UInt128(x[1])) >> dtype.bitWidth) })
}
extension Operand {
    public func multiplyHigh(_ other: Self, file: StaticString = #fileID, line: UInt = #line) -> Self {
        Self.broadcasting(Elementwise.mulhi, self, other, at: SourceLocation(file, line))
    }
}
