// Layers that bring activations to mean zero and variance one: over the batch, or over the last axes.
import KilnIR
import KilnOps

/// Normalizes each channel over the batch and all positions: [batch, channels, …].
/// (S. Ioffe and C. Szegedy, "Batch Normalization", 2015.)
///
/// While training, the batch's own mean and variance are used and gathered into running ones, which are used afterwards.
public class BatchNorm: LocatedLayer {
    /// [channels]; nil for both where the layer has no parameters.
    public let weight: Parameter?
    public let bias: Parameter?
    /// [channels]
    @Buffer public var runningMean: Tensor
    @Buffer public var runningVar: Tensor
    public var isTraining = true
    private let epsilon: Double
    private let momentum: Double

    public init(_ channels: Int, epsilon: Double = 1e-5, momentum: Double = 0.1, affine: Bool = true, dtype: DType = .f32) {
        weight = affine ? Parameter(.ones([channels], dtype: dtype)) : nil
        bias = affine ? Parameter(.zeros([channels], dtype: dtype)) : nil
        _runningMean = Buffer(.zeros([channels], dtype: dtype))
        _runningVar = Buffer(.ones([channels], dtype: dtype))
        self.epsilon = epsilon
        self.momentum = momentum
    }

    public func callAsFunction(_ input: Tensor, file: StaticString = #fileID, line: UInt = #line) -> Tensor {
        named(input, file, line) { normalized(input) }
    }

    private func normalized(_ input: Tensor) -> Tensor {
        if input.node.kind == .poison { return input }
        func mistake(_ problem: String, fix: String) -> Tensor {
            .poisoned(ShapeError(op: "BatchNorm", problem, operands: [input.type], fix: fix), like: input)
        }
        guard input.rank >= 2 else { return mistake("takes [batch, channels, …]", fix: "add the axes that are missing") }
        if let channels = _runningMean.stored.dims.first, let given = input.dims[1].constant, channels != .constant(given) {
            return mistake("the input has \(given) channels, and the layer was made for \(channels)", fix: "pass [batch, \(channels), …], or make the layer for \(given)")
        }
        guard isTraining else { return scaled(input, mean: runningMean, variance: runningVar) }
        let values = input.dims.enumerated().map { $0.offset == 1 ? Dim.constant(1) : $0.element }.reduce(Dim.constant(1), *)
        if values == 1 {
            return mistake("one value for each channel has no variance to train with", fix: "pass more examples, or call eval() first")
        }
        let axes = [0] + Array(2..<input.rank)
        let count = axes.map { input.dims[$0] }.reduce(Dim.constant(1), *)
        let mean = mean(input, axes, count)
        let variance = self.mean((input - spread(mean, input.rank)).square(), axes, count)
        noGrad {
            // The running variance is the unbiased one.
            let unbiased = count.constant.map { $0 > 1 ? variance * (Double($0) / Double($0 - 1)) : variance } ?? variance
            runningMean = runningMean * (1 - momentum) + mean.detach() * momentum
            runningVar = runningVar * (1 - momentum) + unbiased.detach() * momentum
        }
        return scaled(input, mean: mean, variance: variance)
    }

    private func mean(_ input: Tensor, _ axes: [Int], _ count: Dim) -> Tensor {
        let sum = input.reducing(Structural.reduceSum, axes)
        return count.constant.map { sum * (1 / Double(max($0, 1))) } ?? input.mean(axes)
    }

    /// [channels] → [1, channels, 1, …].
    private func spread(_ tensor: Tensor, _ rank: Int) -> Tensor {
        tensor.reshaping(to: [1] + tensor.dims + Array(repeating: 1, count: rank - 2))
    }

    private func scaled(_ input: Tensor, mean: Tensor, variance: Tensor) -> Tensor {
        let scale = (variance + epsilon).rsqrt()
        let normal = (input - spread(mean, input.rank)) * spread(weight.map { scale * $0.value } ?? scale, input.rank)
        return bias.map { normal + spread($0.value, input.rank) } ?? normal
    }
}

/// [batch, channels] or [batch, channels, length].
public final class BatchNorm1d: BatchNorm {}
/// [batch, channels, height, width].
public final class BatchNorm2d: BatchNorm {}

/// Normalizes over the last axes, for each position of the others. (J. L. Ba et al., "Layer Normalization", 2016.)
public final class LayerNorm: LocatedLayer {
    public let weight: Parameter?
    public let bias: Parameter?
    private let axisCount: Int
    private let epsilon: Double

    public init(_ shape: [Int], epsilon: Double = 1e-5, affine: Bool = true, dtype: DType = .f32) {
        weight = affine ? Parameter(.ones(shape, dtype: dtype)) : nil
        bias = affine ? Parameter(.zeros(shape, dtype: dtype)) : nil
        axisCount = shape.count
        self.epsilon = epsilon
    }
    public convenience init(_ size: Int, epsilon: Double = 1e-5, affine: Bool = true, dtype: DType = .f32) {
        self.init([size], epsilon: epsilon, affine: affine, dtype: dtype)
    }

    public func callAsFunction(_ input: Tensor, file: StaticString = #fileID, line: UInt = #line) -> Tensor {
        named(input, file, line) { layerNorm(input, axisCount: axisCount, weight: weight?.value, bias: bias?.value, epsilon: epsilon) }
    }
}

/// Normalizes over the last `axisCount` axes, then scales and shifts.
public func layerNorm(_ input: Tensor, axisCount: Int = 1, weight: Tensor? = nil, bias: Tensor? = nil, epsilon: Double = 1e-5,
                      file: StaticString = #fileID, line: UInt = #line) -> Tensor {
    let location = SourceLocation(file, line)
    guard input.rank >= axisCount else {
        return .poisoned(ShapeError(op: "layerNorm", "normalizes \(axisCount) axes", operands: [input.type], at: location,
                                    fix: "pass at least as many"), like: input, at: location)
    }
    guard axisCount > 0 else {
        return .poisoned(ShapeError(op: "layerNorm", "normalizes over \(axisCount) axes", operands: [input.type], at: location, fix: "give at least one"),
                         like: input, at: location)
    }
    for given in [weight, bias] {
        if let given, input.node.kind != .poison, given.rank > axisCount || !zip(given.dims, input.dims.suffix(given.rank)).allSatisfy({ $0 == $1 || $0.constant == nil || $1.constant == nil }) {
            if given.node.kind == .poison { return given }
            return .poisoned(ShapeError(op: "layerNorm", "the input's last axes are \(Array(input.dims.suffix(axisCount)).text), and the weights are for \(given.dims.text)",
                                        operands: [input.type, given.type], at: location, fix: "pass an input whose last axes are \(given.dims.text)"),
                             like: input, at: location)
        }
    }
    let axes = Array(input.rank - axisCount..<input.rank)
    let centered = input - input.mean(axes, keepDims: true)
    let variance = centered.square().mean(axes, keepDims: true)
    var result = centered * (variance + epsilon).rsqrt()
    if let weight { result = result * weight }
    if let bias { result = result + bias }
    return result
}
