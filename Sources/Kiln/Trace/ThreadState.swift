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
    /// What this thread made and has not computed.
    let pending = PendingList()
    var counters = Counters()
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

/// Whether operations on this thread track gradients now.
public var isGradEnabled: Bool { ThreadState.current.tracksGradients }
