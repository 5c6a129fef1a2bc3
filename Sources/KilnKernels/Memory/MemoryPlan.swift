// The memory plan, from top to bottom: a draft, whose every value has a buffer of its own, comes in; buffers with their places in the arena,
// kernels on those buffers, and steps that move contents by exchanging addresses where they can, go out.

import KilnIR

/// How a draft's buffers share memory.
struct MemoryPlan {
    private var draft: ProgramDraft
    /// By kernel and launch.
    private let uses: [[BufferUse]]
    private let liveness: Liveness
    private var shared: SharedMemory
    /// By kernel that has launches of its own.
    private var pairs: [Int: ElementwisePairs] = [:]
    /// By the time of a move, what it becomes.
    private var orders: [Int: MoveOrder] = [:]
    /// Buffers whose addresses are exchanged with others', in the order in which they were met, and by each the first of those it is tied to.
    private var exchanged: [Int] = []
    private var ties: [Int: Int] = [:]
    /// Memory for sources that a copy would overwrite too early, by the move's time.
    private var stages: [Int: [Int: Int]] = [:]
    private var stageRanges: [Int: Range<Int>] = [:]

    /// - Parameter most: the most bytes that a size can be, over the symbols that are known before the call.
    static func make(_ draft: ProgramDraft, into program: inout Program, most: (Dim) throws -> Dim) throws {
        var plan = MemoryPlan(draft)
        plan.join { $0.isArena($1) && $0.isArena($2) }
        for (time, moves, endsRound) in plan.liveness.moves {
            for (one, other) in plan.order(moves, at: time, endsRound: endsRound)?.exchanges ?? [] { plan.tie(one, other) }
        }
        // Of what ends up in an output the memory is the output's, unless its address is exchanged, as an output's can't be.
        plan.join { [ties = plan.ties] in ties[$0.face($1)] == nil && ties[$0.face($2)] == nil }
        for (time, moves, endsRound) in plan.liveness.moves {
            guard let order = plan.order(moves, at: time, endsRound: endsRound) else { continue }
            plan.orders[time] = order
            plan.stage(order.staged, at: time)
        }
        try plan.write(to: &program, most)
    }

    private init(_ draft: ProgramDraft) {
        self.draft = draft
        uses = draft.uses()
        liveness = Liveness(draft, uses)
        shared = SharedMemory(draft, liveness)
    }

    // MARK: One memory for several buffers

    /// Joins results with operands that die where they are made, and what is moved with where it goes.
    private mutating func join(where mayJoin: (SharedMemory, Int, Int) -> Bool) {
        for kernel in draft.kernels.indices where draft.isElementwise[kernel] && draft.kernels[kernel].launches.count == 1 {
            guard let time = liveness.launches[kernel] else { continue }
            let (use, origin) = (uses[kernel][0], draft.origin(of: kernel))
            let operands = use.read.filter { draft.buffers[draft.buffer($0, in: kernel)].isWritable }
            if operands.isEmpty { continue }
            let pairs = self.pairs[origin] ?? ElementwisePairs(draft.kernels[origin].launches[0])
            self.pairs[origin] = pairs
            for result in use.written {
                let target = draft.buffer(result, in: kernel)
                _ = operands.first { operand in
                    let source = draft.buffer(operand, in: kernel)
                    return mayJoin(shared, source, target) && pairs.allows(operand, result) && shared.join(source, target, inPlaceAt: time)
                }
            }
        }
        for (_, moves, _) in liveness.moves {
            for move in moves where draft.buffers[move.source].isWritable && mayJoin(shared, move.source, move.target) {
                shared.join(move.source, move.target)
            }
        }
    }

    // MARK: Moves

    private func order(_ moves: [Move], at time: Int, endsRound: Bool) -> MoveOrder? {
        let moves = moves.map { Move(source: shared.face($0.source), target: shared.face($0.target)) }.filter { $0.source != $0.target }
        if moves.isEmpty { return nil }
        let targets = Set(moves.map(\.target))
        return MoveOrder(moves) { move in
            // Only between rounds: elsewhere a copy happens once, and memories that are exchanged are in use for as long as either is.
            endsRound && shared.isArena(move.source) && shared.isArena(move.target) && shared.haveOneSize(move.source, move.target)
                && (targets.contains(move.source) || !shared.isInUse(move.source, at: time + 1))
        }
    }

    /// Makes memory for sources that a copy would overwrite too early.
    private mutating func stage(_ sources: [Int], at time: Int) {
        for source in sources {
            let stage = draft.buffers.count
            draft.buffers.append(Buffer("t", draft.buffers[source].type, .arena(offset: 0)))
            if draft.inner.contains(source) { draft.inner.insert(stage) }
            stages[time, default: [:]][source] = stage
            stageRanges[stage] = time..<time + 2
        }
    }

    private func tie(of buffer: Int) -> Int {
        var node = buffer
        while let next = ties[node], next != node { node = next }
        return node
    }

    private mutating func tie(_ one: Int, _ other: Int) {
        for buffer in [one, other] where ties[buffer] == nil {
            ties[buffer] = buffer
            exchanged.append(buffer)
        }
        let (a, b) = (tie(of: one), tie(of: other))
        if a != b { ties[max(a, b)] = min(a, b) }
    }

    // MARK: Placing

