// What all jobs found, gathered from several threads, and the table of it.

import Foundation

final class Results: @unchecked Sendable {
    private let lock = NSLock()
    private(set) var kernels: [KernelUse] = []
    private(set) var failures: [String] = []
    /// Kernels that may not spill, and do.
    var spilling: [KernelUse] { kernels.filter { $0.isStrict && $0.spillBytes > 0 } }

    func add(_ found: [KernelUse], _ problems: [String]) {
        lock.withLock {
            kernels += found
            failures += problems
        }
    }

    func printTable() {
        func row(_ columns: [String]) {
            let padded = zip(columns, [26, 8, 8, 10, 8, 8, 8]).map { $0.count < $1 ? $0 + String(repeating: " ", count: $1 - $0.count) : $0 + " " }
            print(padded.joined().trimmingCharacters(in: .whitespaces))
        }
        row(["schedule", "GPU", "kernels", "registers", "shared", "stack", "spilled"])
        let groups = Dictionary(grouping: kernels) { "\($0.schedule) \($0.target)" }
        for (_, list) in groups.sorted(by: { $0.key < $1.key }) {
            func most(_ value: (KernelUse) -> Int) -> String { String(list.map(value).max() ?? 0) }
            row([list[0].schedule, list[0].target, String(list.count), most(\.registers), most(\.sharedBytes), most(\.stackBytes), most(\.spillBytes)])
        }
        for kernel in spilling { print("FAILED \(kernel.source): \(kernel.name): \(kernel.use)") }
    }
}
