// Modules: names, modes, state, and each layer's values against numbers computed by hand.
import Kiln
import Testing

private final class Block: Layer {
    let first = Linear(2, 3)
    let extras: [any Layer] = [ReLU(), Linear(3, 3, bias: false)]
    let missing: Linear? = nil
    @Parameter var scale = Tensor([1.0, 1, 1])
    @Buffer var count = Tensor(0.0)
    var isTraining = true
    func callAsFunction(_ x: Tensor) -> Tensor { extras.reduce(first(x)) { $1($0) } * scale }
}

private func close(_ a: [Double], _ b: [Double], _ tolerance: Double = 1e-5) -> Bool {
    a.count == b.count && zip(a, b).allSatisfy { abs($0 - $1) <= tolerance * max(1, abs($1)) }
}

@Suite struct ModuleTests {
    @Test func findsParameters() {
        let block = Block()
        #expect(block.namedParameters.map(\.name) == ["first.weight", "first.bias", "extras.1.weight", "scale"])
        #expect(block.namedBuffers.map(\.name) == ["count"])
        #expect(block.namedModules.map(\.name) == ["", "first", "extras.0", "extras.1"])
        #expect(block.parameterCount == 6 + 3 + 9 + 3)
        let model = Sequential { Linear(4, 2); ReLU(); BatchNorm1d(2) }
        #expect(model.state().keys.sorted() == ["0.bias", "0.weight", "2.bias", "2.runningMean", "2.runningVar", "2.weight"])
    }

    @Test func switchesModes() {
        let model = Sequential(Dropout(0.5), Sequential(BatchNorm1d(2)))
        model.eval()
        #expect(model.namedModules.map(\.module.isTraining) == [true, false, true, false])
        model.train()
        #expect((model[0] as! Dropout).isTraining)
    }

    @Test func savesAndLoads() throws {
        let a = Block(), b = Block()
        let x = Tensor([[1.0, -2]])
        try b.load(state: a.state())
        let expected = try a(x).array()
        #expect(try b(x).array() == expected)
        #expect(b.scale.requiresGrad)
        var state = a.state()
        state["scale"] = Tensor([1.0])
        #expect { try b.load(state: state) } throws: { "\($0)".contains("\"scale\" is f32[1] in the state and f32[3]") }
        state["scale"] = nil
        #expect { try b.load(state: state) } throws: { "\($0)".contains("no \"scale\"") }
        try b.load(state: state, strict: false)
        state["other"] = x
        #expect(throws: CompileError.self) { try b.load(state: state) }
    }

    @Test func linearLayer() throws {
        let layer = Linear(2, 3)
        layer.weight = Tensor([[1.0, 2], [3, 4], [5, 6]])
        layer.bias!.value = Tensor([0.5, 0, -0.5]).requiringGrad()
        #expect(try layer(Tensor([[1.0, 1], [0, 2]])).array() == [3.5, 7, 10.5, 4.5, 8, 11.5])
        #expect(layer(Tensor.zeros([5, 4, 2])).shape == [5, 4, 3])
        #expect(throws: ShapeError.self) { try layer(Tensor([1.0, 2, 3])).array() }
        let bound = 1 / 10.0.squareRoot()
        #expect(try Linear(10, 50).weight.array().allSatisfy { abs($0) <= bound })
    }

    @Test func convolutionAndPooling() throws {
        let layer = Conv2d(1, 1, kernel: 2, bias: true)
        layer.weight.value = Tensor([1.0, 2, 3, 4], dtype: .f32).reshape(1, 1, 2, 2).requiringGrad()
        layer.bias!.value = Tensor([1.0]).requiringGrad()
        let image = Tensor.arange(0.0, 9, step: 1).reshape(1, 1, 3, 3)
        // 0·1 + 1·2 + 3·3 + 4·4 + 1 = 28, and 10 more for each step of one.
        #expect(try layer(image).array() == [28, 38, 58, 68])
        #expect(Conv2d(3, 8, kernel: 3, stride: 2, padding: 1)(Tensor.zeros([2, 3, 8, 8])).shape == [2, 8, 4, 4])
        #expect(Conv2d(4, 8, kernel: [3, 1], groups: 2)(Tensor.zeros([2, 4, 8, 8])).shape == [2, 8, 6, 8])
        #expect(Conv1d(2, 3, kernel: 3, dilation: 2)(Tensor.zeros([1, 2, 10])).shape == [1, 3, 6])
        #expect(try MaxPool2d(2)(Tensor.arange(0.0, 16, step: 1).reshape(1, 1, 4, 4)).array() == [5, 7, 13, 15])
        #expect(try AvgPool2d(2)(Tensor.arange(0.0, 16, step: 1).reshape(1, 1, 4, 4)).array() == [2.5, 4.5, 10.5, 12.5])
        #expect(try MaxPool2d(3, stride: 2, padding: 1)(Tensor.full([1, 1, 3, 3], -5)).array() == [-5, -5, -5, -5])
    }

    @Test func maxPoolGradientGoesToOneWinner() throws {
        let x = Tensor.ones([1, 1, 2, 2]).requiringGrad()
        try MaxPool2d(2)(x).sum().backward()
        #expect(try x.grad!.array() == [1, 0, 0, 0])
    }

