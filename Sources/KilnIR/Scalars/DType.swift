// The element types of tensors: their names in text, sizes, kinds and codes in the C ABI.

/// An element type.
public enum DType: UInt8, CaseIterable, Hashable, Sendable {
    case bool = 0
    case i8, i16, i32, i64
    case u8, u16, u32, u64
    case f16, bf16, f32, f64
    /// A sign, four bits of exponent, three of fraction: up to 448, NaN, no infinity (OCP's E4M3, ONNX's FLOAT8E4M3FN).
    case f8e4m3
    /// A sign, five bits of exponent, two of fraction: the upper half of an f16.
    case f8e5m2

    /// The name in Kiln's text, such as `f32`.
    public var name: String { Self.names[Int(rawValue)] }

    private static let names = ["bool", "i8", "i16", "i32", "i64", "u8", "u16", "u32", "u64", "f16", "bf16", "f32", "f64",
                                "f8e4m3", "f8e5m2"]

    /// The type with the given name in Kiln's text.
    public init?(name: some StringProtocol) {
        guard let code = Self.names.firstIndex(where: { $0 == name }) else { return nil }
        self.init(rawValue: UInt8(code))
    }

    /// Bytes an element occupies in memory; a bool takes one.
    public var byteCount: Int {
        switch self {
        case .bool, .i8, .u8, .f8e4m3, .f8e5m2: 1
        case .i16, .u16, .f16, .bf16: 2
        case .i32, .u32, .f32: 4
        case .i64, .u64, .f64: 8
        }
    }

    public var isFloat: Bool { self >= .f16 }
    /// Whether this is a float narrower than f32. Kernels compute in f32 and round to it once.
    public var isNarrowFloat: Bool { isFloat && self != .f32 && self != .f64 }
    public var isInteger: Bool { self >= .i8 && self <= .u64 }
    public var isSigned: Bool { self >= .i8 && self <= .i64 || isFloat }
    public var isUnsigned: Bool { self >= .u8 && self <= .u64 }

    /// Bits of an element's value.
    public var bitWidth: Int { self == .bool ? 1 : byteCount * 8 }

    public static let floats: [DType] = [.f16, .bf16, .f32, .f64]
    /// Floats to keep and to multiply; arithmetic takes place in wider ones.
    public static let floats8: [DType] = [.f8e4m3, .f8e5m2]
    public static let integers: [DType] = [.i8, .i16, .i32, .i64, .u8, .u16, .u32, .u64]
    public static let numbers: [DType] = integers + floats
    public static let all: [DType] = [.bool] + numbers + floats8
}

extension DType: Comparable {
    public static func < (a: DType, b: DType) -> Bool { a.rawValue < b.rawValue }
}

extension DType: CustomStringConvertible {
    public var description: String { name }
}
