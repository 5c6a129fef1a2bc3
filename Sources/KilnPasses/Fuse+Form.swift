// Which operations share a kernel: each joins the group of a producer where the group's kernel can compute it in passing.

import KilnIR

extension Fusion {
    /// Forms the groups, in the order of the operations.
    mutating func form() {
        for position in graph.operations.indices {
            lengths[position] = length(of: position)
            indexLengths[position] = indexLength(of: position)
            var group = initialGroup(position)
            if group == nil, isClone(position) {
                if case .constant = table.forms[position] { continue }
                guard isTooLongToClone(position) else { continue }
                // The code of all readers together would grow faster than the graph, so the value is stored.
                group = FusionGroup(kind: .pointwise, members: [position], domain: graph.type(of: graph.operations[position].results[0]).shape)
            }
            let (reads, others) = collectReads(of: position)
            order.add(position, after: reads.map { groupOf[$0.producer]! } + others.map { groupOf[$0] ?? $0 })
            guard var group else { continue }
            (group.length, group.indexLength) = (lengths[position], indexLengths[position])
            groups[position] = group
            groupOf[position] = position
            self.reads[position] = reads
            for read in reads { tryMerge(read.producer, into: position) }
        }
    }

    /// The group of an operation alone; nil where it is cloned into its consumers or is no kernel.
    private func initialGroup(_ position: Int) -> FusionGroup? {
        let operation = graph.operations[position]
        let result = graph.type(of: operation.results[0])
        let operands = operation.operands.map { graph.type(of: $0) }
        switch table.forms[position] {
        case .constant, .prefix, .control, .group, .opaque: return nil
        case .scan: return FusionGroup(kind: .scan, members: [position], domain: result.shape)
        case .sort: return FusionGroup(kind: .sort, members: [position], domain: result.shape)
        case .scatter: return FusionGroup(kind: .scatter, members: [position], domain: result.shape)
        case .attention: return FusionGroup(kind: .attention, members: [position], domain: result.shape)
        case .view, .gather, .elementwise:
            if isTransparent(position), !isNeededInMemory(position) { return nil }
            if isClonedIntoUsers(position) { return nil }
        case .reduce(_, let axes):
            if table.isInlinable[position] { break }
            return FusionGroup(kind: .rows, members: [position], domain: operands[0].shape, axes: axes.sorted())
        case .contract:
            if table.isInlinable[position] { break }
            return FusionGroup(kind: .contraction, members: [position], domain: result.shape)
        }
        return FusionGroup(kind: .pointwise, members: [position], domain: result.shape)
    }

    /// Whether the value must be in a buffer: an output, or an operand of what is no kernel of ours or updates memory.
    private func isNeededInMemory(_ position: Int) -> Bool {
        if isOutput[position] { return true }
        return directUsers(position).contains { user in
            switch table.forms[user] {
            case .prefix, .control, .group, .opaque: return true
            default: return false
            }
        }
    }

    private func directUsers(_ position: Int) -> [Int] { graph.operations[position].results.flatMap { users[$0] } }

    /// A cheap elementwise op is computed again by each consumer rather than stored: where it has one use that needs
    /// another order of its elements, or costs less than a load.
    private func isClonedIntoUsers(_ position: Int) -> Bool {
        guard !isNeededInMemory(position), !uses[position].isEmpty else { return false }
        let cost = InlineCost.of(table.forms[position])
        guard case .elementwise = table.forms[position] else { return false }
        let type = graph.type(of: graph.operations[position].results[0])
        // A mask is made from less than the scores' size where it is read.
        if uses[position].count == 1, case .attention = table.forms[uses[position][0].user] { return cost <= 8 }
        if uses[position].count > 1 {
            // A few operations on numbers that are everywhere the same cost less than memory.
            return cost <= 2 && graph.operations[position].operands.allSatisfy(isNumber)
        }
        if uses[position][0].isIdentity { return false }
        let user = uses[position][0].user
        switch table.forms[user] {
        case .contract where !table.isInlinable[user]: return cost <= 4
        case .reduce: return cost <= 4
        default: break
        }
        let readers = graph.type(of: graph.operations[user].results[0]).elementCount
        return readers == type.elementCount || cost <= 1
    }