    @Test func batchNorm() throws {
        let layer = BatchNorm1d(2, epsilon: 0)
        let x = Tensor([[1.0, 10], [3, 30]])
        #expect(close(try layer(x).array(), [-1, -1, 1, 1]))
        // 0.9 · 0 + 0.1 · mean; 0.9 · 1 + 0.1 · unbiased variance.
        #expect(close(try layer.runningMean.array(), [0.2, 2]))
        #expect(close(try layer.runningVar.array(), [0.9 + 0.2, 0.9 + 20]))
        layer.eval()
        let y = try layer(x).array()
        let (first, second) = (1.1.squareRoot(), 20.9.squareRoot())
        #expect(close(y, [0.8 / first, 8.0 / second, 2.8 / first, 28.0 / second]))
        #expect(close(try layer.runningMean.array(), [0.2, 2]))
        #expect(BatchNorm2d(3)(Tensor.randn([2, 3, 4, 4])).shape == [2, 3, 4, 4])
        #expect(!layer.runningMean.requiresGrad)
    }

    @Test func layerNormalization() throws {
        let layer = LayerNorm(4, epsilon: 0)
        let scale = 1 / 1.25.squareRoot()
        let expected: [Double] = [-1.5 * scale, -0.5 * scale, 0.5 * scale, 1.5 * scale]
        #expect(close(try layer(Tensor([[1.0, 2, 3, 4]])).array(), expected))
    }

    @Test func embeddingAndFlatten() throws {
        let layer = Embedding(3, 2)
        layer.weight = Tensor([[1.0, 2], [3, 4], [5, 6]])
        #expect(try layer(Tensor([[2, 0]])).array() == [5, 6, 1, 2])
        try layer(Tensor([2, 2, 0])).sum().backward()
        #expect(try layer.weight.grad!.array() == [1, 1, 0, 0, 2, 2])
        #expect(Flatten()(Tensor.zeros([2, 3, 4])).shape == [2, 12])
    }

    @Test func dropoutKeepsTheMean() throws {
        let layer = Dropout(0.25)
        let y = try layer(Tensor.ones([4000])).array()
        #expect(Set(y.map { ($0 * 3).rounded() }) == [0, 4])
        #expect(abs(y.reduce(0, +) / 4000 - 1) < 0.05)
        #expect(try layer.eval()(Tensor.ones([3])).array() == [1, 1, 1])
    }

    @Test func attention() throws {
        let q = Tensor([[[1.0, 0], [0, 1]]])
        let v = Tensor([[[1.0, 2], [3, 4]]])
        // Equal scores average; a causal first query sees the first value alone.
        #expect(close(try scaledDotProductAttention(q * 0, q, v).array(), [2, 3, 2, 3]))
        #expect(close(try scaledDotProductAttention(q * 0, q, v, isCausal: true).array(), [1, 2, 2, 3]))
        #expect(MultiheadAttention(8, heads: 2)(Tensor.randn([3, 5, 8])).shape == [3, 5, 8])
    }
}

@Suite struct LossTests {
    // PyTorch 2: the same calls on the same numbers.
    let scores = Tensor([[1.0, 2, 3], [1, 5, 2]])
    let classes = Tensor([2, 0])

    @Test func crossEntropyOfClasses() throws {
        // log(e¹+e²+e³) - 3 = 0.40760596, log(e¹+e⁵+e²) - 1 = 4.06584596
        #expect(close(try crossEntropy(scores, classes, reduction: .none).array(), [0.40760596, 4.06584596]))
        #expect(close([try crossEntropy(scores, classes).item()], [2.23672596]))
        #expect(close([try crossEntropy(scores, classes, reduction: .sum).item()], [4.47345192]))
        // 0.9 · 2.23672596 + 0.1 · mean over classes and examples of -log softmax.
        let logs: [Double] = [0.40760596, 1.40760596, 2.40760596, 4.06584596, 0.06584596, 3.06584596]
        let all = logs.reduce(0, +) / 6
        #expect(close([try crossEntropy(scores, classes, labelSmoothing: 0.1).item()], [0.9 * 2.23672596 + 0.1 * all]))
        #expect(close([try nllLoss(scores.logSoftmax(1), classes).item()], [2.23672596]))
        let probabilities = Tensor([[0.0, 0, 1], [1, 0, 0]])
        #expect(close([try crossEntropy(scores, probabilities).item()], [2.23672596]))
        #expect(throws: ShapeError.self) { try crossEntropy(scores, Tensor([1])).item() }
    }

    @Test func crossEntropyGradient() throws {
        let x = Tensor([[0.0, 0]]).requiringGrad()
        try crossEntropy(x, Tensor([1])).backward()
        #expect(close(try x.grad!.array(), [0.5, -0.5]))
    }

    @Test func differences() throws {
        let p = Tensor([1.0, 2, 5]), t = Tensor([1.5, 2, 1])
        #expect(close([try mseLoss(p, t).item()], [16.25 / 3]))
        #expect(close([try l1Loss(p, t).item()], [1.5]))
        #expect(close([try smoothL1Loss(p, t).item()], [(0.125 + 3.5) / 3]))
    }

    @Test func binary() throws {
        let p = Tensor([0.8, 0.4]), t = Tensor([1.0, 0])
        #expect(close([try binaryCrossEntropy(p, t).item()], [0.36698458]))
        let logits = Tensor([100.0, -100, 0])
        #expect(close(try binaryCrossEntropyWithLogits(logits, Tensor([0.0, 0, 1]), reduction: .none).array(), [100, 0, 0.69314718]))
    }
}
