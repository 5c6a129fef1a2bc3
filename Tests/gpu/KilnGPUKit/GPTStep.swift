// One step of training a small GPT in bf16: forward, backward, and gradient descent with momentum, as one graph. The peers' script
// has the same in PyTorch.

import Kiln
import KilnIR
import KilnOps
import KilnPasses

enum GPTStep {
    private static let (batch, tokens, width, heads, layers, vocabulary) = (8, 512, 512, 8, 4, 8192)
    private static let (rate, momentum) = (0.01, 0.9)

    /// The parameters, in order: tables of tokens and positions, the blocks', the last norm's, the head's.
    private static let shapes: [[Int]] = {
        let block: [[Int]] = [[width], [width], [3 * width, width], [3 * width], [width, width], [width],
                              [width], [width], [4 * width, width], [4 * width], [width, 4 * width], [width]]
        var all: [[Int]] = [[vocabulary, width], [tokens, width]]
        for _ in 0..<layers { all += block }
        return all + [[width], [width], [vocabulary, width]]
    }()

    static let workload: Workload = {
        let weights = Double(layers * 12 * width * width + vocabulary * width)
        let scores = Double(layers * 2 * tokens * width) // of one token, causal, both products
        let operations = 6 * Double(batch * tokens) * (weights + scores / 2)
        let ofParameters: [Double] = shapes.map { $0.count == 1 ? 0.1 : 0.04 }
        let scales: [Double] = [Double(vocabulary), Double(vocabulary)] + ofParameters + shapes.map { _ in 0.01 }
        return Workload(name: "train_gpt_bf16", limit: .matrix(operations), tolerance: 0.1, scales: scales) { try graph() }
    }()

    /// [batch, tokens] → the mean loss.
    private static func loss(_ x: Tensor, _ targets: Tensor, _ parameters: [Tensor]) -> Tensor {
        var rest = parameters[...]
        func next() -> Tensor { rest.removeFirst() }
        var h = next().take(x, axis: 0) + next()
        func split(_ y: Tensor, _ part: Int) -> Tensor {
            y[.all, .all, .range(from: part * width, to: (part + 1) * width)].reshape(batch, tokens, heads, width / heads).transpose(1, 2)
        }
        for _ in 0..<layers {
            let mixed = layerNorm(h, weight: next(), bias: next()).linear(next(), next())
            let attended = scaledDotProductAttention(split(mixed, 0), split(mixed, 1), split(mixed, 2), isCausal: true)
            h = h + attended.transpose(1, 2).reshape(batch, tokens, width).linear(next(), next())
            let wide = layerNorm(h, weight: next(), bias: next()).linear(next(), next()).gelu()
            h = h + wide.linear(next(), next())
        }
        let scores = layerNorm(h, weight: next(), bias: next()).matmul(next().t()).reshape(batch * tokens, vocabulary)
        return crossEntropy(scores, targets.reshape(batch * tokens))
    }

    /// Tokens, targets, parameters and momenta → the loss, and the new parameters and momenta.
    private static func graph() throws -> Graph {
        let indices = TensorType(.i64, [.constant(batch), .constant(tokens)])
        let specs = [TensorSpec("x", .i64, indices.shape), TensorSpec("targets", .i64, indices.shape)]
            + shapes.enumerated().map { TensorSpec("p\($0)", .bf16, $1.map { .constant($0) }) }
        let forward = try compile(name: "train_gpt_bf16", inputs: specs, outputs: ["loss"]) { [loss($0[0], $0[1], Array($0.dropFirst(2)))] }
        let variables = forward.inputs.dropFirst(2).map(\.value)
        let both = try Differentiate.gradients(forward, of: [forward.outputs[0].value], withRespectTo: variables)
        let builder = GraphBuilder(both, constants: Catalogue.constants)
        var outputs = [("loss", builder.value(both.outputs[0].value))]
        for (number, shape) in shapes.enumerated() {
            let moment = builder.input("m\(number)", TensorType(.bf16, shape.map { .constant($0) }))
            let moved = moment * momentum + builder.value(both.outputs[number + 1].value)
            outputs += [("new_p\(number)", builder.value(variables[number]) - moved * rate), ("new_m\(number)", moved)]
        }
        return try builder.finish(outputs)
    }
}
