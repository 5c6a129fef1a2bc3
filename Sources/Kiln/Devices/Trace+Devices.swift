// Values from one device to another: a node and a place come in, a node with the value there goes out, copied at once where it is known.
import KilnExecution
import KilnIR
import KilnOps

extension Trace {
    /// A node with the value on another device; gradients flow back. Throws where there is no such device.
    /// - Parameter copy: the value there, if it has been copied already.
    func move(_ node: Node, to place: Place, _ location: SourceLocation, copy: DeviceBuffer? = nil) throws -> Node {
        if node.kind == .poison || node.place == place { return node }
        let source = node.resolved
        let accelerator = try places.accelerator(place)
        if source.kind == .number, source.buffer == nil, !node.tracksGradient {
            return number(source.scalar, source.box.type, place, location)
        }
        let isTracked = node.tracksGradient && ThreadState.current.tracksGradients
        let buffer = try copy ?? source.buffer.map { try $0.on(accelerator) }
        let moved = Node(buffer == nil || isTracked ? .transfer : .leaf, node.box, operands: buffer == nil || isTracked ? [node] : [],
                         isAbstract: source.isAbstract, buffer: buffer, place: place, location: location)
        moved.tracksGradient = isTracked
        return moved
    }

    /// Records an op on operands that are on different devices: single numbers of the host's go to where the others are, as in PyTorch;
    /// anything else is a mistake.
    func applyAcross(_ signature: Signature, _ nodes: [Node], _ location: SourceLocation) -> [Node] {
        func isFree(_ node: Node) -> Bool { node.place == .cpu && (node.box.type.rank == 0 || node.isSpreadNumber) }
        let bound = nodes.filter { !isFree($0) && $0.place != .any }.map(\.place)
        do {
            guard let place = bound.first ?? nodes.map(\.place).first(where: { $0 != .cpu && $0 != .any }),
                  bound.allSatisfy({ $0 == place }) else {
                throw DeviceError(op: signature.op.name, operands: nodes.map { ($0.box.type, places.device($0.place)) }, at: location)
            }
            return apply(signature, try nodes.map { try bring($0, to: place, location) }, location)
        } catch {
            let mistake = Mistake(error)
            return signature.results.map { poison(mistake, $0, location) }
        }
    }

    /// An operand where the others are. A number is spread over a shape there, not here.
    private func bring(_ node: Node, to place: Place, _ location: SourceLocation) throws -> Node {
        if node.place == .any || node.place == place { return node }
        guard node.isSpreadNumber, let number = node.operand0 else { return try move(node, to: place, location) }
        return applySingle(node.signature!, [try move(number, to: place, location)], location)
    }
}

extension Node {
    /// Whether this is what broadcasting makes of a single number.
    fileprivate var isSpreadNumber: Bool {
        kind == .op && buffer == nil && signature?.op === Structural.broadcast && operand0?.box.type.rank == 0
    }
}
