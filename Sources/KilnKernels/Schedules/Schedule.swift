// A schedule: a way in which the kernels of a group are written. In: a group of fused operations and a target; out: a plan, and from it loops.

import KilnIR

/// A plan for one group: what will be written, decided before any of it is.
///
/// A schedule is added by writing its type in a file of its own, and its name in one of the lists of `ScheduleTable`.
protocol Schedule: CustomStringConvertible {
    /// The plan, or nil where this schedule does not take the group; the next in the table is asked then.
    static func plan(_ group: GroupLowering, _ target: Target) throws -> Self?
    /// A rough number of scalar operations, by which plans can be compared.
    var cost: Dim { get }
    /// Writes the group's launches.
    func emit(into group: GroupLowering) throws
}

extension Schedule {
    /// The schedule and what it will cost, in one line.
    var description: String { "\(Self.self): about \(cost) operations" }
}

extension GroupLowering {
    /// The group's plan: the first that a schedule of the target's table has for it.
    func plan() throws -> any Schedule {
        for schedule in ScheduleTable.schedules(for: target) { if let plan = try schedule.plan(self, target) { return plan } }
        throw InternalError("schedule", "no schedule of \(target.processor) takes a group of the kind \(kind.rawValue)", context: region.name)
    }

    /// Writes the group's launches.
    func lower() throws { try plan().emit(into: self) }

    /// Scalar operations over a domain.
    func elementwiseCost(_ domain: Shape) -> Dim { domain.reduce(.constant(costPerElement), *) }

    /// The contraction that a contraction group is about.
    func contractionRoot() throws -> (contraction: Contraction, operation: Operation)? {
        guard kind == .contraction else { return nil }
        guard let position = table.forms.firstIndex(where: { if case .contract(let c) = $0 { !c.isUnrolled } else { false } }),
            case .contract(let contraction) = table.forms[position] else {
            throw InternalError("schedule", "a contraction group has no contraction", context: region.name)
        }
        return (contraction, region.operations[position])
    }
}
