// Records what is done with tensors: an op and its operands come in, a node goes out, and nothing is computed.
// One trace serves the whole process behind one lock, which is held for tens of nanoseconds an op and never while anything is compiled or run.
import KilnExecution
import KilnIR
import KilnOps

/// The process's trace.
final class Trace: @unchecked Sendable {
    static let shared = Trace()

    /// Recursive, because letting go of a node may let go of a tensor.
    private let lock = Lock(isRecursive: true)
    /// The compiled programs; has locks of its own.
    let programs = ProgramCache()
    // All of these are used under the lock.
    var signatures = SignatureTable()
    var devices = DeviceTable()
    /// The number of the latest node.
    var serial = 0
    /// The number of the latest walk over nodes.
    var walk = 0
    /// What asynchronous tasks have pending, by the task.
    var taskLists: [Int: PendingList] = [:]

    private let full = Catalogue.constants.full

    private init() {}

    @inline(__always)
    func locked<T>(_ body: () throws -> T) rethrows -> T { try lock.locked(body) }

    /// Records an op. A mistake gives poisoned results.
    /// - Parameter place: where an op without operands is computed; the default device if left out.
    func record(_ op: OpDefinition, _ operands: [Tensor], _ attributes: Attributes, _ regions: [Graph], _ location: SourceLocation,
                deviceID: DeviceID? = nil) -> [Tensor] {
        let state = ThreadState.current
        let list = state.pending
        let location = state.located(location)
        let results = locked {
            let start = operands.isEmpty ? deviceID ?? devices.deviceID(state.device) : .any
            if op === full { return [number(attributes, start, location)] }
            let nodes = operands.map(\.handle.node)
            do {
                let signature = try signatures.find(op, nodes, attributes, regions, location)
                return apply(signature, nodes, location, deviceID: start).map { hold($0, list) }
            } catch {
                let known = nodes.first { $0.kind == .poison }?.rare?.mistake
                return [hold(poison(known ?? Mistake(error), nodes.first?.box, location))]
            }
        }
        state.count(1, list)
        return results
    }

    /// Records an op whose signature is known, once for each result.
    /// - Parameter place: where an op without operands, or with operands on any device, is computed.
    func apply(_ signature: Signature, _ nodes: [Node], _ location: SourceLocation, deviceID: DeviceID = .any) -> [Node] {
        if signature.results.count == 1 { return [applySingle(signature, nodes, location, deviceID: deviceID)] }
        let traits = self.traits(signature, nodes, deviceID)
        if let bad = traits.poisoned { return signature.results.map { poison(bad.rare!.mistake!, $0, location) } }
        if traits.isMixed { return applyAcross(signature, nodes, location) }
        let tuple = Node(.tuple, signature.results.first ?? signatures.intern(TensorType(.bool, [])), signature: signature, operands: nodes,
                         isAbstract: traits.isAbstract, deviceID: traits.deviceID, location: location)
        tuple.tracksGradient = traits.tracks
        return signature.results.enumerated().map { index, box in
            let node = Node(.result, box, operands: [tuple], index: Int32(index), isAbstract: traits.isAbstract, deviceID: traits.deviceID,
                            location: location)
            node.tracksGradient = traits.tracks && box.type.dtype.isFloat
            return node
        }
    }

    /// Records an op with one result.
    @inline(__always)
    func applySingle(_ signature: Signature, _ nodes: [Node], _ location: SourceLocation, deviceID: DeviceID = .any) -> Node {
        let traits = self.traits(signature, nodes, deviceID)
        if let bad = traits.poisoned { return poison(bad.rare!.mistake!, signature.results[0], location) }
        if traits.isMixed { return applyAcross(signature, nodes, location)[0] }
        let node = Node(.op, signature.results[0], signature: signature, operands: nodes, isAbstract: traits.isAbstract, deviceID: traits.deviceID,
                        location: location)
        node.tracksGradient = traits.tracks
        return node
    }

