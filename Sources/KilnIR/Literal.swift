// A dense tensor value held by the compiler: constants of a graph, files' contents, and the interpreter's values.

/// A dense, row-major tensor of constant shape.
public struct Literal: Hashable, Sendable {
    public let dtype: DType
    public let shape: [Int]
    public private(set) var bytes: [UInt8]

    /// - Precondition: `bytes.count` is the element count times the element's size.
    public init(_ dtype: DType, _ shape: [Int], bytes: [UInt8]) {
        precondition(bytes.count == shape.reduce(1, *) * dtype.byteCount, "a literal's bytes must fit its shape")
        self.dtype = dtype
        self.shape = shape
        self.bytes = bytes
    }

    public init(_ dtype: DType, _ shape: [Int], scalars: [Scalar]) {
        self.init(dtype, shape, bytes: [UInt8](repeating: 0, count: shape.reduce(1, *) * dtype.byteCount))
        for (position, scalar) in scalars.enumerated() { self[position] = scalar }
    }

    public init(_ dtype: DType, _ shape: [Int], repeating scalar: Scalar) {
        let count = shape.reduce(1, *)
        self.init(dtype, shape, scalars: Array(repeating: scalar, count: count))
    }

    public init(_ dtype: DType, _ shape: [Int], doubles: [Double]) {
        self.init(dtype, shape, scalars: doubles.map { Scalar.real($0).converted(to: dtype) })
    }

    public var count: Int { shape.reduce(1, *) }
    public var type: TensorType { TensorType(dtype, shape.map { .constant($0) }) }

    /// The elements as Doubles, rounded where they must be.
    public var doubles: [Double] { (0..<count).map { self[$0].double } }
    public var scalars: [Scalar] { (0..<count).map { self[$0] } }

    public func reshaped(_ shape: [Int]) -> Literal { Literal(dtype, shape, bytes: bytes) }

    /// The element at a row-major position. Setting rounds to nearest even, and wraps integers.
    public subscript(position: Int) -> Scalar {
        get {
            switch dtype {
            case .bool: .bool(bytes[position] != 0)
            case .i8: .integer(Int64(load(position) as Int8))
            case .i16: .integer(Int64(load(position) as Int16))
            case .i32: .integer(Int64(load(position) as Int32))
            case .i64: .integer(load(position) as Int64)
            case .u8: .unsigned(UInt64(load(position) as UInt8))
            case .u16: .unsigned(UInt64(load(position) as UInt16))
            case .u32: .unsigned(UInt64(load(position) as UInt32))
            case .u64: .unsigned(load(position) as UInt64)
            case .f16: .real(Double(load(position) as Float16))
            case .bf16: .real(Double(Float(bitPattern: UInt32(load(position) as UInt16) << 16)))
            case .f32: .real(Double(load(position) as Float))
            case .f64: .real(load(position) as Double)
            case .f8e4m3, .f8e5m2: .real(Float8(dtype).value(bytes[position]))
            }
        }
        set {
            switch dtype {
            case .bool: bytes[position] = newValue.isTrue ? 1 : 0
            case .i8: store(position, Int8(truncatingIfNeeded: newValue.int64))
            case .i16: store(position, Int16(truncatingIfNeeded: newValue.int64))
            case .i32: store(position, Int32(truncatingIfNeeded: newValue.int64))
            case .i64: store(position, newValue.int64)
            case .u8: store(position, UInt8(truncatingIfNeeded: newValue.int64))
            case .u16: store(position, UInt16(truncatingIfNeeded: newValue.int64))
            case .u32: store(position, UInt32(truncatingIfNeeded: newValue.int64))
            case .u64: store(position, UInt64(bitPattern: newValue.int64))
            case .f16: store(position, Float16(newValue.double))
            case .bf16: store(position, bfloat16Bits(newValue.double))
            case .f32: store(position, Float(newValue.double))
            case .f64: store(position, newValue.double)
            case .f8e4m3, .f8e5m2: bytes[position] = Float8(dtype).bits(newValue.double)
            }
        }
    }

    private func load<T: BitwiseCopyable>(_ position: Int) -> T {
        bytes.withUnsafeBytes { $0.loadUnaligned(fromByteOffset: position * MemoryLayout<T>.size, as: T.self) }
    }

    private mutating func store<T: BitwiseCopyable>(_ position: Int, _ value: T) {
        bytes.withUnsafeMutableBytes { $0.storeBytes(of: value, toByteOffset: position * MemoryLayout<T>.size, as: T.self) }
    }
}

/// The bfloat16 nearest to a Double, ties to even, rounded once.
public func bfloat16Bits(_ value: Double) -> UInt16 {
    if value.isNaN { return 0x7FC0 | (value.sign == .minus ? 0x8000 : 0) }
    // Rounding to odd in f32 first keeps the second rounding from seeing a false tie.
    let nearest = Float(value)
    var bits = nearest.bitPattern
    if nearest.isFinite, Double(nearest) != value {
        let towardZero = abs(Double(nearest)) > abs(value) ? bits - 1 : bits
        bits = towardZero | 1
    }
    if bits & 0x7F80_0000 == 0x7F80_0000 { return UInt16(bits >> 16) }
    return UInt16(truncatingIfNeeded: (bits &+ 0x7FFF &+ ((bits >> 16) & 1)) >> 16)
}
