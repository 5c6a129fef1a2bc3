// What a phase's statements touch: which buffers, whether the worker's scratch, and whether stores may stream.

import KilnIR
import KilnKernels

extension Phase {
    /// The buffers that the phase reads or writes.
    var buffersUsed: Set<Int> {
        var used: Set<Int> = []
        body.forEach { statement in
            statement.visit {
                if case .buffer(let number) = $0 { used.insert(number) }
            }
        }
        return used
    }

    var usesWorkspace: Bool {
        body.contains { $0.contains { if case .local(let local) = $0, case .workspace = local.storage { true } else { false } } }
    }

    /// Whether a streaming store goes to memory of the caller's, whose alignment is only known at run time.
    func streams(in program: Program) -> Bool {
        body.contains {
            $0.contains {
                guard case .store(let access, _, true) = $0, case .buffer(let number) = access.memory,
                    program.buffers.indices.contains(number) else { return false }
                return !program.buffers[number].isOwnMemory
            }
        }
    }

    /// How much code it is, for sharing the work of generating it.
    var weight: Int { body.reduce(0) { $0 + $1.weight } }
}

extension Statement {
    /// The statements directly inside.
    var children: [Statement] {
        switch self {
        case .local, .define, .bind, .store, .atomic, .team: []
        case .loop(let loop): loop.body
        case .lanes(_, _, _, let body): body
        case .branch(_, let then, let otherwise): then + otherwise
        }
    }

    func contains(_ matches: (Statement) -> Bool) -> Bool { matches(self) || children.contains { $0.contains(matches) } }

    /// Calls `memory` with each memory that is read or written.
    func visit(_ memory: (Memory) -> Void) {
        switch self {
        case .define(_, .load(let access, _)), .store(let access, _, _): memory(access.memory)
        case .define(_, .reduceLanes(_, let source, _, _)): memory(source)
        case .atomic(_, let access, _), .team(.copy(_, let access, _)): memory(access.memory)
        default: for child in children { child.visit(memory) }
        }
    }

    var weight: Int {
        var total = 1
        for child in children { total += child.weight }
        if case .loop(let loop) = self, loop.kind == .unrolled, let low = loop.lower.constant, let high = loop.upper.constant {
            total *= max(1, (high - low + loop.step - 1) / loop.step)
        }
        return total
    }
}
