// Whole programs as users write them, from the ops' spellings, with their gradients: what fusion is tried on.

import KilnIR
import KilnOps
import KilnPasses
import Testing

/// A graph made by spellings, and what its integer inputs are drawn from.
struct WholeProgram: Sendable, CustomTestStringConvertible {
    let name: String
    var integers: ClosedRange<Int> = 0...4
    let build: @Sendable (GraphBuilder, DType) throws -> Graph

    var testDescription: String { name }

    func graph(_ dtype: DType) throws -> Graph { try build(GraphBuilder(name), dtype) }

    /// The gradients of the first output with respect to the inputs of the given names, as further outputs.
    static func gradients(_ graph: Graph, _ names: [String]) throws -> Graph {
        let variables = graph.inputs.filter { names.contains($0.name) }.map(\.value)
        return try Differentiate.gradients(graph, of: [graph.outputs[0].value], withRespectTo: variables)
    }
}

/// The mean of `-log softmax(scores)[class]`.
private func crossEntropy(_ scores: Value, _ classes: Value) -> Value {
    -scores.logSoftmax(1).gather(1, classes.unsqueezed(1)).squeezed(1).mean()
}

extension WholeProgram {
    static let all = rows + networks + control

    // MARK: Rows

    static let rows = [
        WholeProgram(name: "softmax along rows and columns") { b, t in
            let x = b.input("x", TensorType(t, [33, 65]))
            return try b.finish([("rows", x.softmax(1)), ("columns", (x * 2).softmax(0)), ("logs", x.logSoftmax(-1)), ("sums", x.logSumExp(0))])
        },
        WholeProgram(name: "softmax of a permuted batch, and its gradient") { b, t in
            let x = b.input("x", TensorType(t, [3, 17, 9])), w = b.input("w", TensorType(t, [3, 9, 17]))
            return try gradients(b.finish([("loss", (x.transpose(1, 2).softmax(-1) * w).sum())]), ["x", "w"])
        },
        WholeProgram(name: "layer norm and its gradient") { b, t in
            let x = b.input("x", TensorType(t, [17, 65])), scale = b.input("scale", TensorType(t, [65])), shift = b.input("shift", TensorType(t, [65]))
            let w = b.input("w", TensorType(t, [17, 65]))
            let centered = x - x.mean(-1, keepDims: true)
            let y = centered * (centered.square().mean(-1, keepDims: true) + 1e-5).rsqrt() * scale + shift
            return try gradients(b.finish([("loss", (y * w).sum()), ("y", y)]), ["x", "scale", "shift"])
        },
        WholeProgram(name: "batch norm in training and its gradient") { b, t in
            let x = b.input("x", TensorType(t, [4, 5, 7, 7])), scale = b.input("scale", TensorType(t, [5])), shift = b.input("shift", TensorType(t, [5]))
            let w = b.input("w", TensorType(t, [4, 5, 7, 7]))
            let mean = x.mean(0, 2, 3, keepDims: true), variance = x.variance([0, 2, 3], unbiased: false, keepDims: true)
            let y = (x - mean) / (variance + 1e-5).sqrt() * scale.reshape(5, 1, 1) + shift.reshape(5, 1, 1)
            return try gradients(b.finish([("loss", (y * w).sum()), ("mean", mean), ("variance", variance)]), ["x", "scale", "shift"])
        },
        WholeProgram(name: "statistics that share an operand") { b, t in
            let x = b.input("x", TensorType(t, [31, 33]))
            return try b.finish([("mean", x.mean(1)), ("std", x.std(0)), ("norm", x.norm(1)), ("most", x.max(0)), ("least", x.min(1)),
                                 ("place", x.argmax(1)), ("all", x.sum()), ("positive", (x .> 0).sum(0))])
        },
        WholeProgram(name: "a tower of activations and its gradient") { b, t in
            let x = b.input("x", TensorType(t, [13, 37])), y = b.input("y", TensorType(t, [37]))
            let h = (x.gelu() + y.silu()).tanh() * x.gelu(tanh: true) + (x * y).softplus().sigmoid() - (x.square() + 1).log().erf()
            return try gradients(b.finish([("loss", h.mish().sum()), ("h", h)]), ["x", "y"])
        },
        WholeProgram(name: "chains of cumulative sums and their gradient") { b, t in
            let x = b.input("x", TensorType(t, [17, 33]))
            let y = (x * 0.1).cumsum(1).exp().cumsum(0, reverse: true), z = (x * 0.1 + 1).cumprod(1, exclusive: true)
            return try gradients(b.finish([("loss", (y * z.cumsum(0)).mean()), ("y", y), ("z", z), ("m", x.cummax(1))]), ["x"])
        },
    ]

