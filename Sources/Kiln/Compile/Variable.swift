// Tensors with an identity: what modules learn and remember, and what optimizers keep. Captured functions know them when they see them.
import KilnIR
import KilnOps

/// A tensor that is shared by reference and replaced over time. Not thread-safe: one thread at a time may set it.
public class Variable {
    private var current: Tensor
    /// A mistaken value that was not taken over; the next reader gets it.
    private var refused: Tensor?
    /// What the module calls it, such as `blocks.3.query.weight`: the longest name under which it was found.
    var path = ""

    init(storing tensor: Tensor) { current = tensor }

    /// The tensor now.
    ///
    /// While a function is captured, reading gives a placeholder, and setting is remembered: each call of the captured function
    /// then reads the variable as it is, and sets it.
    ///
    /// A mistake is not taken over: who reads the variable next gets it, once, and the variable stays as it was.
    public var value: Tensor {
        get {
            if let mistaken = refused {
                refused = nil
                return mistaken
            }
            return ThreadState.current.captures.last.map { $0.read(self) } ?? current
        }
        set {
            if let capture = ThreadState.current.captures.last { return capture.assign(newValue, to: self) }
            if newValue.node.kind == .poison { refused = newValue } else {
                refused = nil
                current = newValue
            }
        }
    }

    /// How messages name it.
    var label: String { path.isEmpty ? "a variable of \(current.type)" : "\"\(path)\"" }

    /// The mistake that was not taken over, which is reported hereby.
    func takeMistake() -> (any Error)? {
        defer { refused = nil }
        return refused?.error
    }

    /// The tensor that is stored, capture or not.
    var stored: Tensor {
        get { current }
        set { current = newValue }
    }

    /// Changes the value in place, without tracking gradients.
    public func update(_ body: (inout Tensor) -> Void) { noGrad { body(&value) } }
}

/// What a module learns: a leaf that requires a gradient.
///
///     @Parameter var weight: Tensor        // in a module; found under the name "weight"
///     let bias: Parameter?                 // the same thing, held by hand
@propertyWrapper
public final class Parameter: Variable {
    public init(wrappedValue: Tensor) { super.init(storing: wrappedValue.leaf(isStart: true)) }
    public convenience init(_ value: Tensor) { self.init(wrappedValue: value) }

    public var wrappedValue: Tensor {
        get { value }
        set { value = newValue.requiresGrad && newValue.isLeaf ? newValue : newValue.requiringGrad() }
    }
    public var projectedValue: Parameter { self }
    public var grad: Tensor? {
        get { isCapturing ? value.grad : stored.grad }
        set { if isCapturing { value.grad = newValue } else { stored.grad = newValue } }
    }
}

/// What a module remembers without learning it by gradients, such as running statistics; saved with its state.
@propertyWrapper
public final class Buffer: Variable {
    public init(wrappedValue: Tensor) { super.init(storing: wrappedValue) }
    public convenience init(_ value: Tensor) { self.init(wrappedValue: value) }

    public var wrappedValue: Tensor {
        get { value }
        set { value = newValue }
    }
    public var projectedValue: Buffer { self }
}
