// Layers that look up or mix features: linear, embedding; and those without parameters: flatten, identity, dropout, activations.
import KilnIR
import KilnOps

/// `x · weightᵀ + bias` over the last axis: […, inputs] → […, outputs].
public final class Linear: LocatedLayer {
    /// [outputs, inputs]
    @Parameter public var weight: Tensor
    public let bias: Parameter?

    public init(_ inputs: Int, _ outputs: Int, bias: Bool = true, dtype: DType = .f32) {
        _weight = Parameter(Initialization.layerWeight([outputs, inputs], dtype))
        self.bias = bias ? Parameter(Initialization.layerBias(outputs, inputs: inputs, dtype)) : nil
    }

    public func callAsFunction(_ input: Tensor, file: StaticString = #fileID, line: UInt = #line) -> Tensor {
        named(input, file, line) { input.linear(weight, bias?.value) }
    }
}

/// Rows of a table by number: indices […] → […, width].
public final class Embedding: LocatedLayer {
    /// [count, width]
    @Parameter public var weight: Tensor

    public init(_ count: Int, _ width: Int, dtype: DType = .f32) { _weight = Parameter(Tensor.randn([count, width], dtype: dtype)) }

    public func callAsFunction(_ indices: Tensor, file: StaticString = #fileID, line: UInt = #line) -> Tensor {
        named(indices, file, line) { weight.embedding(indices, file: file, line: line) }
    }
}

/// Axes from one to another merged into one; all but the first unless told.
public final class Flatten: LocatedLayer {
    private let from: Int
    private let to: Int
    public init(from: Int = 1, to: Int = -1) {
        self.from = from
        self.to = to
    }
    public func callAsFunction(_ input: Tensor, file: StaticString = #fileID, line: UInt = #line) -> Tensor {
        named(input, file, line) { input.flatten(from: from, to: to) }
    }
}

/// The input itself.
public final class Identity: LocatedLayer {
    public init() {}
    public func callAsFunction(_ input: Tensor, file: StaticString = #fileID, line: UInt = #line) -> Tensor { input }
}

/// Zeroes elements at random while training, and scales the others so that the mean stays.
public final class Dropout: LocatedLayer {
    public let probability: Double
    public var isTraining = true

    public init(_ probability: Double = 0.5) { self.probability = probability }

    public func callAsFunction(_ input: Tensor, file: StaticString = #fileID, line: UInt = #line) -> Tensor {
        named(input, file, line) { dropout(input, probability, isTraining: isTraining) }
    }
}

/// Zeroes elements with the given probability, and scales the others by 1 / (1 - probability).
public func dropout(_ input: Tensor, _ probability: Double, isTraining: Bool = true) -> Tensor {
    guard isTraining, probability > 0 else { return input }
    if probability >= 1 { return .zerosLike(input) }
    let keeps = Tensor.bernoulli(key: RandomGenerator.shared.key(input.device), input.dims, probability: 1 - probability)
    return keeps.select(input * (1 / (1 - probability)), 0)
}

/// A function as a layer.
public final class Activation: LocatedLayer {
    private let function: (Tensor) -> Tensor
    public init(_ function: @escaping (Tensor) -> Tensor) { self.function = function }
    public func callAsFunction(_ input: Tensor, file: StaticString = #fileID, line: UInt = #line) -> Tensor {
        named(input, file, line) { function(input) }
    }
}

public final class ReLU: LocatedLayer {
    public init() {}
    public func callAsFunction(_ input: Tensor, file: StaticString = #fileID, line: UInt = #line) -> Tensor {
        named(input, file, line) { input.relu() }
    }
}
public final class GELU: LocatedLayer {
    private let isApproximate: Bool
    public init(tanh isApproximate: Bool = false) { self.isApproximate = isApproximate }
    public func callAsFunction(_ input: Tensor, file: StaticString = #fileID, line: UInt = #line) -> Tensor {
        named(input, file, line) { input.gelu(tanh: isApproximate) }
    }
}
public final class SiLU: LocatedLayer {
    public init() {}
    public func callAsFunction(_ input: Tensor, file: StaticString = #fileID, line: UInt = #line) -> Tensor {
        named(input, file, line) { input.silu() }
    }
}
public final class Tanh: LocatedLayer {
    public init() {}
    public func callAsFunction(_ input: Tensor, file: StaticString = #fileID, line: UInt = #line) -> Tensor {
        named(input, file, line) { input.tanh() }
    }
}
public final class Sigmoid: LocatedLayer {
    public init() {}
    public func callAsFunction(_ input: Tensor, file: StaticString = #fileID, line: UInt = #line) -> Tensor {
        named(input, file, line) { input.sigmoid() }
    }
}
public final class LeakyReLU: LocatedLayer {
    private let slope: Double
    public init(_ slope: Double = 0.01) { self.slope = slope }
    public func callAsFunction(_ input: Tensor, file: StaticString = #fileID, line: UInt = #line) -> Tensor {
        named(input, file, line) { input.leakyRelu(slope) }
    }
}
public final class Softmax: LocatedLayer {
    private let axis: Int
    public init(_ axis: Int = -1) { self.axis = axis }
    public func callAsFunction(_ input: Tensor, file: StaticString = #fileID, line: UInt = #line) -> Tensor {
        named(input, file, line) { input.softmax(axis) }
    }
}
