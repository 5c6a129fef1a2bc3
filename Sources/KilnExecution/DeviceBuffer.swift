// Memory for a tensor's elements: a size comes in, a 64-byte aligned block goes out that is given back when nobody holds it.
import KilnRuntime

/// A block of memory, 64-byte aligned, contents undefined until written.
///
/// Buffers are written once, by who makes them, and only read afterwards; that is why they may be shared between threads.
public final class DeviceBuffer: @unchecked Sendable {
    public let pointer: UnsafeMutableRawPointer
    public let byteCount: Int

    /// Throws where there is no memory.
    public init(byteCount: Int) throws {
        guard byteCount >= 0, let memory = kiln_buffer_allocate(Int64(byteCount)) else {
            throw RuntimeError(KILN_OUT_OF_MEMORY, message: "a buffer of \(byteCount) bytes")
        }
        pointer = memory
        self.byteCount = byteCount
    }

    deinit { kiln_buffer_free(pointer) }

    /// A buffer with a copy of the given bytes.
    public convenience init(copying bytes: UnsafeRawBufferPointer) throws {
        try self.init(byteCount: bytes.count)
        if let source = bytes.baseAddress { pointer.copyMemory(from: source, byteCount: bytes.count) }
    }

    public var bytes: UnsafeRawBufferPointer { UnsafeRawBufferPointer(start: pointer, count: byteCount) }
    public var mutableBytes: UnsafeMutableRawBufferPointer { UnsafeMutableRawBufferPointer(start: pointer, count: byteCount) }
}

/// What buffers take, in bytes.
public struct MemoryStatistics: Sendable {
    /// In use by tensors.
    public let live: Int
    /// The most that was in use since the last trim.
    public let peak: Int
    /// Kept for reuse.
    public let cached: Int
    /// How many buffers are in use.
    public let liveCount: Int
    /// Scratch memory of calls, in use or kept.
    public let arenas: Int

    public static var current: MemoryStatistics {
        let stats = kiln_buffer_stats()
        return MemoryStatistics(live: Int(stats.live), peak: Int(stats.peak), cached: Int(stats.cached),
                                liveCount: Int(stats.live_count), arenas: Int(stats.arenas))
    }

    /// Gives all memory that is kept for reuse back to the system.
    public static func trim() { kiln_buffer_trim() }
}

/// The runtime's threads.
public enum Threads {
    /// How many threads a call uses at most, the caller's own included.
    public static var count: Int { Int(kiln_threads()) }
    /// Sets the number of threads; 0 for all that the process may use. Results don't depend on it.
    public static func set(_ count: Int) throws { try RuntimeError.check(kiln_set_threads(Int64(count))) }
}
