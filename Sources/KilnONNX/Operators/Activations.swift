// Operators that networks bend their signals with.

import KilnIR
import KilnOps

extension Operators {
    static let activations: [Operator] = [
        Operator("Relu") { try $0.tensor(0).relu() },
        Operator("LeakyRelu") { try $0.tensor(0).leakyRelu($0.real("alpha", 0.01)) },
        Operator("PRelu") { node in
            let (x, slope) = (try node.tensor(0), try node.slope())
            return (x .< 0).select(x * slope, x)
        },
        Operator("Elu") { try $0.tensor(0).elu($0.real("alpha", 1)) },
        Operator("Selu") { node in
            let x = try node.tensor(0)
            let alpha = node.real("alpha", node.version < 6 ? 1.6732 : 1.67326319217681884765625)
            let gamma = node.real("gamma", node.version < 6 ? 1.0507 : 1.05070102214813232421875)
            return x.elu(alpha) * gamma
        },
        Operator("Celu") { node in
            let x = try node.tensor(0), alpha = node.real("alpha", 1)
            // The exponential never sees what would overflow.
            return (x .> 0).select(x, (x.minimum(0) / alpha).expm1() * alpha)
        },
        Operator("Gelu") { try $0.tensor(0).gelu(tanh: $0.text("approximate") == "tanh") },
        Operator("ThresholdedRelu") { node in
            let x = try node.tensor(0)
            return (x .> node.real("alpha", 1)).select(x, 0)
        },
        Operator("HardSigmoid") { node in
            (try node.tensor(0) * node.real("alpha", 0.2) + node.real("beta", 0.5)).clamp(0, 1)
        },
        Operator("HardSwish") { node in
            let x = try node.tensor(0)
            return x * (x / 6 + 0.5).clamp(0, 1)
        },
        Operator("Mish") { try $0.tensor(0).mish() },
        Operator("Softplus") { try $0.tensor(0).softplus() },
        Operator("Softsign") { try $0.tensor(0).softsign() },
        Operator("Sigmoid") { try $0.tensor(0).sigmoid() },
        Operator("Shrink") { node in
            let x = try node.tensor(0), bias = node.real("bias", 0), bound = node.real("lambd", 0.5)
            // Integers are compared and moved as reals.
            let wide = x.dtype.isFloat ? x : x.cast(to: .f64)
            let result = (wide .< -bound).select(wide + bias, (wide .> bound).select(wide - bias, 0))
            return result.cast(to: x.dtype)
        },
        Operator("Swish") { try $0.tensor(0).swish($0.real("alpha", 1)) },
        Operator("SwiGLU") { try $0.tensor(0).swish($0.real("alpha", 1)) * $0.tensor(1) },

        Operator("Gelu", .microsoft) { try $0.tensor(0).gelu() },
        Operator("FastGelu", .microsoft) { node in
            let x = try node.tensor(0)
            return (try node.tensorIfPresent(1).map { x + $0 } ?? x).gelu(tanh: true)
        },
        Operator("QuickGelu", .microsoft) { try $0.tensor(0).swish($0.real("alpha", 1.702)) },
        Operator("BiasGelu", .microsoft) { (try $0.tensor(0) + $0.tensor(1)).gelu() },
    ]
}

extension NodeContext {
    /// The slopes of PRelu. Before version 7 they are one number, or one for each channel.
    fileprivate func slope() throws -> Value {
        let x = try tensor(0), slope = try tensor(1)
        guard version < 7, slope.rank == 1, slope.size(axis: 0) != 1, x.rank > 2 else { return slope }
        return slope.appendingAxes(x.rank - 2)
    }
}

extension Operand {
    fileprivate func swish(_ alpha: Double) -> Self { alpha == 1 ? silu() : self * (self * alpha).sigmoid() }
}
