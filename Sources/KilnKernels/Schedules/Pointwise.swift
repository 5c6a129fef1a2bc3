// The schedule of pointwise groups: every element by itself, in vectors along the innermost axis, split over threads by blocks.

import KilnIR

/// Every element by itself, by threads of the host.
struct Pointwise: Schedule {
    let cost: Dim

    static func plan(_ group: GroupLowering, _ target: Target) -> Pointwise? {
        guard group.kind == .pointwise else { return nil }
        return Pointwise(cost: group.elementwiseCost(group.region.type(of: group.region.outputs[0].value).shape))
    }

    func emit(into group: GroupLowering) throws { try group.pointwise() }
}

extension GroupLowering {
    /// Elements one work item of work computes, at most.
    private static let workItemElements = 16384

    fileprivate func pointwise() throws {
        let domain = region.type(of: region.outputs[0].value).shape
        let axes = makeAxes(domain)
        let expressions = try observe { try self.storeElements(domain, axes.map(\.variable)) }
        let work = domain.reduce(1, *) * .constant(costPerElement)
        let variables = axes.map(\.variable)
        try overElements(merged(axes, expressions: expressions), work: work) { try self.storeElements(domain, variables) }
    }

    /// A launch that runs the body for every element, with the loops' variables set: in vectors along the innermost axis.
    func overElements(_ loops: [DomainAxis], work: Dim, _ body: () throws -> Void) throws {
        let width = lanes(for: computeDType)
        guard let inner = loops.last else { return try launch(workItems: 1, work: work) { _ in try body() } }
        if loops.count == 1 { return try flat(inner, width, work, body) }
        let outer = Array(loops.dropLast())
        let count = outer.reduce(1) { $0 * $1.size }
        if let lines = count.constant, let length = inner.size.constant, lines < WorkDivision.enoughWorkItems, length >= 2 * Self.workItemElements {
            return try longLines(outer, inner, width, work, body)
        }
        // Short rows: several to a work item.
        let rows = max(1, Self.workItemElements / 4 / max(inner.size.constant ?? 1024, 1))
        try launch(workItems: count.dividedUp(by: .constant(rows)), work: work) { workItem in
            let first = workItem * .constant(rows)
            try writer.loop(from: first, to: rows == 1 ? first + 1 : writer.bind(Dim.minimum(first + .constant(rows), count))) { row in
                for (axis, index) in zip(outer, unflatten(row, outer.map(\.size))) { elements.setVariable(axis.variable, to: index) }
                try writer.vectors(width, count: inner.size) { index, _ in
                    elements.setVariable(inner.variable, to: index)
                    try body()
                }
            }
        }
    }

    /// Few long lines, each cut into several work items.
    private func longLines(_ outer: [DomainAxis], _ inner: DomainAxis, _ width: Int, _ work: Dim, _ body: () throws -> Void) throws {
        let chunk = Dim.constant(Self.workItemElements)
        let sizes = outer.map(\.size) + [inner.size.dividedUp(by: chunk)]
        try launch(workItems: sizes.reduce(1, *), work: work) { workItem in
            let place = unflatten(workItem, sizes)
            for (axis, index) in zip(outer, place) { elements.setVariable(axis.variable, to: index) }
            let base = writer.bind(place.last! * chunk)
            try writer.vectors(width, from: base, count: writer.bind(Dim.minimum(inner.size - base, chunk))) { index, _ in
                elements.setVariable(inner.variable, to: index)
                try body()
            }
        }
    }

    private func flat(_ axis: DomainAxis, _ width: Int, _ work: Dim, _ body: () throws -> Void) throws {
        let workItemElements = axis.size.constant.map { WorkDivision.workItemElements(of: $0, most: Self.workItemElements) } ?? Self.workItemElements
        let chunk = Dim.constant(workItemElements)
        if let n = axis.size.constant, n <= Self.workItemElements {
            return try launch(workItems: 1, work: work) { _ in
                try writer.vectors(width, count: axis.size) { index, _ in
                    elements.setVariable(axis.variable, to: index)
                    try body()
                }
            }
        }
        try launch(workItems: axis.size.dividedUp(by: chunk), work: work) { workItem in
            let base = workItem * chunk
            let rest = axis.size - base
            let count = axis.size.constant.map { $0 % workItemElements == 0 } == true ? chunk : writer.bind(Dim.minimum(rest, chunk))
            try writer.vectors(width, from: base, count: count) { index, _ in
                elements.setVariable(axis.variable, to: index)
                try body()
            }
        }
    }

    /// Computes and stores the outputs at the domain's variables.
    private func storeElements(_ domain: Shape, _ variables: [Dim]) throws {
        for (number, output) in region.outputs.enumerated() {
            let type = region.type(of: output.value)
            let at = indices(of: type.shape, in: domain, at: variables)
            storeOutput(number, try elements.element(output.value, at), at)
        }
    }
}
