// The element types of tensors: what each is (its class, its bits, a float's format), and its name and code, from one description.
//
// A new dtype is a case here with its description. What else names dtypes one by one, and so is touched with it:
//
//     KilnIR/Scalars      Scalar+Conversion (its bits, where Swift has no such type and it is no 8-bit float)
//     KilnLLVM            Module (LLVM's type); FunctionEmitter+Convert or +Float8 where its conversions differ
//     Kiln/Files          Safetensors, SafetensorsHeader (its name in files)
//     KilnONNX/Elements   ElementType, ElementType+Conversion, SmallFloat (ONNX's code for it); TensorReader where models store it
//     Runtime             kiln_types.h, dims.c (its code and name), cuda_module.c (the driver's code)
//
// and where tensor cores multiply it: ThreadBlock and HopperPlan, GPUSupport and FunctionEmitter+ThreadBlockPTX, Contract (its samples).
// ArchitectureTests holds this list against the sources.

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

    /// What kind of number a dtype holds.
    public enum Kind: Hashable, Sendable, CaseIterable {
        case bool
        /// Integers in two's complement, and from 0 up.
        case signed, unsigned
        case float
    }

    /// How the bits of a float are shared out.
    public struct FloatFormat: Hashable, Sendable {
        public var exponentBits: Int
        /// Without the one that is not stored.
        public var fractionBits: Int
        /// The greatest number of a format that has no infinity.
        public var greatest: Double?

        /// Bits of the significand, with the one that is not stored.
        public var precision: Int { fractionBits + 1 }
    }

    /// All that follows from which dtype it is.
    private struct Description {
        var name: String
        var kind: Kind
        var bitWidth: Int
        var format: FloatFormat?
    }

    private var whole: Description {
        func integer(_ name: String, _ kind: Kind, _ bits: Int) -> Description { Description(name: name, kind: kind, bitWidth: bits) }
        func float(_ name: String, _ exponent: Int, _ fraction: Int, greatest: Double? = nil) -> Description {
            Description(name: name, kind: .float, bitWidth: 1 + exponent + fraction,
                        format: FloatFormat(exponentBits: exponent, fractionBits: fraction, greatest: greatest))
        }
        return switch self {
        case .bool: integer("bool", .bool, 1)
        case .i8: integer("i8", .signed, 8)
        case .i16: integer("i16", .signed, 16)
        case .i32: integer("i32", .signed, 32)
        case .i64: integer("i64", .signed, 64)
        case .u8: integer("u8", .unsigned, 8)
        case .u16: integer("u16", .unsigned, 16)
        case .u32: integer("u32", .unsigned, 32)
        case .u64: integer("u64", .unsigned, 64)
        case .f16: float("f16", 5, 10)
        case .bf16: float("bf16", 8, 7)
        case .f32: float("f32", 8, 23)
        case .f64: float("f64", 11, 52)
        case .f8e4m3: float("f8e4m3", 4, 3, greatest: 448)
        case .f8e5m2: float("f8e5m2", 5, 2)
        }
    }

    // By code, so that asking costs a look.
    private static let names = allCases.map(\.whole.name)
    private static let kinds = allCases.map(\.whole.kind)
    private static let widths = allCases.map(\.whole.bitWidth)
    private static let formats = allCases.map(\.whole.format)
    private static let byName = Dictionary(uniqueKeysWithValues: allCases.map { ($0.whole.name, $0) })

    /// The name in Kiln's text, such as `f32`.
    public var name: String { Self.names[Int(rawValue)] }

    /// The type with the given name in Kiln's text.
    public init?(name: some StringProtocol) {
        guard let dtype = Self.byName[String(name)] else { return nil }
        self = dtype
    }

    public var kind: Kind { Self.kinds[Int(rawValue)] }
    /// Bits of an element's value.
    public var bitWidth: Int { Self.widths[Int(rawValue)] }
    /// How a float's bits are shared out; nil for what is no float.
    public var format: FloatFormat? { Self.formats[Int(rawValue)] }
    /// Bytes an element occupies in memory; a bool takes one.
    public var byteCount: Int { (bitWidth + 7) / 8 }

    public var isFloat: Bool { kind == .float }
    /// Whether this is a float narrower than f32. Kernels compute in f32 and round to it once.
    public var isNarrowFloat: Bool { isFloat && bitWidth < 32 }
    public var isInteger: Bool { kind == .signed || kind == .unsigned }
    public var isSigned: Bool { kind == .signed || kind == .float }
    public var isUnsigned: Bool { kind == .unsigned }

    public static let floats: [DType] = [.f16, .bf16, .f32, .f64]
    /// Floats to keep and to multiply; arithmetic takes place in wider ones.
    public static let floats8: [DType] = allCases.filter { $0.isFloat && $0.bitWidth == 8 }
    public static let integers: [DType] = allCases.filter(\.isInteger)
    public static let numbers: [DType] = integers + floats
    public static let all: [DType] = [.bool] + numbers + floats8
}

extension DType: CustomStringConvertible {
    public var description: String { name }
}

extension DType {
    /// What no element is less than.
    package var least: Scalar {
        switch kind {
        case .bool: .bool(false)
        case .signed: .integer(.min >> Int64(64 - bitWidth))
        case .unsigned: .unsigned(0)
        case .float: .real(-(format?.greatest ?? .infinity))
        }
    }

    /// What no element is greater than.
    package var greatest: Scalar {
        switch kind {
        case .bool: .bool(true)
        case .signed: .integer(.max >> Int64(64 - bitWidth))
        case .unsigned: .unsigned(.max >> UInt64(64 - bitWidth))
        case .float: .real(format?.greatest ?? .infinity)
        }
    }
}
