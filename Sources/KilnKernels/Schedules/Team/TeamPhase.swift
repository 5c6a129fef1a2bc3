// What all schedules for GPUs share: phases whose units are teams of threads, and memory that a team shares.

import KilnIR

/// The thread that a team's code is written for.
struct TeamThread {
    /// The number within the team.
    var number: Dim
    let threads: Int
    var warps: Int { threads / Team.warp }
}

extension GroupLowering {
    /// Threads of a team whose threads have nothing to do with one another.
    private static let independentThreads = 128

    /// Adds a phase of as many independent threads; the body gets the thread's number among all.
    func threadPhase(units: Dim, work: Dim, _ body: (Dim) throws -> Void) rethrows {
        let threads = Self.independentThreads
        try teamPhase(units: units.dividedUp(by: .constant(threads)), threads: threads, work: work) { unit, thread in
            let number = writer.bind(unit * .constant(threads) + thread.number)
            if let count = units.constant, count % threads == 0 { return try body(number) }
            try writer.branch([.isNonNegative(units - 1 - number)]) { try body(number) }
        }
    }

    /// Adds a phase whose units are teams; the body gets the unit's number and the thread.
    func teamPhase(units: Dim, threads: Int, work: Dim, resident: Int = 1, maps: [TensorMap] = [],
                   _ body: (Dim, TeamThread) throws -> Void) rethrows {
        let variable = writer.makeVariable()
        let thread = writer.makeVariable()
        writer.sharedBytes = 0
        let statements = try writer.block { try body(.index(variable), TeamThread(number: .index(thread), threads: threads)) }
        phases.append(Phase(variable: variable, units: units, work: work,
                            team: Team(variable: thread, threads: threads, resident: resident), maps: maps, body: statements))
    }

    /// Memory that the team of the phase being written shares; nothing else lies in the same place.
    func shared(_ dtype: DType, _ count: Int, alignment: Int = 16) -> Memory {
        let offset = (writer.sharedBytes + alignment - 1) / alignment * alignment
        writer.sharedBytes = offset + count * dtype.byteCount
        return writer.local(dtype, .constant(count), .shared(offset: offset))
    }

    func barrier() { writer.append(.team(.barrier)) }
}
