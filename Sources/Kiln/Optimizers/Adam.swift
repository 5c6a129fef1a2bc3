// Adam, and Adam with decoupled weight decay.
import KilnIR
import KilnOps

/// Steps scaled by running estimates of the gradient's mean and square. (D. P. Kingma and J. Ba, "Adam", 2015.)
public class Adam: Optimizer {
    private let betas: (Double, Double)
    private let epsilon: Double
    fileprivate let weightDecay: Double
    fileprivate var decaysWeights: Bool { false }
    private var means: [Buffer] = []
    private var squares: [Buffer] = []
    /// beta to the power of the number of steps; data, so that the code stays the same from step to step.
    private let powers: (Buffer, Buffer)

    public init(_ parameters: [Parameter], learningRate: Double = 1e-3, betas: (Double, Double) = (0.9, 0.999), epsilon: Double = 1e-8,
                weightDecay: Double = 0) {
        self.betas = betas
        self.epsilon = epsilon
        self.weightDecay = weightDecay
        let device = parameters.first?.stored.device ?? .default
        powers = (Buffer(Tensor(1.0, dtype: .f64, device: device)), Buffer(Tensor(1.0, dtype: .f64, device: device)))
        super.init(parameters, learningRate: learningRate)
        means = zeros()
        squares = zeros()
    }

    override func updated(_ value: Tensor, _ gradient: Tensor, _ index: Int) -> Tensor {
        let dtype = value.dtype, rate = rate(for: value)
        var value = value, gradient = gradient
        if weightDecay != 0 {
            if decaysWeights { value = value * (1 - rate * weightDecay).cast(to: dtype) } else { gradient = gradient + value * weightDecay }
        }
        let mean = kept(means[index], for: value) * betas.0 + gradient * (1 - betas.0)
        let square = kept(squares[index], for: value) * betas.1 + gradient.square() * (1 - betas.1)
        means[index].value = mean
        squares[index].value = square
        // The estimates start at zero; dividing by 1 - betaᵗ takes that out.
        let power = (kept(powers.0, for: value) * betas.0, kept(powers.1, for: value) * betas.1)
        let size = (rate / (1 - power.0)).cast(to: dtype)
        let correction = (1 - power.1).rsqrt().cast(to: dtype)
        return value - mean * size / (square.sqrt() * correction + epsilon)
    }

    override func finishStep() {
        guard let first = parameters.first else { return }
        powers.0.value = kept(powers.0, for: first.value) * betas.0
        powers.1.value = kept(powers.1, for: first.value) * betas.1
    }

    public override var variables: [(name: String, variable: Buffer)] {
        means.enumerated().map { ("mean.\($0.offset)", $0.element) } + squares.enumerated().map { ("square.\($0.offset)", $0.element) }
            + [("power.0", powers.0), ("power.1", powers.1)]
    }
}

/// Adam whose weight decay shrinks the weights themselves. (I. Loshchilov and F. Hutter, "Decoupled Weight Decay Regularization", 2019.)
public final class AdamW: Adam {
    public override init(_ parameters: [Parameter], learningRate: Double = 1e-3, betas: (Double, Double) = (0.9, 0.999), epsilon: Double = 1e-8,
                         weightDecay: Double = 0.01) {
        super.init(parameters, learningRate: learningRate, betas: betas, epsilon: epsilon, weightDecay: weightDecay)
    }
    fileprivate override var decaysWeights: Bool { true }
}
