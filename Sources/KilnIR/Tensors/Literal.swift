// A dense tensor value held by the compiler: constants of a graph, files' contents, and the interpreter's values.

#if canImport(Glibc)
import Glibc
#elseif canImport(Musl)
import Musl
#else
import Darwin
#endif

/// A dense, row-major tensor of constant shape. Its bytes are its own, or part of a region that others share; a write makes them its own.
public struct Literal: Sendable {
    public let dtype: DType
    public let shape: [Int]
    public let byteCount: Int
    /// The bytes, where they are no region's.
    private var own: [UInt8]
    private var region: ByteRegion?
    /// Where in the region.
    private var offset = 0

    /// - Precondition: `bytes.count` is the element count times the element's size.
    public init(_ dtype: DType, _ shape: [Int], bytes: [UInt8]) {
        precondition(bytes.count == shape.reduce(1, *) * dtype.byteCount, "a literal's bytes must fit its shape")
        (self.dtype, self.shape, byteCount, own) = (dtype, shape, bytes.count, bytes)
    }

    /// The bytes of a region from an offset on, which need not be aligned, without a copy. (Bools that are neither 0 nor 1 are copied as 1.)
    /// - Precondition: the region has as many bytes there as the elements take.
    public init(_ dtype: DType, _ shape: [Int], region: ByteRegion, offset: Int = 0) {
        let byteCount = shape.reduce(1, *) * dtype.byteCount
        precondition(offset >= 0 && byteCount <= region.count - offset, "a literal's bytes must be in its region")
        (self.dtype, self.shape, self.byteCount, own) = (dtype, shape, byteCount, [])
        if dtype == .bool, region.bytes[offset..<offset + byteCount].contains(where: { $0 > 1 }) {
            own = region.bytes[offset..<offset + byteCount].map { $0 == 0 ? 0 : 1 }
        } else { (self.region, self.offset) = (region, offset) }
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

    private init(_ literal: Literal, _ shape: [Int]) {
        precondition(shape.reduce(1, *) == literal.count, "a literal's bytes must fit its shape")
        (dtype, self.shape, byteCount) = (literal.dtype, shape, literal.byteCount)
        (own, region, offset) = (literal.own, literal.region, literal.offset)
    }

    public var count: Int { shape.reduce(1, *) }
    public var type: TensorType { TensorType(dtype, shape.map { .constant($0) }) }

    /// The bytes as they lie in memory, without a copy; they may begin anywhere.
    public func withUnsafeBytes<Result>(_ body: (UnsafeRawBufferPointer) throws -> Result) rethrows -> Result {
        guard let region else { return try own.withUnsafeBytes(body) }
        return try withExtendedLifetime(region) { try body(UnsafeRawBufferPointer(rebasing: region.bytes[offset..<offset + byteCount])) }
    }

    /// Says that the bytes will not be needed soon, as they were copied: those of a mapped file need not stay in memory then.
    package func forget() { region?.forget(offset..<offset + byteCount) }

    /// Where the bytes are for as long as this literal, or a copy of it, lives and is not written.
    package var lastingAddress: UnsafeRawPointer? {
        // An array's elements stay in place while the array is held and nobody writes to it.
        withUnsafeBytes { $0.baseAddress }
    }

    /// The bytes as an array; a copy where they are a region's.
    public var bytes: [UInt8] { region == nil ? own : withUnsafeBytes { [UInt8]($0) } }

    /// The elements as Doubles, rounded where they must be.
    public var doubles: [Double] { (0..<count).map { self[$0].double } }
    public var scalars: [Scalar] { (0..<count).map { self[$0] } }

    /// The same bytes in another shape of as many elements.
    public func reshaped(_ shape: [Int]) -> Literal { Literal(self, shape) }

    /// The element at a row-major position. Setting rounds to nearest even, and wraps integers.
    public subscript(position: Int) -> Scalar {
        get {
            switch dtype {
            case .bool: .bool((load(position) as UInt8) != 0)
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
            case .f8e4m3, .f8e5m2: .real(Float8(dtype).value(load(position)))
            }
        }
        set {
            switch dtype {
            case .bool: store(position, newValue.isTrue ? 1 : 0 as UInt8)
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
            case .f8e4m3, .f8e5m2: store(position, Float8(dtype).bits(newValue.double))
            }
        }
    }

    private func load<T: BitwiseCopyable>(_ position: Int) -> T {
        withUnsafeBytes { $0.loadUnaligned(fromByteOffset: position * MemoryLayout<T>.size, as: T.self) }
    }

    private mutating func store<T: BitwiseCopyable>(_ position: Int, _ value: T) {
        if region != nil { (own, region) = (bytes, nil) }
        own.withUnsafeMutableBytes { $0.storeBytes(of: value, toByteOffset: position * MemoryLayout<T>.size, as: T.self) }
    }
}

extension Literal: Hashable {
    /// Equal to the bit. Literals that share their bytes are compared without a look at them.
    public static func == (a: Literal, b: Literal) -> Bool {
        guard a.dtype == b.dtype, a.shape == b.shape else { return false }
        return a.withUnsafeBytes { a in
            b.withUnsafeBytes { b in a.baseAddress == b.baseAddress || a.isEmpty || memcmp(a.baseAddress!, b.baseAddress!, a.count) == 0 }
        }
    }

    /// Of long literals only the beginning and the end count.
    public func hash(into hasher: inout Hasher) {
        hasher.combine(dtype)
        hasher.combine(shape)
        withUnsafeBytes { bytes in
            hasher.combine(bytes: UnsafeRawBufferPointer(rebasing: bytes.prefix(64)))
            if bytes.count > 64 { hasher.combine(bytes: UnsafeRawBufferPointer(rebasing: bytes.suffix(64))) }
        }
    }

    /// The number that all elements are, to the bit; nil where they differ or there are none.
    package var uniform: Scalar? {
        withUnsafeBytes { bytes in
            let size = dtype.byteCount
            guard bytes.count >= size, let start = bytes.baseAddress else { return nil }
            return memcmp(start, start + size, bytes.count - size) == 0 ? self[0] : nil
        }
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
