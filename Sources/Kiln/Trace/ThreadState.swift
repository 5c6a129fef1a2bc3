// What holds for the code that a thread is running now: whether gradients are tracked, and the function under capture.
import KilnIR

#if canImport(Glibc)
import Glibc
#elseif canImport(Musl)
import Musl
#else
import Darwin
#endif

/// A thread's own settings.
final class ThreadState {
    var tracksGradients = true
    /// The function that is being captured, innermost last.
    var captures: [Capture] = []
    private let ownList = PendingList()
    /// The asynchronous task that this thread ran last, and what it has pending.
    private var task = 0
    private var taskList: PendingList?
    /// How many ops are recorded before what is held is computed unasked; nil for any number.
    var pendingLimit: Int? = 50_000
    var counters = Counters()
    /// The user's line that called the layer which is running; nil outside of layers.
    private var caller: SourceLocation?
    /// Where tensors are made that are not told.
    var device = Device.cpu

    /// What was done on this thread.
    struct Counters {
        var compilations = 0
        var evaluations = 0
        var compileSeconds = 0.0
    }

    private static let key: pthread_key_t = {
        var key = pthread_key_t()
        pthread_key_create(&key) { memory in
            #if canImport(Darwin)
            Unmanaged<ThreadState>.fromOpaque(memory).release()
            #else
            if let memory { Unmanaged<ThreadState>.fromOpaque(memory).release() }
            #endif
        }
        return key
    }()

    /// The calling thread's.
    static var current: ThreadState {
        if let memory = pthread_getspecific(key) { return Unmanaged<ThreadState>.fromOpaque(memory).takeUnretainedValue() }
        let state = ThreadState()
        pthread_setspecific(key, Unmanaged.passRetained(state).toOpaque())
        return state
    }

    /// What the code that runs here made and has not computed: a task's own list goes with it from thread to thread.
    var pending: PendingList {
        guard let running = withUnsafeCurrentTask(body: { $0?.hashValue }) else { return ownList }
        if running == task, let taskList { return taskList }
        let list = Trace.shared.locked { Trace.shared.list(ofTask: running) }
        task = running
        taskList = list
        return list
    }

    /// Counts ops that were recorded, and computes what is held where they are too many: traces that nobody reads must not grow for ever.
    @inline(__always)
    func count(_ operations: Int, _ list: PendingList) {
        list.recorded += operations
        if let pendingLimit, list.recorded > pendingLimit { flush(list, pendingLimit) }
    }

    private func flush(_ list: PendingList, _ limit: Int) {
        let size = Trace.shared.locked {
            let nodes = list.nodes.filter(\.isPending)
            return nodes.isEmpty ? 0 : Structure(nodes).nodes.count
        }
        // Much of what was recorded may have been let go.
        list.recorded = size
        guard size > limit / 2, captures.isEmpty else { return }
        // What fails here fails again for whoever reads.
        try? Trace.shared.evaluateAll()
    }

    /// Runs `body` as called from a line of the user's; where a layer is called from within Kiln, the line of the call around it stays.
    @inline(__always)
    func called<T>(from location: SourceLocation, _ body: () throws -> T) rethrows -> T {
        let before = caller
        if before == nil || !location.isWithinKiln { caller = location }
        defer { caller = before }
        return try body()
    }

    /// The user's line for something that was recorded at a line, which may be one of a layer's.
    @inline(__always)
    func located(_ location: SourceLocation) -> SourceLocation {
        guard let caller, !location.isKnown || location.isWithinKiln else { return location }
        return caller
    }

    /// Runs `body` with gradients tracked or not.
    func tracking<T>(_ isTracking: Bool, _ body: () throws -> T) rethrows -> T {
        let before = tracksGradients
        tracksGradients = isTracking
        defer { tracksGradients = before }
        return try body()
    }
}

/// Runs `body` without tracking gradients: what it computes is cut off from the past.
///
/// In place updates of leaves that require gradients, such as an optimizer's, are made here.
public func noGrad<T>(_ body: () throws -> T) rethrows -> T { try ThreadState.current.tracking(false, body) }

/// Runs `body` with gradients tracked, also inside `noGrad`.
public func enableGrad<T>(_ body: () throws -> T) rethrows -> T { try ThreadState.current.tracking(true, body) }

/// Runs `body`, on this thread, with another number of operations that are recorded before everything that is held and pending is computed
/// unasked; nil records without end. It is 50,000 otherwise.
public func withPendingLimit<T>(_ operations: Int?, _ body: () throws -> T) rethrows -> T {
    let state = ThreadState.current
    let before = state.pendingLimit
    state.pendingLimit = operations
    defer { state.pendingLimit = before }
    return try body()
}

extension Trace {
    /// What a task has pending. Runs under the lock.
    fileprivate func list(ofTask task: Int) -> PendingList {
        if let known = taskLists[task] { return known }
        // Tasks that have nothing pending are forgotten; most have ended.
        if taskLists.count >= 256 { taskLists = taskLists.filter { !$0.value.isEmpty } }
        let list = PendingList()
        taskLists[task] = list
        return list
    }
}

/// Whether operations on this thread track gradients now.
public var isGradEnabled: Bool { ThreadState.current.tracksGradients }
