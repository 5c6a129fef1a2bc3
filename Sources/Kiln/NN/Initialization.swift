// How parameters start: PyTorch's formulas over the numbers of inputs and outputs of a unit.
import KilnIR

/// Starting values of parameters.
public enum Initialization {
    /// Evenly from -bound to bound.
    public static func uniform(_ shape: [Int], bound: Double, dtype: DType = .f32) -> Tensor {
        Tensor.rand(shape, dtype: dtype) * (2 * bound) - bound
    }

    public static func normal(_ shape: [Int], mean: Double = 0, std: Double = 1, dtype: DType = .f32) -> Tensor {
        Tensor.randn(shape, dtype: dtype) * std + mean
    }

    /// The numbers of inputs and outputs of a unit of a weight of shape [out, in, kernel…].
    public static func fans(_ shape: [Int]) -> (in: Int, out: Int) {
        guard shape.count >= 2 else { return (shape.first ?? 1, shape.first ?? 1) }
        let field = shape.dropFirst(2).reduce(1, *)
        return (shape[1] * field, shape[0] * field)
    }

    /// Evenly, with the variance 2 / ((1 + slope²) · inputs). (K. He et al., "Delving Deep into Rectifiers", 2015.)
    public static func kaimingUniform(_ shape: [Int], slope: Double = 0, dtype: DType = .f32) -> Tensor {
        uniform(shape, bound: (6 / ((1 + slope * slope) * Double(max(fans(shape).in, 1)))).squareRoot(), dtype: dtype)
    }

    public static func kaimingNormal(_ shape: [Int], slope: Double = 0, dtype: DType = .f32) -> Tensor {
        normal(shape, std: (2 / ((1 + slope * slope) * Double(max(fans(shape).in, 1)))).squareRoot(), dtype: dtype)
    }

    /// Evenly, with the variance 2 / (inputs + outputs). (X. Glorot and Y. Bengio, 2010.)
    public static func xavierUniform(_ shape: [Int], gain: Double = 1, dtype: DType = .f32) -> Tensor {
        let fans = fans(shape)
        return uniform(shape, bound: gain * (6 / Double(fans.in + fans.out)).squareRoot(), dtype: dtype)
    }

    public static func xavierNormal(_ shape: [Int], gain: Double = 1, dtype: DType = .f32) -> Tensor {
        let fans = fans(shape)
        return normal(shape, std: gain * (2 / Double(fans.in + fans.out)).squareRoot(), dtype: dtype)
    }

    /// What PyTorch gives the weights of linear and convolutional layers: evenly within 1 / √inputs.
    static func layerWeight(_ shape: [Int], _ dtype: DType) -> Tensor { kaimingUniform(shape, slope: 5.0.squareRoot(), dtype: dtype) }
    /// And their biases.
    static func layerBias(_ size: Int, inputs: Int, _ dtype: DType) -> Tensor {
        uniform([size], bound: 1 / Double(max(inputs, 1)).squareRoot(), dtype: dtype)
    }
}
