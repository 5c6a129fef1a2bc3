// Tensors used by several threads at once, for the thread and address sanitizers: makers, readers and droppers, training beside inference,
// captured functions, batches. Prints one line for each scene, then "N passed, N failed".
import Foundation
import Kiln
import Synchronization

/// Tensors handed from one thread to another, of which at most eight wait.
final class Queue: @unchecked Sendable {
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
func onThreads(_ bodies: [@Sendable () -> Void]) {
    let group = NSCondition()
    let left = Mutex(bodies.count)
    for body in bodies {
        Thread.detachNewThread {
            body()
            group.lock()
            left.withLock { $0 -= 1 }
            group.signal()
            group.unlock()
        }
    }
    group.lock()
    while left.withLock({ $0 }) > 0 { group.wait() }
    group.unlock()
}

/// What went wrong, by any thread.
final class Failures: Sendable {
    private let count = Mutex(0)
    func expect(_ isRight: Bool) { if !isRight { count.withLock { $0 += 1 } } }
    var isEmpty: Bool { count.withLock { $0 } == 0 }
}

/// 10,000 tensors made on one thread and dropped on another, while both evaluate.
func droppedElsewhere(_ failures: Failures) {
    let queue = Queue(), total = 10_000
    onThreads([
        {
            for i in 0..<total {
                let x = Tensor([Double(i), 1])
                queue.push(x + 1)
                if i % 100 == 0 { failures.expect((try? (x * 2).sum().item()) == Double(2 * i + 2)) }
            }
        },
        {
            for i in 0..<total {
                let y = queue.pop()
                if i % 100 == 50 { failures.expect((try? y.array()) == [Double(i + 1), 2]) }
                if i % 100 == 0 { failures.expect((try? (y - 1).sum().item()) == Double(i + 1)) }
            }
        },
    ])
}

/// Several threads read one pending tensor, and one lets go of what hangs on it.
func readTogether(_ failures: Failures) {
    for _ in 0..<50 {
        var y = Tensor([1.0, 2])
        for _ in 0..<20 { y = y + 1 }
        let shared = y
        let ends = Mutex([y * 2, y * 3])
        let read: @Sendable () -> Void = { failures.expect((try? shared.array()) == [21, 22]) }
        onThreads([read, read, { ends.withLock { $0 = [] } }])
    }
}

/// One thread trains while others use another model.
func trainedBesideInference(_ failures: Failures) {
    let x = Tensor.rand([8, 4]), y = Tensor.rand([8, 1])
    let weight = Tensor.rand([4, 3])
    onThreads([
        {
            let model = Sequential(Linear(4, 8), Tanh(), Linear(8, 1))
            let optimizer = AdamW(model.parameters, learningRate: 0.01)
            for _ in 0..<30 {
                let loss = mseLoss(model(x), y)
                optimizer.zeroGrad()
                failures.expect((try? loss.backward()) != nil)
                failures.expect((try? optimizer.step()) != nil)
            }
        },
        { for i in 0..<60 { failures.expect((try? (x.matmul(weight) + Double(i)).relu().sum().item()) != nil) } },
        { for _ in 0..<60 { failures.expect((try? x.softmax(1).sum().item()).map { abs($0 - 8) < 1e-4 } ?? false) } },
    ])
}

/// One captured function for all threads.
func capturedForAll(_ failures: Failures) {
    nonisolated(unsafe) let f = jit { (xs: [Tensor]) in [(xs[0] * 2).sum()] }
    let call: @Sendable () -> Void = {
        for i in 0..<40 { failures.expect((try? f([Tensor([Double(i), 1])])[0].item()) == Double(2 * i + 2)) }
    }
    onThreads([call, call, call])
    failures.expect(f.captures == 1)
}

/// Batches made on one thread for another.
func batchesForAnother(_ failures: Failures) {
    let queue = Queue(), data = Tensor.arange(0.0, 400, step: 1).reshape(100, 4)
    onThreads([
        { for _ in 0..<10 { for batch in DataLoader([data], batchSize: 10, shuffle: true, seed: 3) { queue.push(batch[0] / 2) } } },
        { for _ in 0..<100 { failures.expect((try? queue.pop().sum(1).array().count) == 10) } },
    ])
}

/// Mistakes that several threads read.
func mistakesForAll(_ failures: Failures) {
    let wrong = Tensor([1.0, 2]) + Tensor([1.0, 2, 3])
    let read: @Sendable () -> Void = { failures.expect(wrong.error != nil && (try? (wrong * 2).array()) == nil) }
    onThreads([read, read, read])
}

let scenes: [(name: String, run: (Failures) -> Void)] = [
    ("10,000 tensors dropped on another thread", droppedElsewhere), ("one tensor read by several threads", readTogether),
    ("training beside inference", trainedBesideInference), ("one captured function for all", capturedForAll),
    ("batches for another thread", batchesForAnother), ("mistakes read by several threads", mistakesForAll),
]
var failed = 0
for scene in scenes {
    let failures = Failures()
    scene.run(failures)
    print("\(failures.isEmpty ? "ok" : "FAILED"): \(scene.name)")
    if !failures.isEmpty { failed += 1 }
}
print("threads: \(scenes.count - failed) passed, \(failed) failed")
exit(failed == 0 ? 0 : 1)
