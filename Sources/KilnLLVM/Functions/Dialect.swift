// What the leaves of a function's code become: loads, stores and what threads do together. All else is emitted alike, so that
// the kernels that tests run on the emulated grid are those that travel to a GPU.

import CLLVM
import KilnIR
import KilnKernels

enum Dialect {
    /// The host's own code: a CPU's task, or an entry.
    case host
    /// A kernel in PTX.
    case ptx(GPU)
    /// A kernel in the host's code that calls the emulator; its first parameter is the emulated thread that runs.
    case emulated(GPU)

    var isHost: Bool { if case .host = self { true } else { false } }
    var isPTX: Bool { if case .ptx = self { true } else { false } }
}

/// Where a memory lies, as far as instructions differ.
enum AddressSpace: Int {
    /// The host's memory, or a thread's own.
    case generic = 0
    /// A GPU's memory that all work items see.
    case global = 1
    /// A work item's memory.
    case shared = 3
}

extension Target {
    var isPTX: Bool { triple.hasPrefix("nvptx") }
    var isEmulated: Bool { gpu != nil && !isPTX }
    /// What the symbols of the target's code start with.
    func prefix(_ program: String) -> String { gpu.map { "\(program)_\(isEmulated ? "emulated_" : "")\($0.name)" } ?? program }
}
