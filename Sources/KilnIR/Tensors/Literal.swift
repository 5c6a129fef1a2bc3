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
        self.init(dtype, shape, scalars: doubles.map { Scalar.real($0) })
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

    /// The element at a row-major position. Setting converts to the dtype by the rule of `Scalar.converted(to:)`.
    public subscript(position: Int) -> Scalar {
        get {
            // A bool's byte may be any.
            if dtype == .bool { return .bool((load(position) as UInt8) != 0) }
            return switch dtype.byteCount {
            case 1: Scalar(bits: UInt64(load(position) as UInt8), dtype)
            case 2: Scalar(bits: UInt64(load(position) as UInt16), dtype)
            case 4: Scalar(bits: UInt64(load(position) as UInt32), dtype)
            default: Scalar(bits: load(position), dtype)
            }
        }
        set {
            let bits = newValue.converted(to: dtype).bits(dtype)
            switch dtype.byteCount {
            case 1: store(position, UInt8(truncatingIfNeeded: bits))
            case 2: store(position, UInt16(truncatingIfNeeded: bits))
            case 4: store(position, UInt32(truncatingIfNeeded: bits))
            default: store(position, bits)
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
