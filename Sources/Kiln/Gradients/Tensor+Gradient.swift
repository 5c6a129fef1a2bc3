// PyTorch's way to gradients: leaves that require one, `backward()` which adds to their `grad`, and `grad(of:withRespectTo:)`.
import KilnIR
import KilnOps

extension Tensor {
    /// Whether gradients flow through this tensor: it is a leaf that asked for one, or was computed from such a leaf.
    ///
    /// Setting it to true makes this variable a new leaf; copies taken before are no leaves. Setting it to false detaches.
    public var requiresGrad: Bool {
        get { node.tracksGradient }
        set {
            guard newValue != node.tracksGradient else { return }
            if newValue && !dtype.isFloat {
                self = .poisoned(ShapeError(op: "requiresGrad", "only floats have gradients", operands: [type], fix: "cast to f32 first"))
            } else {
                self = Trace.shared.locked {
                    Trace.shared.hold(Trace.shared.alias(node, slot: newValue ? GradientSlot() : nil, tracks: newValue))
                }
            }
        }
    }

    /// This tensor as a leaf that requires a gradient.
    public func requiringGrad() -> Tensor { leaf(isStart: false) }

    /// - Parameter isStart: whether it is computed before whatever is computed from it, as what a model starts from is.
    func leaf(isStart: Bool) -> Tensor {
        var leaf = detach()
        guard isStart, dtype.isFloat, !leaf.node.tracksGradient else {
            leaf.requiresGrad = true
            return leaf
        }
        return Trace.shared.locked {
            Trace.shared.hold(Trace.shared.alias(leaf.node, slot: GradientSlot(), tracks: true, isStart: true))
        }
    }

    /// Whether this tensor was not computed from others that require gradients.
    public var isLeaf: Bool { node.slot != nil || !node.tracksGradient }

    /// What `backward()` has accumulated; nil for tensors that aren't leaves. Copies of a leaf share it.
    public var grad: Tensor? {
        get { Trace.shared.locked { node.slot?.gradient } }
        nonmutating set { Trace.shared.locked { node.slot?.gradient = newValue } }
    }

    /// Forgets the accumulated gradient.
    public func zeroGrad() { grad = nil }

    /// The same value, cut off from how it was computed.
    public func detach() -> Tensor {
        node.tracksGradient ? Trace.shared.locked { Trace.shared.hold(Trace.shared.alias(node)) } : self
    }

    /// Adds the gradients of this number to the `grad` of every leaf that it was computed from.
    ///
    /// Nothing is computed yet. The history stays as long as the tensor does, so this works any number of times, also
    /// after the value was read.
    /// - Parameters:
    ///   - gradient: where this tensor has more than one element, the cotangent with which the elements are weighted.
    ///   - createGraph: whether gradients flow through the gradients, so that they can be differentiated again.
    public func backward(gradient: Tensor? = nil, createGraph: Bool = false, file: StaticString = #fileID, line: UInt = #line) throws {
        let seed = try self.seed(gradient, "backward", SourceLocation(file, line))
        let leaves = try ThreadState.current.tracking(createGraph) {
            try Trace.shared.locked {
                ThreadState.current.pending.backwardCount += 1
                return try BackwardWalk(from: [(node, seed.node)]) { $0.slot != nil }.leaves
            }
        }
        try ThreadState.current.tracking(createGraph) {
            for (leaf, gradient) in leaves {
                if let error = gradient.error { throw error }
                guard let slot = leaf.slot else { continue }
                // Recorded outside of the lock: recording may compute what has piled up.
                let fresh = Tensor.hold(gradient), before = Trace.shared.locked { slot.gradient }
                let sum = before.map { $0 + fresh } ?? fresh
                Trace.shared.locked { slot.gradient = sum }
            }
        }
    }

    /// The cotangent from which a walk starts.
    fileprivate func seed(_ gradient: Tensor?, _ op: String, _ location: SourceLocation) throws -> Tensor {
        if let error { throw error }
        if let error = gradient?.error { throw error }
        guard node.tracksGradient else {
            throw ShapeError(op: op, "the tensor was not computed from a leaf that requires a gradient", operands: [type], at: location,
                             fix: "set requiresGrad on what is to be differentiated, and compute outside noGrad")
        }
        if let gradient {
            guard gradient.type == type else {
                throw ShapeError(op: op, "the gradient's type is not the tensor's", operands: [type, gradient.type], at: location,
                                 fix: "give a gradient of type \(type)")
            }
            return gradient
        }
        guard dims.allSatisfy({ $0 == 1 }) else {
            throw ShapeError(op: op, "the tensor has more than one element", operands: [type], at: location,
                             fix: "reduce it first, or give backward(gradient:) weights for its elements")
        }
        return .onesLike(self)
    }
}

/// The gradients of a number with respect to tensors, which need not be leaves; nil for one that it does not depend on.
///
/// Nothing is added to any `grad`.
/// - Parameter createGraph: whether gradients flow through the results, for gradients of gradients.
public func grad(of output: Tensor, withRespectTo inputs: [Tensor], gradient: Tensor? = nil, createGraph: Bool = false,
                 file: StaticString = #fileID, line: UInt = #line) throws -> [Tensor?] {
    let seed = try output.seed(gradient, "grad", SourceLocation(file, line))
    return try ThreadState.current.tracking(createGraph) {
        try Trace.shared.locked {
            ThreadState.current.pending.backwardCount += 1
            let targets = Set(inputs.map { ObjectIdentifier($0.node) })
            let walk = try BackwardWalk(from: [(output.node, seed.node)]) { targets.contains(ObjectIdentifier($0)) }
            return try inputs.map { input in
                guard let gradient = walk[input.node] else { return nil }
                if let error = gradient.error { throw error }
                return Trace.shared.hold(gradient)
            }
        }
    }
}

/// The gradient of a number with respect to one tensor; zero where it does not depend on it.
public func grad(of output: Tensor, withRespectTo input: Tensor, gradient: Tensor? = nil, createGraph: Bool = false,
                 file: StaticString = #fileID, line: UInt = #line) throws -> Tensor {
    try grad(of: output, withRespectTo: [input], gradient: gradient, createGraph: createGraph, file: file, line: line)[0] ?? .zerosLike(input)
}
