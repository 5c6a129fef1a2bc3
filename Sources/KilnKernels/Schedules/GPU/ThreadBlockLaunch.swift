// What all schedules for GPUs share: launches whose work items are thread blocks, and memory that a thread block shares.

import KilnIR

/// The thread that a thread block's code is written for.
struct ThreadBlockThread {
    /// The number within the thread block.
    var number: Dim
    let threads: Int
    var warps: Int { threads / ThreadBlock.warp }
}

extension GroupLowering {
    /// Threads of a thread block whose threads have nothing to do with one another.
    private static let independentThreads = 128

    /// Adds a launch of as many independent threads; the body gets the thread's number among all.
    func threadLaunch(workItems: Dim, work: Dim, _ body: (Dim) throws -> Void) rethrows {
        let threads = Self.independentThreads
        try threadBlockLaunch(workItems: workItems.dividedUp(by: .constant(threads)), threads: threads, work: work) { workItem, thread in
            let number = writer.bind(workItem * .constant(threads) + thread.number)
            if let count = workItems.constant, count % threads == 0 { return try body(number) }
            try writer.branch([.isNonNegative(workItems - 1 - number)]) { try body(number) }
        }
    }

    /// Adds a launch whose work items are thread blocks; the body gets the work item's number and the thread.
    func threadBlockLaunch(workItems: Dim, threads: Int, work: Dim, resident: Int = 1, maps: [TensorMap] = [],
                   _ body: (Dim, ThreadBlockThread) throws -> Void) rethrows {
        let variable = writer.makeVariable()
        let thread = writer.makeVariable()
        writer.sharedBytes = 0
        let statements = try writer.block { try body(.index(variable), ThreadBlockThread(number: .index(thread), threads: threads)) }
        launches.append(KernelLaunch(variable: variable, workItems: workItems, work: work,
                            threadBlock: ThreadBlock(variable: thread, threads: threads, resident: resident), maps: maps, body: statements))
    }

    /// Memory that the thread block of the launch being written shares; nothing else lies in the same place.
    func shared(_ dtype: DType, _ count: Int, alignment: Int = 16) -> Memory {
        let offset = (writer.sharedBytes + alignment - 1) / alignment * alignment
        writer.sharedBytes = offset + count * dtype.byteCount
        return writer.local(dtype, .constant(count), .shared(offset: offset))
    }

    func barrier() { writer.append(.threadBlock(.barrier)) }
}
