// Work on several threads: pieces with their weights come in, their results in the pieces' order go out.

import Dispatch
import Foundation

/// Runs `body` for each piece on up to `threads` threads (0: as many as the process may use), the heaviest first. The first error in the
/// pieces' order is thrown.
func concurrently<T: Sendable>(_ weights: [Int], threads: Int, _ body: @Sendable (Int) throws -> T) rethrows -> [T] {
    let lanes = min(threads > 0 ? threads : ProcessInfo.processInfo.activeProcessorCount, weights.count)
    if lanes <= 1 { return try weights.indices.map(body) }
    let queue = WorkQueue<Result<T, any Error>>(weights)
    DispatchQueue.concurrentPerform(iterations: lanes) { _ in
        while let piece = queue.next() { queue.finish(piece, Result { try body(piece) }) }
    }
    return try queue.results.map { try $0.get() }
}

/// Pieces that threads take and finish.
private final class WorkQueue<T>: @unchecked Sendable {
    // Everything below is used under the lock, and by one thread alone when all is done.
    private let lock = DispatchSemaphore(value: 1)
    private var waiting: ArraySlice<Int>
    private var finished: [T?]

    init(_ weights: [Int]) {
        waiting = weights.indices.sorted { (weights[$1], $0) < (weights[$0], $1) }[...]
        finished = Array(repeating: nil, count: weights.count)
    }

    func next() -> Int? {
        lock.wait()
        defer { lock.signal() }
        return waiting.popFirst()
    }

    func finish(_ piece: Int, _ result: T) {
        lock.wait()
        finished[piece] = result
        lock.signal()
    }

    /// All results, in order.
    var results: [T] { finished.compactMap { $0 } }
}
