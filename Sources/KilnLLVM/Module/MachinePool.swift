// Target machines that one compilation's threads share: making one takes LLVM half a millisecond, as it reads the list of features, and
// again for the first function that has them; a thread takes a machine for a module and hands it back for the next.

import KilnKernels
import Synchronization

/// Machines that are at hand, by what they are for.
final class MachinePool: Sendable {
    private struct Key: Hashable {
        var target: Target
        var isGlue: Bool
    }

    /// A machine is not thread-safe; in here nobody uses it.
    private struct Idle: @unchecked Sendable {
        var machines: [Key: [Machine]] = [:]
    }

    private let idle = Mutex(Idle())

    /// Calls the body with a machine that nobody else uses meanwhile.
    func withMachine<Result>(_ target: Target, isGlue: Bool, _ body: (Machine) throws -> Result) throws -> Result {
        let key = Key(target: target, isGlue: isGlue)
        let machine = try Self.taken(idle.withLock { Box($0.machines[key]?.popLast()) }, else: { try Machine(target, isGlue: isGlue) })
        defer {
            let box = Box(machine)
            idle.withLock { $0.machines[key, default: []].append(box.machine!) }
        }
        return try body(machine)
    }

    /// Carries a machine from one owner to the next.
    private struct Box: @unchecked Sendable {
        let machine: Machine?
        init(_ machine: Machine?) { self.machine = machine }
    }

    private static func taken(_ box: Box, else make: () throws -> Machine) rethrows -> Machine { try box.machine ?? make() }
}
