// What users compute with: a tensor is a value; what is done with it is recorded, and computed when somebody looks.
import KilnExecution
import KilnIR
import KilnOps

/// A tensor: a dense array of elements of one type.
///
/// **Values.** A `Tensor` is a value like `Array`: `let y = x` followed by `x.add_(1)` leaves `y` as it was. What belongs to
/// an identity is the gradient: a leaf (a tensor whose `requiresGrad` was set) and the copies taken of it share one `grad`.
///
/// **Lazy.** Operations are recorded, in well under a microsecond, and computed together when a value is read: by `array()`, `item()`,
/// `print`, an optimizer's `step()`. One evaluation computes everything that is pending and held by anybody.
///
/// **Mistakes.** Operations don't throw. A mistake (shapes that don't fit, say) gives a tensor that carries the error with the line
/// that made it; whatever is computed from it carries the same error, and reading throws it.
///
/// **Threads.** Tensors may be made, used and read on any thread and in any task. Recording takes a lock for an instant; what one thread
/// compiles or runs keeps no other from recording, compiling or running. A thread that needs what another is computing waits for it.
/// The same variable must not be changed on one thread while another uses it, as with any Swift value; that goes for a
/// `Parameter` and for `grad` too. `noGrad` and captures hold for the thread that called them.
public struct Tensor: Sendable {
    let handle: Handle

    init(_ handle: Handle) { self.handle = handle }

    var node: Node { handle.node }

    /// A tensor for a node.
    static func hold(_ node: Node) -> Tensor { Trace.shared.locked { Trace.shared.hold(node) } }

    /// A tensor that carries an error.
    static func poisoned(_ error: any Error, like tensor: Tensor? = nil, at location: SourceLocation = .unknown) -> Tensor {
        poisoned(Mistake(error), like: tensor, at: location)
    }

    static func poisoned(_ mistake: Mistake, like tensor: Tensor? = nil, at location: SourceLocation = .unknown) -> Tensor {
        Trace.shared.locked { Trace.shared.hold(Trace.shared.poison(mistake, tensor?.node.box, location)) }
    }
}

extension Tensor: Operand {
    public static var checksIndices: Bool { true }
    public var type: TensorType { handle.node.box.type }

    public static func apply(_ op: OpDefinition, _ operands: [Tensor], _ attributes: Attributes, regions: [Graph],
                             at location: SourceLocation) -> [Tensor] {
        Trace.shared.record(op, operands, attributes, regions, location)
    }

    public func literal(_ literal: Literal, at location: SourceLocation) -> Tensor { Tensor(literal, device: device) }

    public func source(_ op: OpDefinition, _ attributes: Attributes, at location: SourceLocation) -> Tensor {
        Trace.shared.record(op, [], attributes, [], location, deviceID: deviceID)[0]
    }

    public func scalar(_ value: Scalar, _ dtype: DType, at location: SourceLocation) -> Tensor {
        Trace.shared.locked { Trace.shared.hold(Trace.shared.number(value, TensorType(dtype, []), deviceID, location)) }
    }

    public func full(_ value: Scalar, _ type: TensorType, at location: SourceLocation) -> Tensor {
        Trace.shared.locked { Trace.shared.hold(Trace.shared.number(value, type, deviceID, location)) }
    }
}

extension Tensor {
    /// The sizes. While a function is compiled for any size, a size that only the call tells is no number: reading one here is a mistake, which
    /// `compile` throws with the line that made it. `dims` gives sizes that may be symbols, and can be reckoned with.
    public var shape: [Int] { handle.node.box.isSymbolic ? unknownSizes("shape") : handle.node.box.sizes }
    /// The number of elements; `type.elementCount` where a size is a symbol.
    public var count: Int { (handle.node.box.isSymbolic ? unknownSizes("count") : handle.node.box.sizes).reduce(1, *) }

    /// Leaves the mistake with the function that is being captured. Ones stand in, with which code goes on to where the mistake is thrown.
    private func unknownSizes(_ property: String) -> [Int] {
        let error = CompileError("\(property) of \(type)", "its sizes are known when the compiled function is called, and not before",
                                 fix: "take sizes from dims, such as x.dims[0] in place of x.shape[0], or means and sums over axes")
        ThreadState.current.captures.last?.note(Mistake(error))
        return handle.node.box.sizes.map { Swift.max($0, 1) }
    }

    /// The value, where it has been computed.
    var buffer: DeviceBuffer? { Trace.shared.locked { node.buffer } }
    /// The mistake that this tensor carries, if it does.
    public var error: (any Error)? { handle.node.error }
}

extension Tensor {
    /// Tells whether the value and its history are still held by anybody: for tests of memory.
    package var lifetimeProbe: () -> Bool { { [weak node] in node != nil } }
}
