// Tensors with an identity: what modules learn and remember, and what optimizers keep. Captured functions know them when they see them.
import KilnIR
import KilnOps

/// A tensor that is shared by reference and replaced over time. Not thread-safe: one thread at a time may set it.
public class Variable {
    private var current: Tensor

    init(storing tensor: Tensor) { current = tensor }

    /// The tensor now.
    ///
    /// While a function is captured, reading gives a placeholder, and setting is remembered: each call of the captured function
    /// then reads the variable as it is, and sets it.
    public var value: Tensor {
        get { ThreadState.current.captures.last.map { $0.read(self) } ?? current }
        set {
            if let capture = ThreadState.current.captures.last { capture.assign(newValue, to: self) } else { current = newValue }
        }
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
    public init(wrappedValue: Tensor) { super.init(storing: wrappedValue.requiringGrad()) }
    public convenience init(_ value: Tensor) { self.init(wrappedValue: value) }

    public var wrappedValue: Tensor {
        get { value }
        set { value = newValue.requiresGrad && newValue.isLeaf ? newValue : newValue.requiringGrad() }
    }
    public var projectedValue: Parameter { self }
    public var grad: Tensor? {
        get { value.grad }
        set { value.grad = newValue }
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
