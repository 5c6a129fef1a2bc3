// ONNX's element types: their codes in files, their names, and the dtype in which Kiln carries each.

import KilnIR

/// An element type of ONNX; the raw value is its code in files.
public enum ElementType: Int32, CaseIterable, Hashable, Sendable {
    case float = 1
    case uint8, int8, uint16, int16, int32, int64, string, bool, float16, double, uint32, uint64, complex64, complex128, bfloat16
    case float8e4m3fn, float8e4m3fnuz, float8e5m2, float8e5m2fnuz, uint4, int4, float4e2m1, float8e8m0, uint2, int2

    /// The dtype whose elements stand for this type's. Types that Kiln has no arithmetic for are carried: 2- and 4-bit integers by value
    /// in 8 bits, small floats by their bits in u8 (`float4e2m1` in the low half). A string is a row of u8: its UTF-8, filled up with zeros along
    /// one axis more than the model has, the last (`Literal.init(texts:_:)`).
    public var dtype: DType? {
        switch self {
        case .float: .f32
        case .uint8: .u8
        case .int8: .i8
        case .uint16: .u16
        case .int16: .i16
        case .int32: .i32
        case .int64: .i64
        case .bool: .bool
        case .float16: .f16
        case .double: .f64
        case .uint32: .u32
        case .uint64: .u64
        case .bfloat16: .bf16
        case .float8e4m3fn: .f8e4m3
        case .float8e5m2: .f8e5m2
        case .float8e4m3fnuz, .float8e5m2fnuz, .float8e8m0, .float4e2m1, .uint4, .uint2, .string: .u8
        case .int4, .int2: .i8
        case .complex64, .complex128: nil
        }
    }

    /// Whether Kiln's dtype is this very type, so that its arithmetic applies.
    public var isNative: Bool {
        switch self {
        case .float8e4m3fnuz, .float8e5m2fnuz, .float8e8m0, .float4e2m1, .uint4, .int4, .uint2, .int2, .string, .complex64, .complex128: false
        default: true
        }
    }

    /// Bits of an element in a file.
    public var bitWidth: Int {
        switch self {
        case .uint2, .int2: 2
        case .uint4, .int4, .float4e2m1: 4
        case .string: 0
        case .complex64: 64
        case .complex128: 128
        default: (dtype?.byteCount ?? 0) * 8
        }
    }

    /// The type that a dtype stands for by itself.
    public init(_ dtype: DType) {
        switch dtype {
        case .bool: self = .bool
        case .i8: self = .int8
        case .i16: self = .int16
        case .i32: self = .int32
        case .i64: self = .int64
        case .u8: self = .uint8
        case .u16: self = .uint16
        case .u32: self = .uint32
        case .u64: self = .uint64
        case .f16: self = .float16
        case .bf16: self = .bfloat16
        case .f32: self = .float
        case .f64: self = .double
        case .f8e4m3: self = .float8e4m3fn
        case .f8e5m2: self = .float8e5m2
        }
    }
}
