// Which schedule a group's kernel is written by: one table for the host, one for GPUs.
// A schedule without workspace serves both: on a GPU each of its units is a thread's (`threadPhase`).

import KilnIR
import KilnPasses

extension GroupLowering {
    /// Writes the group's phases.
    func lower(_ kind: Fuse.Kind) throws {
        if target.gpu != nil { try lowerForTeams(kind) } else { try lowerForThreads(kind) }
    }

    private func lowerForThreads(_ kind: Fuse.Kind) throws {
        switch kind {
        case .pointwise: try pointwise()
        case .rows: try rows()
        case .contraction: try contraction()
        case .attention: try attention()
        case .scan: try scan()
        case .scatter: try scatter()
        case .sort: try sort()
        }
    }

    private func lowerForTeams(_ kind: Fuse.Kind) throws {
        switch kind {
        case .pointwise: try teamPointwise()
        case .rows: try rows()
        case .contraction: if try !hopperContraction() { try contraction() }
        case .attention: try attention()
        case .scan: try teamScan()
        case .scatter: try teamScatter()
        case .sort: try sort()
        }
    }
}
