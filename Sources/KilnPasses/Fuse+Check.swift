// Whether a kernel finds each reduction's or contraction's result at the element that it is working on, wherever it uses it: two groups
// come in that would be one, and yes or no goes out.

import KilnIR

extension Fusion {
    /// Whether the kernel of a producer and a consumer would find each inner result at the element it is working on.
    func isComputable(_ group: FusionGroup, _ producer: Int, _ consumer: Int) -> Bool {
        switch group.kind {
        case .pointwise, .attention, .scan, .scatter, .sort: return true
        case .rows, .contraction:
            var check = ElementCheck(fusion: self, group: group, producer: producer, consumer: consumer)
            return check.passes()
        }
    }
}

/// Checks that all uses of a reduction's or contraction's result inside a group are at the current element.
private struct ElementCheck {
    let fusion: Fusion
    let group: FusionGroup
    let producer: Int
    let consumer: Int
    let all: [Dim]
    let kept: [Dim]
    let ranges: IndexRanges
    /// Whether the producer was checked when it was formed, over the same domain.
    let isProducerChecked: Bool
    /// Elements that are yet to be looked at.
    private var open: [Element] = []
    private var seen: Set<Element> = []
    private var reaching: [ValueID: Bool] = [:]
    private var indices: [Shape: [Dim]?] = [:]

    private struct Element: Hashable {
        var value: ValueID
        var indices: [Dim]
    }

    init(fusion: Fusion, group: FusionGroup, producer: Int, consumer: Int) {
        self.fusion = fusion
        self.group = group
        (self.producer, self.consumer) = (producer, consumer)
        all = group.domain.indices.map { .index($0) }
        kept = group.domain.indices.filter { !group.axes.contains($0) }.map { .index($0) }
        ranges = IndexRanges(shape: group.domain)
        isProducerChecked = fusion.groups[producer]!.kind == group.kind
    }

    private func isMember(_ position: Int) -> Bool { fusion.groupOf[position] == producer || fusion.groupOf[position] == consumer }

    mutating func passes() -> Bool {
        for position in fusion.groups[consumer]!.members { guard begin(position) else { return false } }
        if !isProducerChecked { for position in fusion.groups[producer]!.members { guard begin(position) else { return false } } }
        while let element = open.popLast() { guard follow(element) else { return false } }
        return true
    }

    /// Begins with what a member reads where the kernel is.
    private mutating func begin(_ position: Int) -> Bool {
        let operation = fusion.graph.operations[position]
        switch fusion.table.forms[position] {
        case .reduce(_, let axes) where axes.sorted() == group.axes && !fusion.table.isInlinable[position]:
            add(operation.operands[0], all)
            return true
        case .contract where !fusion.table.isInlinable[position]: return true
        default:
            guard let indices = elementIndices(fusion.graph.type(of: operation.results[0]).shape) else { return false }
            return addOperands(of: position, indices)
        }
    }

    /// Where the kernel is, in the axes of a member's shape.
    private mutating func elementIndices(_ shape: Shape) -> [Dim]? {
        if let known = indices[shape] { return known }
        let found = findElementIndices(shape)
        indices[shape] = .some(found)
        return found
    }

    private func findElementIndices(_ shape: Shape) -> [Dim]? {
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

    private mutating func add(_ value: ValueID, _ indices: [Dim]) {
        let element = Element(value: value, indices: indices)
        if seen.insert(element).inserted { open.append(element) }
    }

    private mutating func addOperands(of position: Int, _ indices: [Dim]) -> Bool {
        let operands = fusion.graph.operations[position].operands
        switch fusion.table.forms[position] {
        case .elementwise: for operand in operands { add(operand, indices) }
        case .view(let map):
            for piece in map.pieces { add(operands[piece.operand], piece.indices.map { $0.substituting(indices: indices, ranges: ranges) }) }
        case .constant: break
        default: for operand in operands where reachesMember(operand) { return false }
        }
        return true
    }

    private mutating func follow(_ element: Element) -> Bool {
        guard let position = fusion.table.definitions[element.value] else { return true }
        if isMember(position) {
            switch fusion.table.forms[position] {
            case .reduce(_, let axes) where axes.sorted() == group.axes && !fusion.table.isInlinable[position]: return element.indices == kept
            case .contract where !fusion.table.isInlinable[position]:
                return element.indices == group.domain.indices.map { group.domain[$0] == 1 ? 0 : .index($0) } || element.indices == all
            default: break
            }
            // The producer's own elements have been followed from where the kernel is.
            if isProducerChecked, fusion.groupOf[position] == producer,
                element.indices == elementIndices(fusion.graph.type(of: element.value).shape) { return true }
        } else if fusion.groupOf[position] != nil { return true }
        return addOperands(of: position, element.indices)
    }

    /// Whether a value depends on a member without a group between.
    private mutating func reachesMember(_ value: ValueID) -> Bool {
        guard let position = fusion.table.definitions[value] else { return false }
        if isMember(position) { return true }
        if fusion.groupOf[position] != nil { return false }
        if let known = reaching[value] { return known }
        var found = false
        for operand in fusion.graph.operations[position].operands where reachesMember(operand) {
            found = true
            break
        }
        reaching[value] = found
        return found
    }
}