    private func isNumber(_ value: ValueID) -> Bool {
        guard let position = table.definitions[value] else { return false }
        switch table.forms[position] {
        case .elementwise: return graph.operations[position].operands.isEmpty
        case .view: return graph.operations[position].operands.allSatisfy(isNumber)
        default: return false
        }
    }

    private mutating func tryMerge(_ producer: Int, into position: Int) {
        guard let p = groupOf[producer], let c = groupOf[position], p != c, let merged = merge(groups[p]!, groups[c]!),
            let at = sites(of: p, in: c), let length = length(of: groups[p]!, at: at, in: groups[c]!),
            isComputable(merged, p, c) else { return }
        // Each view on the way to the producer makes what its kernel's indices are made of longer.
        let indexLength = indexLengths[position] * groups[p]!.indexLength
        guard indexLength <= model.indexLength else { return }
        let consumerIndexLength = groups[c]!.indexLength
        // The larger keeps its name, so that few members are given another.
        let (kept, gone) = groups[p]!.members.count >= groups[c]!.members.count ? (p, c) : (c, p)
        guard order.merge(p, c, as: kept) else { return }
        if at != [0] { see(groups[p]!.members, from: at) }
        for member in groups[gone]!.members { groupOf[member] = kept }
        var result = groups[kept]!
        groups[kept] = nil
        result.members += groups[gone]!.members
        groups[gone] = nil
        (result.kind, result.domain, result.axes, result.length) = (merged.kind, merged.domain, merged.axes, length)
        result.indexLength = max(consumerIndexLength, indexLength)
        groups[kept] = result
    }

    /// How long a kernel of both is, where the producer is computed at these places; nil where it is too long, or computes too much again.
    private func length(of producer: FusionGroup, at sites: Set<Int>, in consumer: FusionGroup) -> Int? {
        let copies = max(sites.count, 1), length = consumer.length + copies * producer.length
        return (copies - 1) * producer.length <= model.recomputation && length <= model.kernelLength ? length : nil
    }

    /// Notes that members are computed where their consumer wants them.
    private mutating func see(_ members: [Int], from places: Set<Int>) {
        let places = places.sorted()
        for member in members {
            var all: Set<Int> = []
            for site in self.sites[member] ?? [0] { for place in places { all.insert(compose(place, site)) } }
            self.sites[member] = all.sorted()
        }
    }

    /// The group of both, still without members, where their kinds and shapes agree.
    private func merge(_ producer: FusionGroup, _ consumer: FusionGroup) -> FusionGroup? {
        func joined(_ kind: GroupKind, _ group: FusionGroup) -> FusionGroup {
            FusionGroup(kind: kind, members: [], domain: group.domain, axes: group.axes)
        }
        switch (producer.kind, consumer.kind) {
        case (.pointwise, .pointwise): return isLinearlyEqual(producer.domain, consumer.domain) ? joined(.pointwise, consumer) : nil
        case (.pointwise, .rows): return producer.domain == consumer.domain ? joined(.rows, consumer) : nil
        case (.rows, .pointwise):
            let outer = producer.domain.indices.filter { !producer.axes.contains($0) }.map { producer.domain[$0] }
            let fits = isLinearlyEqual(consumer.domain, producer.domain) || isLinearlyEqual(consumer.domain, outer)
            return fits ? joined(.rows, producer) : nil
        case (.rows, .rows):
            return producer.domain == consumer.domain && producer.axes == consumer.axes ? joined(.rows, producer) : nil
        case (.contraction, .pointwise): return isLinearlyEqual(producer.domain, consumer.domain) ? joined(.contraction, producer) : nil
        default: return nil
        }
    }

    func isLinearlyEqual(_ a: Shape, _ b: Shape) -> Bool { a == b || a.reduce(1, *) == b.reduce(1, *) }
}
