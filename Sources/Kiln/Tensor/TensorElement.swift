// The Swift types that tensors are made from and read into.
import KilnIR

/// A Swift type with a dtype.
public protocol TensorElement: BitwiseCopyable, Sendable {
    static var dtype: DType { get }
    /// The nearest value: floats truncate and saturate, integers wrap.
    init(_ scalar: Scalar)
    var asScalar: Scalar { get }
}

extension TensorElement where Self: SignedInteger & FixedWidthInteger {
    public init(_ scalar: Scalar) { self.init(truncatingIfNeeded: scalar.int64) }
    public var asScalar: Scalar { .integer(Int64(self)) }
}

extension TensorElement where Self: UnsignedInteger & FixedWidthInteger {
    public init(_ scalar: Scalar) { self.init(truncatingIfNeeded: scalar.int64) }
    public var asScalar: Scalar { .unsigned(UInt64(self)) }
}

extension TensorElement where Self: BinaryFloatingPoint {
    public init(_ scalar: Scalar) { self.init(scalar.double) }
    public var asScalar: Scalar { .real(Double(self)) }
}

extension Bool: TensorElement {
    public static var dtype: DType { .bool }
    public init(_ scalar: Scalar) { self = scalar.isTrue }
    public var asScalar: Scalar { .bool(self) }
}

extension Int8: TensorElement { public static var dtype: DType { .i8 } }
extension Int16: TensorElement { public static var dtype: DType { .i16 } }
extension Int32: TensorElement { public static var dtype: DType { .i32 } }
extension Int64: TensorElement { public static var dtype: DType { .i64 } }
extension Int: TensorElement { public static var dtype: DType { .i64 } }
extension UInt8: TensorElement { public static var dtype: DType { .u8 } }
extension UInt16: TensorElement { public static var dtype: DType { .u16 } }
extension UInt32: TensorElement { public static var dtype: DType { .u32 } }
extension UInt64: TensorElement { public static var dtype: DType { .u64 } }
extension UInt: TensorElement { public static var dtype: DType { .u64 } }
#if !(os(macOS) && arch(x86_64))
extension Float16: TensorElement { public static var dtype: DType { .f16 } }
#endif
extension Float: TensorElement { public static var dtype: DType { .f32 } }
extension Double: TensorElement { public static var dtype: DType { .f64 } }