    /// The memories of the arena: each alone, or those together that exchange addresses.
    private func memories() -> [(buffers: [Int], ranges: [Range<Int>])] {
        var tied: [Int: [Int]] = [:]
        for buffer in exchanged { tied[tie(of: buffer), default: []].append(buffer) }
        var memories: [(buffers: [Int], ranges: [Range<Int>])] = []
        for buffer in draft.buffers.indices {
            if let range = stageRanges[buffer] {
                memories.append(([buffer], [range]))
                continue
            }
            guard case .arena = draft.buffers[buffer].storage, shared.face(buffer) == buffer else { continue }
            if let list = tied[tie(of: buffer)] {
                guard tie(of: buffer) == buffer else { continue }
                memories.append((list, Liveness.merged(list.flatMap { shared.ranges(of: $0) })))
            } else { memories.append(([buffer], shared.ranges(of: buffer))) }
        }
        return memories.filter { !$0.ranges.isEmpty }
    }

    private mutating func write(to program: inout Program, _ most: (Dim) throws -> Dim) throws {
        let memories = memories()
        let sizes = try memories.map { memory in
            var size = try most(draft.buffers[memory.buffers[0]].type.byteCount).roundedUp(to: 64)
            if memory.buffers.contains(where: draft.inner.contains), !IndexRanges.isNonNegative(size) { size = Dim.maximum(size, 0) }
            return size
        }
        let arena = ArenaPlan(zip(memories, sizes).map { .init(size: $1 * .constant($0.buffers.count), ranges: $0.ranges) })
        for (number, memory) in memories.enumerated() {
            for (position, buffer) in memory.buffers.enumerated() {
                draft.buffers[buffer].storage = .arena(offset: arena.offsets[number] + sizes[number] * .constant(position))
            }
        }
        program.arenaSize = arena.size
        let isUsed = used(Set(memories.flatMap(\.buffers)))
        var numbers = Array(repeating: -1, count: draft.buffers.count)
        for (old, buffer) in draft.buffers.enumerated() where isUsed[old] {
            numbers[old] = program.buffers.count
            program.buffers.append(buffer)
        }
        for old in program.buffers.indices {
            switch program.buffers[old].storage {
            case .arena: program.buffers[old].name += ".\(old)"
            case .packed(var packing):
                packing.source = numbers[packing.source]
                program.buffers[old].storage = .packed(packing)
            case .input, .output, .constant, .status: break
            }
        }
        let number = { [shared, stageRanges] (old: Int) -> Int in numbers[stageRanges[old] == nil ? shared.face(old) : old] }
        let final = draft.buffers.indices.map(number)
        program.kernels = draft.kernels.enumerated().map { position, kernel in
            var kernel = kernel
            let own = draft.like[position]?.buffers
            kernel.launches = kernel.launches.map { $0.replacingBuffers { final[own?[$0] ?? $0] } }
            return kernel
        }
        program.likeness = likeness(final)
        var time = 0
        program.steps += steps(draft.steps, number, &time)
    }

    /// The kernels that are alike after the plan: one whose result lies in the place of an operand is another than one whose result does not.
    private func likeness(_ final: [Int]) -> KernelLikeness {
        var likeness = KernelLikeness()
        for (kernel, like) in draft.like {
            let named = uses[kernel].flatMap { $0.read + $0.written }
            let own = named.map { final[like.buffers[$0] ?? $0] }, others = named.map { final[$0] }
            if Set(zip(own, others).map { Pair(own: $0, other: $1) }).count == Set(own).count, Set(own).count == Set(others).count {
                likeness.likes[kernel] = (like.kernel, own, others)
            }
        }
        return likeness
    }

    private struct Pair: Hashable { let own, other: Int }

    /// Which buffers stay: all but those of the arena that another stands for, or that nothing is in.
    private func used(_ placed: Set<Int>) -> [Bool] {
        draft.buffers.indices.map { if case .arena = draft.buffers[$0].storage { placed.contains($0) } else { true } }
    }

    /// The steps, whose moves are met in the order of `Liveness`.
    private func steps(_ drafts: [Draft], _ number: (Int) -> Int, _ move: inout Int) -> [Step] {
        var steps: [Step] = []
        for draft in drafts {
            switch draft {
            case .launch(let kernel): steps.append(.launch(kernel))
            case .measure(let symbol, let source, let limit): steps.append(.measure(symbol: symbol, from: number(source), limit: limit))
            case .check(let condition, let message): steps.append(.check(condition, message: message))
            case .move:
                let time = liveness.moves[move].time
                move += 1
                guard let order = orders[time] else { continue }
                for (one, other) in order.exchanges { steps.append(.exchange(number(one), number(other))) }
                let stages = stages[time] ?? [:]
                for source in order.staged { steps.append(.copy(from: number(source), to: number(stages[source] ?? source))) }
                for copy in order.copies where !shared.isOne(copy.source, copy.target) {
                    steps.append(.copy(from: number(stages[copy.source] ?? copy.source), to: number(copy.target)))
                }
            case .branch(let condition, let then, let otherwise):
                let first = self.steps(then, number, &move)
                steps.append(.branch(condition: number(condition), then: first, otherwise: self.steps(otherwise, number, &move)))
            case .loop(let test, let condition, let body):
                let first = self.steps(test, number, &move)
                steps.append(.loop(test: first, condition: number(condition), body: self.steps(body, number, &move)))
            }
        }
        return steps
    }
}