    @inline(__always)
    private func traits(_ signature: Signature, _ nodes: [Node], _ start: DeviceID) -> Traits {
        var traits = Traits(deviceID: start)
        var tracks = false
        for node in nodes {
            if node.kind == .poison {
                traits.poisoned = node
                return traits
            }
            traits.isAbstract = traits.isAbstract || node.isAbstract
            tracks = tracks || node.tracksGradient
            if node.deviceID != traits.deviceID, node.deviceID != .any {
                if traits.deviceID == .any { traits.deviceID = node.deviceID } else { traits.isMixed = true }
            }
        }
        traits.tracks = tracks && signature.isDifferentiable && ThreadState.current.tracksGradients
        return traits
    }

    /// What a node has from its operands.
    private struct Traits {
        var isAbstract = false
        var tracks = false
        var poisoned: Node?
        var deviceID: DeviceID
        /// Whether the operands are on different devices.
        var isMixed = false

        @inline(__always)
        init(deviceID: DeviceID) { self.deviceID = deviceID }
    }

    func poison(_ mistake: Mistake, _ box: TypeBox?, _ location: SourceLocation) -> Node {
        let node = Node(.poison, box ?? signatures.intern(TensorType(.f32, [])), deviceID: .any, location: location)
        node.rare = .init(mistake: mistake)
        return node
    }

    /// The node that a node stands for.
    func resolve(_ node: Node) -> Node { locked { node.resolved } }

    /// One number everywhere.
    func number(_ value: Scalar, _ type: TensorType, _ deviceID: DeviceID, _ location: SourceLocation) -> Node {
        let isSymbolic = type.shape.contains { $0.constant == nil }
        return Node(.number, signatures.intern(type), isAbstract: isSymbolic, scalar: value.converted(to: type.dtype), deviceID: deviceID,
                    location: location)
    }

    private func number(_ attributes: Attributes, _ deviceID: DeviceID, _ location: SourceLocation) -> Tensor {
        let type = TensorType(attributes.dtype("dtype") ?? .f32, attributes.dims("shape"))
        if let wrong = Self.badSize(type, location) { return hold(poison(Mistake(wrong), nil, location)) }
        return hold(number(attributes.scalar("value") ?? 0, type, deviceID, location))
    }

    /// The error for a type whose sizes are negative, or whose bytes can't be counted.
    static func badSize(_ type: TensorType, _ location: SourceLocation, op: String = "full") -> ShapeError? {
        var bytes = type.dtype.byteCount
        for dim in type.shape {
            guard let size = dim.constant else { continue }
            let (product, overflow) = bytes.multipliedReportingOverflow(by: size)
            if size < 0 || overflow {
                return ShapeError(op: op, "the shape [\(type.shape.map(\.description).joined(separator: ", "))] has a size that can't be",
                                  at: location, fix: "give sizes from 0 to what memory holds")
            }
            bytes = product
        }
        return nil
    }

    /// A tensor for a node; a pending one is computed with the next evaluation as long as it is held.
    @inline(__always)
    func hold(_ node: Node, _ list: PendingList? = nil) -> Tensor {
        Tensor(Handle(node, in: node.isPending && !node.isAbstract ? list ?? ThreadState.current.pending : nil))
    }

    /// A node with the value of another, for a leaf or a detached tensor.
    /// - Parameter isStart: whether this is where a leaf starts from.
    func alias(_ node: Node, slot: GradientSlot? = nil, tracks: Bool = false, isStart: Bool = false) -> Node {
        if node.kind == .poison { return node }
        let source = node.resolved
        let copy = Node(.alias, node.box, operands: source.buffer == nil ? [source] : [], isAbstract: source.isAbstract, buffer: source.buffer,
                        deviceID: node.deviceID, location: node.location)
        copy.slot = slot
        copy.tracksGradient = tracks
        if isStart, source.buffer == nil { copy.rare = .init(isStart: true) }
        return copy
    }

    /// A tensor of bytes that are there.
    func leaf(_ type: TensorType, _ buffer: DeviceBuffer, _ deviceID: DeviceID) -> Node {
        Node(.leaf, signatures.intern(type), buffer: buffer, deviceID: deviceID)
    }
}