    // MARK: Networks

    static let networks = [
        WholeProgram(name: "a perceptron's step with Adam") { b, t in
            let x = b.input("x", TensorType(t, [17, 13])), classes = b.input("classes", TensorType(.i64, [17]))
            let names = ["w1", "b1", "w2", "b2"], shapes: [Shape] = [[33, 13], [33], [5, 33], [5]]
            let parameters = zip(names, shapes).map { b.input($0, TensorType(t, $1)) }
            let h = x.linear(parameters[0], parameters[1]).relu()
            let loss = crossEntropy(h.linear(parameters[2], parameters[3]), classes)
            let step = try gradients(b.finish([("loss", loss)]), names)
            let update = GraphBuilder(step, constants: Catalogue.constants)
            var outputs = [("loss", update.value(step.outputs[0].value))]
            for (number, name) in names.enumerated() {
                let gradient = update.value(step.outputs[number + 1].value), value = update.value(parameters[number].id)
                // Running estimates from earlier steps, so that no quotient of two small numbers decides.
                let mean = update.input("mean.\(name)", value.type) * 0.9 + gradient * 0.1
                let square = update.input("square.\(name)", value.type).square() * 0.999 + gradient.square() * 0.001
                outputs += [(name, value - mean * 0.01 / (square.sqrt() + 0.1)), ("mean.\(name)", mean), ("square.\(name)", square)]
            }
            return try update.finish(outputs)
        },
        WholeProgram(name: "a convolutional network's step") { b, t in
            let x = b.input("x", TensorType(t, [3, 2, 10, 10])), classes = b.input("classes", TensorType(.i64, [3]))
            let k1 = b.input("k1", TensorType(t, [5, 2, 3, 3])), b1 = b.input("b1", TensorType(t, [5])), k2 = b.input("k2", TensorType(t, [6, 5, 2, 2]))
            let w = b.input("w", TensorType(t, [5, 24])), shift = b.input("shift", TensorType(t, [5]))
            let first = x.conv2d(k1, bias: b1, padding: 1).relu().maxPool2d(2)
            let second = first.conv2d(k2, stride: 2, padding: 1, groups: 1).tanh().avgPool2d(2, stride: 1)
            let loss = crossEntropy(second.flatten(from: 1).linear(w, shift), classes)
            let names = ["k1", "b1", "k2", "w", "shift"]
            let step = try gradients(b.finish([("loss", loss)]), names)
            let update = GraphBuilder(step, constants: Catalogue.constants)
            let outputs = zip(names, [k1, b1, k2, w, shift]).enumerated().map { number, pair in
                (pair.0, update.value(pair.1.id) - update.value(step.outputs[number + 1].value) * 0.1)
            }
            return try update.finish([("loss", update.value(step.outputs[0].value))] + outputs)
        },
        WholeProgram(name: "causal attention and its gradient") { b, t in
            let type = TensorType(t, [2, 3, 17, 8])
            let q = b.input("q", type), k = b.input("k", type), v = b.input("v", type), w = b.input("w", type)
            let scores = q.matmul(k.transpose(-1, -2)) * (1 / 8.0.squareRoot())
            let ones = b.full(1, TensorType(t, [17, 17]))
            let y = (scores + (ones.upperTriangle(diagonal: 1) * -1e4)).softmax(-1).matmul(v)
            return try gradients(b.finish([("loss", (y * w).sum()), ("y", y)]), ["q", "k", "v"])
        },
        WholeProgram(name: "an embedding under a cross entropy, and its gradient") { b, t in
            let table = b.input("table", TensorType(t, [11, 9])), tokens = b.input("tokens", TensorType(.i64, [4, 7]))
            let w = b.input("w", TensorType(t, [5, 9])), classes = b.input("classes", TensorType(.i64, [28]))
            let scores = table.embedding(tokens).reshape(28, 9).linear(w)
            return try gradients(b.finish([("loss", crossEntropy(scores, classes)), ("best", scores.argmax(1))]), ["table", "w"])
        },
    ]
}
