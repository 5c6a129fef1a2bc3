// Walks the part of the trace that some nodes depend on. Roots come in; the nodes in the order of evaluation and a key go out,
// which two traces share exactly when one program computes both.
import KilnExecution
import KilnIR

/// The structure of a trace as words; compared in full, not by hash alone.
struct StructureKey: Hashable {
    var words: [Int]
}

/// The nodes that an evaluation needs: made under the trace's lock, and used anywhere; what is recorded or computed later doesn't change it.
struct Structure {
    /// Every node after those it is computed from; aliases are left out.
    private(set) var nodes: [Node] = []
    /// Values that are there, in order of first use.
    private(set) var leaves: [Node] = []
    /// Placeholders, in order of first use.
    private(set) var placeholders: [Node] = []
    /// Nodes from before a capture that it uses, in order of first use.
    private(set) var captured: [Node] = []
    /// Numbers, in order of first use: their values are not in the key.
    private(set) var numbers: [Node] = []
    /// The results, without repetition, as places in `nodes`.
    private(set) var outputs: [Int] = []
    /// For each root, which output is its value.
    private(set) var outputOfRoot: [Int] = []
    /// The devices of what is to be computed, in order of first use.
    private(set) var devices: [DeviceID] = []
    /// The type of each output, and its device.
    private(set) var outputDevices: [(box: TypeBox, deviceID: DeviceID)] = []
    /// Whether values go from one device to another.
    private(set) var hasTransfers = false
    /// A thread is computing one of the nodes.
    private(set) var underWay: Latch?
    private(set) var key = StructureKey(words: [])
    /// Where each node's words begin, and where the last one's end.
    private(set) var starts: [Int] = []

    /// The first word of what is no op; ops begin with their signatures' numbers, which are positive.
    enum Word {
        static let outputs = -1, leaf = -2, placeholder = -3, number = -4, result = -5, transfer = -6, captured = -7
    }

    private let boundary: Int
    /// The number of this walk, which nodes bear while it lasts.
    private let walk: Int

    /// Walks from the roots. Runs under the trace's lock.
    /// - Parameter boundary: nodes recorded before this serial number are not looked into.
    init(_ roots: [Node], boundary: Int = 0) {
        self.boundary = boundary
        Trace.shared.walk += 1
        walk = Trace.shared.walk
        for root in roots { visit(root.resolved) }
        var outputNumbers: [Int: Int] = [:]
        for root in roots {
            let number = root.resolved.number
            if outputNumbers[number] == nil {
                outputNumbers[number] = outputs.count
                outputs.append(number)
            }
            outputOfRoot.append(outputNumbers[number]!)
        }
        starts.append(key.words.count)
        key.words += [Word.outputs, devices.first.map { Int($0.number) } ?? 0]
        key.words += outputs
        outputDevices = outputs.map { (nodes[$0].box, nodes[$0].deviceID) }
    }

    /// Whether a node of the kind has a value that follows from its operands'.
    private static func isComputed(_ kind: Node.Kind) -> Bool {
        switch kind {
        case .op, .tuple, .result, .transfer: true
        case .leaf, .alias, .number, .placeholder, .poison: false
        }
    }

    /// Depth first with a stack of its own: traces are deep.
    private mutating func visit(_ root: Node) {
        var stack: [(node: Node, isDone: Bool)] = [(root, false)]
        while let (node, isDone) = stack.popLast() {
            if isDone {
                append(node)
                continue
            }
            if node.mark == walk { continue }
            if node.buffer != nil || node.serial < boundary || !Self.isComputed(node.kind) {
                node.mark = walk
                append(node)
                continue
            }
            node.mark = walk
            if let latch = node.evaluation { underWay = latch }
            stack.append((node, true))
            // The last operand is pushed first, so that the first is visited first.
            for index in stride(from: node.others.count - 1, through: 0, by: -1) { push(node.others[index], &stack) }
            push(node.operand2, &stack)
            push(node.operand1, &stack)
            push(node.operand0, &stack)
        }
    }

    @inline(__always)
    private func push(_ operand: Node?, _ stack: inout [(node: Node, isDone: Bool)]) {
        guard let node = operand?.resolved, node.mark != walk else { return }
        stack.append((node, false))
    }

    private mutating func append(_ node: Node) {
        node.number = nodes.count
        nodes.append(node)
        starts.append(key.words.count)
        if node.serial < boundary, node.kind != .number || node.buffer != nil {
            captured.append(node)
            key.words += [Word.captured, node.box.id]
            return
        }
        if node.buffer != nil {
            leaves.append(node)
            key.words += [Word.leaf, node.box.id]
            return
        }
        if node.deviceID != .any, !devices.contains(node.deviceID) { devices.append(node.deviceID) }
        switch node.kind {
        case .transfer:
            hasTransfers = true
            key.words += [Word.transfer, node.operand0!.resolved.number]
        case .placeholder:
            placeholders.append(node)
            key.words += [Word.placeholder, node.box.id]
        case .number:
            numbers.append(node)
            key.words += [Word.number, node.box.id]
        case .result: key.words += [Word.result, Int(node.index), node.operand0!.number]
        default:
            key.words.append(node.signature!.id)
            node.forEachOperand { key.words.append($0.resolved.number) }
        }
    }
}
