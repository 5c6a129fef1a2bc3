// Scatters whose updates are many and whose free axes are few: the target's places are cut into ranges, each with an owner. First the
// updates are sorted by owner, in their order (a counting sort); then each owner applies its own, one after the other.
//
//     updates   | part 0     | part 1     | …          1. counts[part][owner]
//     order     | owner 0's: part 0, part 1 … | owner 1's: …      2. where each part's begin   3. the updates' numbers
//     target    | range of owner 0 | range of owner 1 | …          4. updates, owner by owner

import KilnIR

/// The axes of a scatter's updates by what becomes of them.
struct ScatterAxes {
    var coordinates: [Coordinate]
    var operands: [ValueID]
    var target: TensorType
    var axes: [DomainAxis]
    /// Free axes that work items are laid over, and the one that lanes run along.
    var outer: [Int]
    var lanesAxis: Int?
    /// Axes on which updates may meet.
    var serial: [Int]

    var variables: [Dim] { axes.map(\.variable) }
    func size(_ numbers: [Int]) -> Dim { numbers.reduce(1) { $0 * axes[$1].size } }
}

/// How a scatter's target is shared among owners.
struct ScatterOwners {
    var scatter: ScatterAxes
    /// The target's axes that owners' places are on.
    var owned: [Int]
    var owners: Int
    /// Places of an owner.
    var range: Int
    /// Parts into which the updates are cut for sorting, and updates in each.
    var parts: Int
    var partSize: Int
    var updates: Int
}

extension GroupLowering {
    /// How to share the target; nil where updates are few, where other axes give work items enough, or where sizes are open.
    func scatterOwners(_ scatter: ScatterAxes) -> ScatterOwners? {
        let free = Set(scatter.outer + [scatter.lanesAxis].compactMap { $0 })
        let owned = scatter.coordinates.indices.filter { axis in
            if case .affine(let dim) = scatter.coordinates[axis] { return !free.contains { dim == .index($0) } }
            return true
        }
        // Where an update goes must not depend on the free axes, or each place of those would have an order of its own.
        let looksAside = scatter.coordinates.contains { coordinate in
            switch coordinate {
            case .affine: false
            case .lookup(_, let at): at.contains { $0.indices.contains(where: free.contains) }
            }
        }
        guard !looksAside, let updates = scatter.size(scatter.serial).constant, let outer = scatter.size(scatter.outer).constant,
            let width = scatter.size([scatter.lanesAxis].compactMap { $0 }).constant,
            let places = owned.reduce(1, { $0 * scatter.target.shape[$1] }).constant, updates >= 1024 else { return nil }
        let owners = min(WorkDivision.parts(of: updates * width, workItems: outer), places)
        guard owners > 1 else { return nil }
        let range = (places + owners - 1) / owners
        let parts = max(1, min(updates / WorkDivision.leastElements, WorkDivision.fairWorkItems))
        return ScatterOwners(scatter: scatter, owned: owned, owners: (places + range - 1) / range, range: range, parts: parts,
                             partSize: (updates + parts - 1) / parts, updates: updates)
    }

    /// Writes the launches; the body applies the updates at the set variables.
    func scatter(by plan: ScatterOwners, _ update: () throws -> Void) throws {
        let scatter = plan.scatter
        let owners = Dim.constant(plan.owners), parts = Dim.constant(plan.parts)
        let counts = temporary("counts", .i64, [parts, owners]).memory
        let starts = temporary("starts", .i64, [owners + 1]).memory
        let order = temporary("order", .i64, [.constant(plan.updates)]).memory
        func setSerial(_ number: Dim) {
            for (axis, index) in zip(scatter.serial, unflatten(number, scatter.serial.map { scatter.axes[$0].size })) {
                elements.setVariable(scatter.axes[axis].variable, to: index)
            }
        }
        for axis in scatter.outer + [scatter.lanesAxis].compactMap({ $0 }) { elements.setVariable(scatter.axes[axis].variable, to: 0) }
        /// Runs the body for the updates of a part that go anywhere, in order, with the owner's number.
        func forEachUpdate(_ part: Dim, _ body: (_ update: Dim, _ owner: Dim) -> Void) throws {
            let first = writer.bind(part * .constant(plan.partSize))
            let end = writer.bind(Dim.minimum(first + .constant(plan.partSize), .constant(plan.updates)))
            try writer.loop(from: first, to: end) { number in
                setSerial(number)
                let (indices, conditions) = try scatterIndices(scatter.coordinates, scatter.operands, scatter.target, scatter.variables)
                let place = plan.owned.reduce(Dim.constant(0)) { $0 * scatter.target.shape[$1] + indices[$1] }
                func act() { body(number, writer.bind(elements.physical(place) / .constant(plan.range))) }
                if conditions.isEmpty { act() } else { writer.branch(conditions.map { $0.mapping(elements.physical) }, then: act) }
            }
        }
        let one = { [writer] in writer.constant(1, .i64) }
        let work = Dim.constant(plan.updates) * 4
        try launch(workItems: parts, work: work) { part in
            let base = writer.bind(part * owners)
            try writer.vectors(lanes(for: .i64), count: owners) { owner, _ in writer.store(writer.constant(0, .i64), counts, base + owner) }
            try forEachUpdate(part) { _, owner in
                writer.store(writer.apply(.add, writer.load(counts, base + owner, .i64), one()), counts, base + owner)
            }
        }
        launch(workItems: 1, work: owners * parts) { _ in
            let next = writer.local(.i64, 1)
            writer.store(writer.constant(0, .i64), next, 0)
            writer.loop(to: owners) { owner in
                writer.store(writer.load(next, 0, .i64), starts, owner)
                writer.loop(to: parts) { part in
                    let count = writer.load(counts, part * owners + owner, .i64)
                    let start = writer.load(next, 0, .i64)
                    writer.store(start, counts, part * owners + owner)
                    writer.store(writer.apply(.add, start, count), next, 0)
                }
            }
            writer.store(writer.load(next, 0, .i64), starts, owners)
        }
        try launch(workItems: parts, work: work) { part in
            let base = writer.bind(part * owners)
            try forEachUpdate(part) { number, owner in
                let place = writer.load(counts, base + owner, .i64)
                writer.store(writer.position(number), order, writer.bind(value: place))
                writer.store(writer.apply(.add, place, one()), counts, base + owner)
            }
        }
        let outer = scatter.outer.map { scatter.axes[$0].size }
        try launch(workItems: outer.reduce(owners, *), work: region.type(of: scatter.operands[1]).elementCount * 4) { workItem in
            let place = unflatten(workItem, [owners] + outer)
            for (axis, index) in zip(scatter.outer, place.dropFirst()) { elements.setVariable(scatter.axes[axis].variable, to: index) }
            let first = writer.bind(value: writer.load(starts, place[0], .i64))
            let end = writer.bind(value: writer.load(starts, place[0] + 1, .i64))
            try writer.loop(from: first, to: end) { position in
                setSerial(writer.bind(value: writer.load(order, position, .i64)))
                try update()
            }
        }
    }
}
