// Values from one device to another: a node and a place come in, a node with the value there goes out, copied at once where it is known.
import KilnExecution
import KilnIR
import KilnOps

extension Trace {
    /// A node with the value on another device; gradients flow back. Throws where there is no such device.
    /// - Parameter copy: the value there, if it has been copied already.
    func move(_ node: Node, to deviceID: DeviceID, _ location: SourceLocation, copy: DeviceBuffer? = nil) throws -> Node {
        if node.kind == .poison || node.deviceID == deviceID { return node }
        let source = node.resolved
        let accelerator = try devices.accelerator(deviceID)
        if source.kind == .number, source.buffer == nil, !node.tracksGradient {
            return number(source.scalar, source.box.type, deviceID, location)
        }
        let isTracked = node.tracksGradient && ThreadState.current.tracksGradients
        let buffer = try copy ?? source.buffer.map { try $0.on(accelerator) }
        let moved = Node(buffer == nil || isTracked ? .transfer : .leaf, node.box, operands: buffer == nil || isTracked ? [node] : [],
                         isAbstract: source.isAbstract, buffer: buffer, deviceID: deviceID, location: location)
        moved.tracksGradient = isTracked
        return moved
    }

    /// Records an op on operands that are on different devices: single numbers of the host's go to where the others are, as in PyTorch;
    /// anything else is a mistake.
    func applyAcross(_ signature: Signature, _ nodes: [Node], _ location: SourceLocation) -> [Node] {
        func isFree(_ node: Node) -> Bool { node.deviceID == .cpu && (node.box.type.rank == 0 || node.isSpreadNumber) }
        let bound = nodes.filter { !isFree($0) && $0.deviceID != .any }.map(\.deviceID)
        do {
            guard let deviceID = bound.first ?? nodes.map(\.deviceID).first(where: { $0 != .cpu && $0 != .any }),
                  bound.allSatisfy({ $0 == deviceID }) else {
                throw DeviceError(op: signature.op.name, operands: nodes.map { ($0.box.type, devices.device($0.deviceID)) }, at: location)
            }
            return apply(signature, try nodes.map { try bring($0, to: deviceID, location) }, location)
        } catch {
            let mistake = Mistake(error)
            return signature.results.map { poison(mistake, $0, location) }
        }
    }

    /// An operand where the others are. A number is spread over a shape there, not here.
    private func bring(_ node: Node, to deviceID: DeviceID, _ location: SourceLocation) throws -> Node {
        if node.deviceID == .any || node.deviceID == deviceID { return node }
        guard node.isSpreadNumber, let number = node.operand0 else { return try move(node, to: deviceID, location) }
        return applySingle(node.signature!, [try move(number, to: deviceID, location)], location)
    }
}

extension Node {
    /// Whether this is what broadcasting makes of a single number.
    fileprivate var isSpreadNumber: Bool {
        kind == .op && buffer == nil && signature?.op === Structural.broadcast && operand0?.box.type.rank == 0
    }
}
