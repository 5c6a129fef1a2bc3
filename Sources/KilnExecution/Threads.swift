// The threads that calls use.
import KilnRuntime

/// The runtime's threads.
public enum Threads {
    /// How many threads a call uses at most, the caller's own included.
    public static var count: Int { Int(kiln_threads()) }
    /// Sets the number of threads; 0 for all that the process may use. Results don't depend on it.
    public static func set(_ count: Int) throws { try RuntimeError.check(kiln_set_threads(Int64(count))) }
}
