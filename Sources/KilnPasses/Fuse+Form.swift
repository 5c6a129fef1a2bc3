// Which operations share a kernel: each joins the group of a producer where the group's kernel can compute it in passing.

import KilnIR

extension Fusion {
    /// Forms the groups, in the order of the operations.
    mutating func form() {
        for position in graph.operations.indices {
            guard let group = initialGroup(position) else { continue }
            groups[position] = group
            groupOf[position] = position
            for producer in producers(of: position) { tryMerge(producer, into: position) }
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
            if table.forms[position].isInlinable(result: result, operands: operands) { break }
            return FusionGroup(kind: .rows, members: [position], domain: operands[0].shape, axes: axes.sorted())
        case .contract(let contraction):
            if contraction.isWrittenOut { break }
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

    private func directUsers(_ position: Int) -> [Int] { graph.operations[position].results.flatMap { users[$0, default: []] } }

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
        case .contract(let c) where !c.isWrittenOut: return cost <= 4
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

    /// The operations whose results this one reads through views and clones, in order.
    func producers(of position: Int) -> [Int] {
        var found: [Int] = []
        var seen: Set<Int> = []
        func visit(_ value: ValueID) {
            guard let producer = table.definitions[value], seen.insert(producer).inserted else { return }
            if groupOf[producer] != nil { found.append(producer) } else { graph.operations[producer].operands.forEach(visit) }
        }
        graph.operations[position].operands.forEach(visit)
        return found.sorted(by: >)
    }

    private mutating func tryMerge(_ producer: Int, into position: Int) {
        guard let p = groupOf[producer], let c = groupOf[position], p != c, let merged = merge(groups[p]!, groups[c]!),
            isAcyclic(p, c), isComputable(merged) else { return }
        for member in groups[p]!.members { groupOf[member] = c }
        groups[p] = nil
        groups[c] = merged
    }

    /// The group of both, where their kinds and shapes agree.
    private func merge(_ producer: FusionGroup, _ consumer: FusionGroup) -> FusionGroup? {
        func joined(_ kind: Fuse.Kind, _ group: FusionGroup) -> FusionGroup {
            FusionGroup(kind: kind, members: (producer.members + consumer.members).sorted(), domain: group.domain, axes: group.axes)
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

    /// Whether no third group lies between the two, either way: it would have to run both after and before the merged one.
    private func isAcyclic(_ a: Int, _ b: Int) -> Bool {
        !leadsThroughThird(from: a, to: b) && !leadsThroughThird(from: b, to: a)
    }

    /// Whether `to` depends on `from` through a kernel or control flow of neither.
    private func leadsThroughThird(from: Int, to: Int) -> Bool {
        // A group may reach further back than the position at which the walk meets it, so no position is early enough to stop at.
        var seenDirect: Set<Int> = []
        var seenThird: Set<Int> = []
        var stack: [(position: Int, third: Bool)] = []
        func pushOperands(_ position: Int, third: Bool) {
            for producer in dependencies(of: position) {
                if third ? seenThird.insert(producer).inserted : seenDirect.insert(producer).inserted { stack.append((producer, third)) }
            }
        }
        for member in groups[to]!.members { pushOperands(member, third: false) }
        while let (position, third) = stack.popLast() {
            if let group = groupOf[position] {
                if group == from {
                    if third { return true }
                } else if group != to || third {
                    for member in groups[group]!.members { pushOperands(member, third: true) }
                }
            } else { pushOperands(position, third: third || !isClone(position)) }
        }
        return false
    }

    /// Whether the group's kernel would find each inner result at the element it is working on.
    private func isComputable(_ group: FusionGroup) -> Bool {
        switch group.kind {
        case .pointwise, .attention, .scan, .scatter, .sort: return true
        case .rows, .contraction: return ElementCheck(fusion: self, group: group).passes()
        }
    }
}

/// Checks that all uses of a reduction's or contraction's result inside its group are at the current element.
private struct ElementCheck {
    let fusion: Fusion
    let group: FusionGroup
    let members: Set<Int>
    let kept: [Dim]

    init(fusion: Fusion, group: FusionGroup) {
        self.fusion = fusion
        self.group = group
        members = Set(group.members)
        kept = group.domain.indices.filter { !group.axes.contains($0) }.map { .index($0) }
    }

    func passes() -> Bool {
        let graph = fusion.graph
        return group.members.allSatisfy { position in
            let operation = graph.operations[position]
            let shape = graph.type(of: operation.results[0]).shape
            switch fusion.table.forms[position] {
            case .reduce(_, let axes) where axes.sorted() == group.axes:
                return check(operation.operands[0], group.domain.indices.map { .index($0) })
            case .contract(let c) where !c.isWrittenOut: return true
            default:
                guard let indices = elementIndices(shape) else { return false }
                return operation.operands.indices.allSatisfy { check(operation.operands[$0], position, $0, indices) }
            }
        }
    }

    /// Where the kernel is, in the axes of a member's shape.
    private func elementIndices(_ shape: Shape) -> [Dim]? {
        let ranges = IndexRanges(shape: group.domain)
        if fusion.isLinearlyEqual(shape, group.domain) {
            return IndexMap.reshape(from: shape, to: group.domain).pieces[0].indices
        }
        let outer = group.domain.indices.filter { !group.axes.contains($0) }
        let outerShape = outer.map { group.domain[$0] }
        guard fusion.isLinearlyEqual(shape, outerShape) else { return nil }
        return IndexMap.reshape(from: shape, to: outerShape).pieces[0].indices.map {
            $0.substituting(indices: outer.map { .index($0) }, ranges: ranges)
        }
    }

    private func check(_ operand: ValueID, _ position: Int, _ number: Int, _ indices: [Dim]) -> Bool {
        switch fusion.table.forms[position] {
        case .elementwise: return check(operand, indices)
        case .view(let map):
            let ranges = IndexRanges(shape: group.domain)
            return map.pieces.filter { $0.operand == number }.allSatisfy { piece in
                check(operand, piece.indices.map { $0.substituting(indices: indices, ranges: ranges) })
            }
        default: return !reachesMember(operand)
        }
    }

    private func check(_ value: ValueID, _ indices: [Dim]) -> Bool {
        guard let position = fusion.table.definitions[value] else { return true }
        let operation = fusion.graph.operations[position]
        if members.contains(position) {
            switch fusion.table.forms[position] {
            case .reduce(_, let axes) where axes.sorted() == group.axes: return indices == kept
            case .contract(let c) where !c.isWrittenOut: return indices == group.domain.indices.map { group.domain[$0] == 1 ? 0 : .index($0) }
                || indices == group.domain.indices.map { .index($0) }
            default: break
            }
        } else if fusion.groupOf[position] != nil { return true }
        switch fusion.table.forms[position] {
        case .elementwise, .view: return operation.operands.indices.allSatisfy { check(operation.operands[$0], position, $0, indices) }
        case .constant: return true
        default: return operation.operands.allSatisfy { !reachesMember($0) }
        }
    }

    /// Whether a value depends on a member without a group between.
    private func reachesMember(_ value: ValueID) -> Bool {
        guard let position = fusion.table.definitions[value] else { return false }
        if members.contains(position) { return true }
        if fusion.groupOf[position] != nil { return false }
        return fusion.graph.operations[position].operands.contains(where: reachesMember)
    }
}
