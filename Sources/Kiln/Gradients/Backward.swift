// The way back through the trace: tensors with their cotangents come in, the gradients of leaves or of given tensors go out,
// recorded like anything else and computed with whatever is read next.
import KilnIR
import KilnOps

/// One walk back.
struct BackwardWalk {
    /// Nodes through which gradients flow, each after those it is computed from.
    private var order: [Node] = []
    private var cotangents: [ObjectIdentifier: Node] = [:]
    private let trace = Trace.shared

    /// Runs under the trace's lock.
    /// - Parameter isTarget: whether a node's gradient is wanted.
    init(from starts: [(node: Node, cotangent: Node)], isTarget: (Node) -> Bool) throws {
        collect(starts.map(\.node))
        var isNeeded: Set<ObjectIdentifier> = []
        for node in order {
            var needed = isTarget(node)
            if node.slot == nil { node.forEachOperand { needed = needed || isNeeded.contains(ObjectIdentifier($0)) } }
            if needed { isNeeded.insert(ObjectIdentifier(node)) }
        }
        for start in starts { try add(start.cotangent, to: start.node) }
        for node in order.reversed() where isNeeded.contains(ObjectIdentifier(node)) && node.slot == nil { try step(node, isNeeded) }
    }

    subscript(node: Node) -> Node? { cotangents[ObjectIdentifier(node)] }

    /// The leaves that were reached, in the order of the walk forward.
    var leaves: [(node: Node, gradient: Node)] {
        order.compactMap { node in node.slot == nil ? nil : self[node].map { (node, $0) } }
    }

    private mutating func collect(_ roots: [Node]) {
        trace.walk += 1
        let walk = trace.walk
        var stack: [(node: Node, isDone: Bool)] = roots.reversed().map { ($0, false) }
        while let (node, isDone) = stack.popLast() {
            if isDone {
                order.append(node)
                continue
            }
            guard node.mark != walk, node.tracksGradient else { continue }
            node.mark = walk
            stack.append((node, true))
            if node.slot != nil { continue }
            for operand in node.operands.reversed() where operand.tracksGradient && operand.mark != walk { stack.append((operand, false)) }
        }
    }

    private mutating func add(_ cotangent: Node, to node: Node) throws {
        let key = ObjectIdentifier(node)
        guard let earlier = cotangents[key] else {
            cotangents[key] = cotangent
            return
        }
        let signature = try trace.signatures.find(Elementwise.add, [earlier, cotangent], .none, [], node.location)
        cotangents[key] = trace.applySingle(signature, [earlier, cotangent], node.location)
    }

    /// From the results of a node to its operands.
    private mutating func step(_ node: Node, _ isNeeded: Set<ObjectIdentifier>) throws {
        switch node.kind {
        case .op:
            guard let cotangent = self[node] else { return }
            try pullBack(node, results: [node], cotangents: [cotangent], isNeeded)
        case .result:
            // The cotangents of a tuple's results are gathered until the tuple is reached.
            guard let cotangent = self[node], let tuple = node.operand0 else { return }
            tupleCotangents[ObjectIdentifier(tuple), default: [:]][Int(node.index)] = (node, cotangent)
        case .tuple:
            guard let found = tupleCotangents.removeValue(forKey: ObjectIdentifier(node)) else { return }
            let boxes = node.signature!.results
            let results = boxes.indices.map { index in
                found[index]?.node ?? Node(.result, boxes[index], operands: [node], index: Int32(index), isAbstract: node.isAbstract, deviceID: node.deviceID)
            }
            try pullBack(node, results: results, cotangents: boxes.indices.map { found[$0]?.cotangent }, isNeeded)
        case .alias:
            if let cotangent = self[node], let source = node.operand0, source.tracksGradient { try add(cotangent, to: source) }
        case .transfer:
            guard let cotangent = self[node], let source = node.operand0, source.tracksGradient else { return }
            try add(trace.move(cotangent, to: source.deviceID, node.location), to: source)
        default: break
        }
    }

    private var tupleCotangents: [ObjectIdentifier: [Int: (node: Node, cotangent: Node)]] = [:]

    private mutating func pullBack(_ node: Node, results: [Node], cotangents: [Node?], _ isNeeded: Set<ObjectIdentifier>) throws {
        let operands = node.operands
        var key = PullbackKey(wanted: 0, seeded: 0)
        for (index, operand) in operands.enumerated() where isNeeded.contains(ObjectIdentifier(operand)) { key.wanted |= Replay.bit(index) }
        for (index, cotangent) in cotangents.enumerated() where cotangent != nil { key.seeded |= Replay.bit(index) }
        let replay: Replay
        do { replay = try trace.pullback(of: node.signature!, key) } catch var error as ShapeError {
            // The rule is asked once for all places where the op is used.
            error.location = node.location
            throw error
        }
        let gradients = trace.replay(replay, operands: operands, results: results, cotangents: cotangents, at: node.location)
        for (operand, gradient) in zip(operands, gradients) where isNeeded.contains(ObjectIdentifier(operand)) {
            if let gradient { try add(gradient, to: operand) }
        }
    }
}
