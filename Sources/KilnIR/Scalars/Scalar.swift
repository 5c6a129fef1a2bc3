// A single number or truth value as the compiler holds it; equality is by bits, so NaN equals itself and -0 differs from 0.

/// A constant element.
public enum Scalar: Hashable, Sendable {
    case bool(Bool)
    case integer(Int64)
    case unsigned(UInt64)
    case real(Double)

    /// The value as a Double, rounded where it must be.
    public var double: Double {
        switch self {
        case .bool(let b): b ? 1 : 0
        case .integer(let i): Double(i)
        case .unsigned(let u): Double(u)
        case .real(let r): r
        }
    }

    /// The value as a 64-bit integer: unsigned values keep their bits, reals truncate and saturate, NaN is zero.
    public var int64: Int64 {
        switch self {
        case .bool(let b): b ? 1 : 0
        case .integer(let i): i
        case .unsigned(let u): Int64(bitPattern: u)
        case .real(let r): r.isNaN ? 0 : Int64(exactly: r.rounded(.towardZero)) ?? (r > 0 ? .max : .min)
        }
    }

    public var isTrue: Bool {
        switch self {
        case .bool(let b): b
        case .integer(let i): i != 0
        case .unsigned(let u): u != 0
        case .real(let r): r != 0
        }
    }

    public static func == (a: Scalar, b: Scalar) -> Bool {
        switch (a, b) {
        case (.bool(let x), .bool(let y)): x == y
        case (.integer(let x), .integer(let y)): x == y
        case (.unsigned(let x), .unsigned(let y)): x == y
        case (.real(let x), .real(let y)): x.bitPattern == y.bitPattern
        default: false
        }
    }

    public func hash(into hasher: inout Hasher) {
        switch self {
        case .bool(let b): hasher.combine(b)
        case .integer(let i): hasher.combine(i)
        case .unsigned(let u): hasher.combine(u)
        case .real(let r): hasher.combine(r.bitPattern)
        }
    }
}

extension Scalar: ExpressibleByFloatLiteral, ExpressibleByIntegerLiteral, ExpressibleByBooleanLiteral {
    public init(floatLiteral value: Double) { self = .real(value) }
    public init(integerLiteral value: Int64) { self = .integer(value) }
    public init(booleanLiteral value: Bool) { self = .bool(value) }
}
