// Memory that somebody else owns, such as a mapped file: an address, a size and the owner come in; literals share it without copies.

/// Bytes that stay where they are and what they are for as long as the region lives.
public final class ByteRegion: @unchecked Sendable {
    // The bytes are never written, and the owner is only held.
    public let bytes: UnsafeRawBufferPointer
    private let owner: AnyObject?
    private let forget: (@Sendable (UnsafeRawBufferPointer) -> Void)?

    /// - Parameters:
    ///   - bytes: may begin anywhere; they must not change while the region lives.
    ///   - owner: what keeps the bytes there, released with the region.
    ///   - forget: frees the memory of bytes that can be had again, such as a file's, until somebody reads them.
    public init(_ bytes: UnsafeRawBufferPointer, owner: AnyObject?, forget: (@Sendable (UnsafeRawBufferPointer) -> Void)? = nil) {
        self.bytes = bytes
        self.owner = owner
        self.forget = forget
    }

    /// A region with a copy of the bytes.
    public convenience init(copying bytes: [UInt8]) {
        let copy = OwnMemory(bytes)
        self.init(UnsafeRawBufferPointer(copy.memory), owner: copy)
    }

    public var start: UnsafeRawPointer? { bytes.baseAddress }
    public var count: Int { bytes.count }

    /// Says that bytes which were read will not be needed soon.
    func forget(_ range: Range<Int>) { forget?(UnsafeRawBufferPointer(rebasing: bytes[range])) }
}

private final class OwnMemory {
    let memory: UnsafeMutableRawBufferPointer

    init(_ bytes: [UInt8]) {
        memory = .allocate(byteCount: bytes.count, alignment: 64)
        memory.copyBytes(from: bytes)
    }

    deinit { memory.deallocate() }
}
