// The functions that a recurrent layer's attributes name for its gates, with their parameters.

import KilnIR
import KilnOps

/// One function of a recurrent layer.
struct RecurrentActivation {
    var name: String
    var alpha: Double
    var beta: Double
    /// What the function's argument is kept within, from -clip to clip.
    var clip: Double?

    /// A node's functions in order, those of its second direction after those of the first. Each takes the next of the attributes'
    /// alphas and betas if it has such a parameter.
    static func all(_ node: NodeContext, defaults: [String], directions: Int) throws -> [RecurrentActivation] {
        let names = node.texts("activations") ?? Array(repeating: defaults, count: directions).flatMap { $0 }
        guard names.count == defaults.count * directions else { throw node.mistake("names \(names.count) activations, and \(defaults.count * directions) are needed") }
        var alphas = (node.reals("activation_alpha") ?? [])[...], betas = (node.reals("activation_beta") ?? [])[...]
        let clip = node.real("clip")
        return try names.map { name in
            let name = name.lowercased()
            guard let usual = parameters[name] else { throw node.mistake("has the unknown activation '\(name)'") }
            return RecurrentActivation(name: name, alpha: usual.alpha.map { alphas.popFirst() ?? $0 } ?? 0,
                                       beta: usual.beta.map { betas.popFirst() ?? $0 } ?? 0, clip: clip)
        }
    }

    /// What the functions have for parameters, with the values that hold where none are given.
    private static let parameters: [String: (alpha: Double?, beta: Double?)] = [
        "relu": (nil, nil), "tanh": (nil, nil), "sigmoid": (nil, nil), "softsign": (nil, nil), "softplus": (nil, nil),
        "affine": (1, 0), "scaledtanh": (1, 1), "hardsigmoid": (0.2, 0.5),
        "leakyrelu": (0.01, nil), "thresholdedrelu": (1, nil), "elu": (1, nil),
    ]

    func callAsFunction(_ argument: Value) -> Value { unclipped(clip.map { argument.clamp(-$0, $0) } ?? argument) }

    func unclipped(_ x: Value) -> Value {
        switch name {
        case "relu": x.relu()
        case "tanh": x.tanh()
        case "sigmoid": x.sigmoid()
        case "softsign": x.softsign()
        case "softplus": x.softplus()
        case "affine": x * alpha + beta
        case "scaledtanh": (x * beta).tanh() * alpha
        case "hardsigmoid": (x * alpha + beta).clamp(0.0, 1.0)
        case "leakyrelu": x.leakyRelu(alpha)
        case "thresholdedrelu": (x .>= alpha).select(x, 0.0)
        default: x.elu(alpha)
        }
    }
}
