// What a trace is made of: a node is a value that has been computed, or the op and the nodes from which it will be.
import KilnExecution
import KilnIR

/// A value of the trace.
///
/// A node is written under the trace's lock alone, and changes in one way: what was pending gets its buffer, and lets go of its operands.
/// What may change is read under the lock too, but for a buffer that was seen under it: that stays.
final class Node: HasTypeBox, @unchecked Sendable {
    enum Kind: UInt8 {
        /// A buffer holds the value, from the start.
        case leaf
        /// An application of `signature` with one result.
        case op
        /// An application with several results, which `result` nodes pick from.
        case tuple
        /// Result number `index` of operand 0.
        case result
        /// The value of operand 0: a detached tensor, a new leaf, a parameter after its update.
        case alias
        /// The value of operand 0, copied from another device.
        case transfer
        /// One number everywhere.
        case number
        /// An argument of a function under capture, or an output of one.
        case placeholder
        /// A mistake stands here; `rare.mistake` holds it.
        case poison
    }

    let kind: Kind
    let box: TypeBox
    /// Whether gradients flow through this node to a leaf that wants them.
    var tracksGradient = false
    /// Whether the value depends on a placeholder, so that it can't be computed here.
    let isAbstract: Bool
    /// A result's number.
    let index: Int32
    /// Counts up in the order of recording.
    let serial: Int
    /// Marks for walks over the trace: the walk that saw it last, and the number it was given.
    var mark = 0
    var number = 0
    let signature: Signature?
    var operand0: Node?
    var operand1: Node?
    var operand2: Node?
    var others: [Node]
    /// The device on which the value is kept, or will be.
    var deviceID: DeviceID
    /// The value, where it has been computed.
    var buffer: DeviceBuffer?
    /// Opens when the thread that is computing the value has done so, or failed.
    var evaluation: Latch?
    let scalar: Scalar
    /// Where the gradient of a leaf goes.
    var slot: GradientSlot?
    var rare: Rare?
    let location: SourceLocation

    /// What few nodes have.
    struct Rare {
        var mistake: Mistake?
        var name = ""
        /// Where a leaf starts from, which is computed before what is computed from it, so that a loop's first round is like the others.
        var isStart = false
    }

    init(_ kind: Kind, _ box: TypeBox, signature: Signature? = nil, operands: [Node] = [], index: Int32 = 0, isAbstract: Bool = false,
         buffer: DeviceBuffer? = nil, scalar: Scalar = .bool(false), deviceID: DeviceID, location: SourceLocation = .unknown) {
        self.kind = kind
        self.box = box
        self.signature = signature
        self.index = index
        self.isAbstract = isAbstract
        self.buffer = buffer
        self.scalar = scalar
        self.deviceID = deviceID
        self.location = location
        others = []
        Trace.shared.serial &+= 1
        serial = Trace.shared.serial
        switch operands.count {
        case 0: break
        case 1: operand0 = operands[0]
        case 2:
            operand0 = operands[0]
            operand1 = operands[1]
        default:
            operand0 = operands[0]
            operand1 = operands[1]
            operand2 = operands[2]
            if operands.count > 3 { others = Array(operands[3...]) }
        }
    }

    /// Long chains are let go one node at a time, not by recursion.
    deinit {
        guard operand0 != nil else { return }
        var doomed: [Node] = []
        releaseOperands(into: &doomed)
        while let node = doomed.popLast() { node.releaseOperands(into: &doomed) }
    }

    /// Lets go of the operands; those that nobody else holds, so that no other thread can see them, are handed over with theirs.
    private func releaseOperands(into doomed: inout [Node]) {
        func take(_ operand: inout Node?) {
            if isKnownUniquelyReferenced(&operand), let node = operand, node.operand0 != nil { doomed.append(node) }
            operand = nil
        }
        take(&operand0)
        take(&operand1)
        take(&operand2)
        for index in others.indices where isKnownUniquelyReferenced(&others[index]) { doomed.append(others[index]) }
        others = []
    }

    var operandCount: Int { operand0 == nil ? 0 : operand1 == nil ? 1 : operand2 == nil ? 2 : 3 + others.count }

    var operands: [Node] {
        switch operandCount {
        case 0: []
        case 1: [operand0!]
        case 2: [operand0!, operand1!]
        default: [operand0!, operand1!, operand2!] + others
        }
    }

    @inline(__always)
    func forEachOperand(_ body: (Node) -> Void) {
        guard let a = operand0 else { return }
        body(a)
        guard let b = operand1 else { return }
        body(b)
        guard let c = operand2 else { return }
        body(c)
        for node in others { body(node) }
    }

    /// The node that this one stands for.
    var resolved: Node {
        var node = self
        while node.kind == .alias, node.buffer == nil, let source = node.operand0 { node = source }
        return node
    }

    var isPending: Bool { buffer == nil && kind != .poison && kind != .placeholder }
    var error: (any Error)? { rare?.mistake?.error }

    /// Lets go of what the value was computed from, into a list that is emptied outside of the lock: it may be long.
    func dropHistory(into dropped: inout [Node]) {
        forEachOperand { dropped.append($0) }
        operand0 = nil
        operand1 = nil
        operand2 = nil
        others = []
    }
}

/// Where the gradient of a leaf is accumulated; copies of the leaf share it. Used under the trace's lock.
final class GradientSlot: @unchecked Sendable {
    var gradient: Tensor?
    /// How many times gradients had been asked for when the leaf was last changed in place.
    var changedAt = 0
}
