// Evaluation across devices: roots come in, each device's part is computed by programs of its own, in the order in which they need
// one another's values, which are copied in between.
import KilnExecution
import KilnIR

extension Evaluator {
    /// Computes roots that are on several devices, or need values from others.
    static func evaluateAcross(_ roots: [Node]) throws {
        let trace = Trace.shared
        let stages = trace.locked { Stages(roots) }
        for stage in stages.stages {
            for transfer in stage.transfers {
                let (isDone, source) = trace.locked { (transfer.buffer != nil, transfer.operand0?.resolved.buffer) }
                if isDone { continue }
                guard let source else { throw InternalError("evaluation", "a copy's source was not computed") }
                bind([transfer], [try source.on(trace.accelerator(transfer.deviceID))])
            }
            let parts = trace.locked {
                var parts: [(deviceID: DeviceID, roots: [Node])] = []
                for node in stage.wanted where node.isPending {
                    let deviceID = node.deviceID == .any ? .cpu : node.deviceID
                    if let part = parts.firstIndex(where: { $0.deviceID == deviceID }) { parts[part].roots.append(node) } else { parts.append((deviceID, [node])) }
                }
                return parts.map { (roots: $0.roots, structure: Structure($0.roots)) }
            }
            for part in parts { try compute(part.roots, part.structure) }
        }
        let known = trace.locked { roots.compactMap { root in root.isPending ? root.resolved.buffer.map { (root, $0) } : nil } }
        bind(known.map(\.0), known.map(\.1))
    }
}

/// Pending nodes by how many copies between devices lie before them.
///
///     stage 0   programs on what is there
///     stage 1   copies of results of stage 0, then programs on those
private struct Stages {
    struct Stage {
        /// Copies, whose sources were computed in the stages before.
        var transfers: [Node] = []
        /// Roots, and sources of the next stages' copies.
        var wanted: [Node] = []
    }

    private(set) var stages: [Stage] = []
    private var depths: [ObjectIdentifier: Int] = [:]

    /// Runs under the trace's lock.
    init(_ roots: [Node]) {
        for root in roots {
            let source = root.resolved
            visit(source)
            if source.buffer == nil, source.kind != .transfer { want(root, depths[ObjectIdentifier(source)] ?? 0) }
        }
    }

    private mutating func want(_ node: Node, _ depth: Int) {
        grow(depth)
        stages[depth].wanted.append(node)
    }

    private mutating func grow(_ depth: Int) { while stages.count <= depth { stages.append(Stage()) } }

    /// Depth first with a stack of its own: traces are deep.
    private mutating func visit(_ root: Node) {
        var stack: [(node: Node, isDone: Bool)] = [(root, false)]
        while let (node, isDone) = stack.popLast() {
            if isDone {
                finish(node)
                continue
            }
            guard node.buffer == nil, depths[ObjectIdentifier(node)] == nil else { continue }
            stack.append((node, true))
            for operand in node.operands.reversed() { stack.append((operand.resolved, false)) }
        }
    }

    private mutating func finish(_ node: Node) {
        guard depths[ObjectIdentifier(node)] == nil else { return }
        var depth = 0
        node.forEachOperand { depth = max(depth, depths[ObjectIdentifier($0.resolved)] ?? 0) }
        if node.kind == .transfer, let source = node.operand0?.resolved {
            // Copies of copies, and of what is there, need no program.
            if source.buffer == nil, source.kind != .transfer { want(source, depth) }
            depth += 1
            grow(depth)
            stages[depth].transfers.append(node)
        }
        depths[ObjectIdentifier(node)] = depth
    }
}
