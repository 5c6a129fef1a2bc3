// Stochastic gradient descent with momentum.
import KilnIR
import KilnOps

/// `p -= learningRate * (gradient + weightDecay * p)`, with momentum as PyTorch has it.
/// (I. Sutskever et al., "On the importance of initialization and momentum in deep learning", 2013.)
public final class SGD: Optimizer {
    private let momentum: Double
    private let weightDecay: Double
    private let nesterov: Bool
    private var velocities: [Buffer] = []

    public init(_ parameters: [Parameter], learningRate: Double, momentum: Double = 0, weightDecay: Double = 0, nesterov: Bool = false) {
        self.momentum = momentum
        self.weightDecay = weightDecay
        self.nesterov = nesterov
        super.init(parameters, learningRate: learningRate)
        if momentum != 0 { velocities = zeros() }
    }

    override func updated(_ value: Tensor, _ gradient: Tensor, _ index: Int) -> Tensor {
        var direction = weightDecay == 0 ? gradient : gradient + value * weightDecay
        if momentum != 0 {
            let velocity = kept(velocities[index], for: value) * momentum + direction
            velocities[index].value = velocity
            direction = nesterov ? direction + velocity * momentum : velocity
        }
        return value - direction * rate(for: value).cast(to: value.dtype)
    }

    public override var variables: [(name: String, variable: Buffer)] {
        velocities.enumerated().map { ("velocity.\($0.offset)", $0.element) }
    }
}
