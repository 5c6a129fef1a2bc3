// Threads and tasks: tensors that are made on one and dropped or read on another, what is computed once, and traces that nobody reads.
import Foundation
import Kiln
import Synchronization
import Testing

/// Tensors handed from one thread to another, of which at most eight wait.
private final class Queue: @unchecked Sendable {
    private let condition = NSCondition()
    private var waiting: [Tensor] = []

    func push(_ tensor: Tensor) {
        condition.lock()
        while waiting.count >= 8 { condition.wait() }
        waiting.append(tensor)
        condition.signal()
        condition.unlock()
    }

    func pop() -> Tensor {
        condition.lock()
        while waiting.isEmpty { condition.wait() }
        let tensor = waiting.removeFirst()
        condition.signal()
        condition.unlock()
        return tensor
    }
}

/// Runs closures on threads of their own, and waits for them.
private func onThreads(_ bodies: [@Sendable () -> Void]) async {
    await withCheckedContinuation { (done: CheckedContinuation<Void, Never>) in
        let left = Mutex(bodies.count)
        for body in bodies {
            Thread.detachNewThread {
                body()
                let isLast = left.withLock { count in
                    count -= 1
                    return count == 0
                }
                if isLast { done.resume() }
            }
        }
    }
}

@Suite struct ThreadTests {
    @Test func tensorsAreDroppedOnAnotherThread() async {
        let queue = Queue()
        let wrong = Mutex(0)
        let total = 10_000
        await onThreads([
            {
                for i in 0..<total {
                    let x = Tensor([Double(i), 1])
                    queue.push(x + 1)
                    if i % 100 == 0, (try? (x * 2).sum().item()) != Double(2 * i + 2) { wrong.withLock { $0 += 1 } }
                }
            },
            {
                for i in 0..<total {
                    let y = queue.pop()
                    if i % 100 == 50, (try? y.array()) != [Double(i + 1), 2] { wrong.withLock { $0 += 1 } }
                    if i % 100 == 0, (try? (y - 1).sum().item()) != Double(i + 1) { wrong.withLock { $0 += 1 } }
                }
            },
        ])
        #expect(wrong.withLock { $0 } == 0)
    }

    @Test func whatTwoThreadsReadIsComputedOnce() async {
        for _ in 0..<20 {
            let y = (Tensor([1.0, 2, 3]) * 3 + 1).exp().log()
            let evaluations = Mutex(0)
            let body: @Sendable () -> Void = {
                let before = statistics.evaluations
                let isRight = (try? y.sum().item()).map { abs($0 - 21) < 1e-4 } ?? false
                let other = try? y.array()
                evaluations.withLock { $0 += isRight && other?.count == 3 ? statistics.evaluations - before : 100 }
            }
            await onThreads([body, body, body])
            // One call for each thread's own sum; y goes with the first, or by itself.
            #expect(evaluations.withLock { $0 } <= 6)
        }
    }

    @Test func historiesAreDroppedWhileTheyAreComputed() async {
        // A thread lets go of chains whose nodes another thread is computing, and cuts off from their history.
        let wrong = Mutex(0)
        for _ in 0..<50 {
            let x = Tensor([1.0, 2])
            var y = x
            for _ in 0..<20 { y = y + 1 }
            let ends = [y * 2, y * 3, y * 4]
            let held = Mutex<[Tensor]>(ends)
            let last = y
            y = x
            await onThreads([
                { if (try? last.array()) != [21, 22] { wrong.withLock { $0 += 1 } } },
                { held.withLock { $0 = [] } },
            ])
        }
        #expect(wrong.withLock { $0 } == 0)
    }

    @Test func tasksKeepWhatIsPendingOverAwait() async throws {
        let x = Tensor([1.0, 2])
        func make() -> (Tensor, () -> Bool) {
            let inner = x * 3
            return (inner + 1, inner.lifetimeProbe)
        }
        let (y, isInnerHeld) = make()
        #expect(isInnerHeld())
        for _ in 0..<4 { await Task.detached { try? await Task.sleep(for: .milliseconds(1)) }.value }
        #expect(try (x + 5).array() == [6, 7])
        // y was pending in the same task, and was computed in the same call.
        #expect(!isInnerHeld())
        #expect(try y.array() == [4, 7])
    }

    @Test func tracesThatNobodyReadsAreComputed() throws {
        let before = statistics
        var x = Tensor([1.0])
        var probes: [() -> Bool] = []
        try withPendingLimit(100) { () throws in
            for _ in 0..<1000 {
                x = x + 1
                probes.append(x.lifetimeProbe)
            }
            #expect(probes.filter { $0() }.count <= 101)
            #expect(try x.item() == 1001)
        }
        #expect(statistics.compilations - before.compilations <= 3)
        #expect(statistics.evaluations - before.evaluations >= 9)
    }

    @Test func gradientsOfFlushedTracesAreRight() throws {
        let w = Tensor([2.0]).requiringGrad()
        try withPendingLimit(10) { () throws in
            var y = w
            for _ in 0..<30 { y = y * 1.5 - y * 0.5 }
            try y.sum().backward()
            #expect(try w.grad?.item() == 1)
        }
    }

    @Test func capturedFunctionsAreCalledByThreads() async throws {
        nonisolated(unsafe) let f = jit { (xs: [Tensor]) in [(xs[0] * 2).sum()] }
        let wrong = Mutex(0)
        let body: @Sendable () -> Void = {
            for i in 0..<20 where (try? f([Tensor([Double(i), 1])])[0].item()) != Double(2 * i + 2) { wrong.withLock { $0 += 1 } }
        }
        await onThreads([body, body, body])
        #expect(wrong.withLock { $0 } == 0)
        #expect(f.captures == 1)
    }
}
