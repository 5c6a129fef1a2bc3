// What buffers take on the host: nothing comes in, counts of bytes go out.
import KilnRuntime

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
