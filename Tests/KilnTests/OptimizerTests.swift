// Optimizers: steps against hand-computed numbers, a training loop that compiles twice at most, data in batches.
import Kiln
import Testing

private func close(_ a: [Double], _ b: [Double], _ tolerance: Double = 1e-5) -> Bool {
    a.count == b.count && zip(a, b).allSatisfy { abs($0 - $1) <= tolerance * max(1, abs($1)) }
}

/// Steps on the loss x² / 2, whose gradient is x.
private func walk(_ steps: Int, _ make: ([Parameter]) -> Optimizer) throws -> [Double] {
    let p = Parameter(Tensor([1.0, -2]))
    let optimizer = make([p])
    for _ in 0..<steps {
        optimizer.zeroGrad()
        try (p.value.square().sum() * 0.5).backward()
        try optimizer.step()
    }
    return try p.value.array()
}

@Suite(.serialized) struct OptimizerTests {
    @Test func sgd() throws {
        #expect(close(try walk(2) { SGD($0, learningRate: 0.1) }, [0.81, -1.62]))
        // v: 1, 0.9·1 + 0.9 = 1.8; x: 1 → 0.9 → 0.72
        #expect(close(try walk(2) { SGD($0, learningRate: 0.1, momentum: 0.9) }, [0.72, -1.44]))
        // nesterov: g + 0.9·v: 1.9 → 0.81; v = 0.9 + 0.81 = 1.71, 0.81 + 1.539 = 2.349 → 0.5751
        #expect(close(try walk(2) { SGD($0, learningRate: 0.1, momentum: 0.9, nesterov: true) }, [0.5751, -1.1502]))
        #expect(close(try walk(1) { SGD($0, learningRate: 0.1, weightDecay: 0.5) }, [0.85, -1.7]))
    }

    @Test func adam() throws {
        // The first step is the learning rate, whatever the gradient.
        #expect(close(try walk(1) { Adam($0, learningRate: 0.1) }, [0.9, -1.9]))
        // m = 0.9·0.1 + 0.1·0.9 = 0.18, v = 0.999·0.001 + 0.001·0.81 = 0.001809, over 0.19 and 0.001999.
        let root = (0.001809 / 0.001999).squareRoot()
        let second: Double = 0.9 - 0.1 * (0.18 / 0.19) / root
        #expect(close([try walk(2) { Adam($0, learningRate: 0.1) }[0]], [second]))
        #expect(close(try walk(1) { AdamW($0, learningRate: 0.1, weightDecay: 0.5) }, [0.95 - 0.1, -1.9 + 0.1]))
    }

    @Test func stateIsSaved() throws {
        let p = Parameter(Tensor([1.0, -2]))
        func step(_ optimizer: Optimizer) throws {
            optimizer.zeroGrad()
            try p.value.square().sum().backward()
            try optimizer.step()
        }
        let first = Adam([p], learningRate: 0.1)
        for _ in 0..<3 { try step(first) }
        let saved = first.state(), value = p.value.detach()
        try step(first)
        let expected = try p.value.array()
        let second = Adam([p], learningRate: 0.1)
        try second.load(state: saved)
        p.update { $0.copy_(value) }
        try step(second)
        #expect(try p.value.array() == expected)
        #expect(throws: CompileError.self) { try second.load(state: [:]) }
    }

    @Test func trainingLoopCompilesTwiceAtMost() throws {
        manualSeed(1)
        let model = Sequential(Linear(2, 4), Tanh(), Linear(4, 1))
        let optimizer = Adam(model.parameters, learningRate: 0.01)
        let x = Tensor([[0.0, 0], [0, 1], [1, 0], [1, 1]]), y = Tensor([[0.0], [1], [1], [0]])
        try evaluate()
        let before = statistics.compilations
        var losses: [Double] = []
        for step in 0..<60 {
            optimizer.learningRate = 0.05 / Double(1 + step / 20)
            let loss = mseLoss(model(x), y)
            optimizer.zeroGrad()
            try loss.backward()
            try optimizer.step()
            losses.append(try loss.item())
        }
        #expect(statistics.compilations - before <= 2)
        #expect(losses.last! < losses[0] * 0.9)
    }

    @Test(arguments: 0..<3) func aLoopCompilesItsStepOnce(kind: Int) throws {
        let model = Sequential(Linear(3, 7 + kind), Tanh(), Linear(7 + kind, 1))
        let parameters = model.parameters
        let optimizer: Optimizer = switch kind {
        case 0: SGD(parameters, learningRate: 0.1, momentum: 0.9)
        case 1: Adam(parameters)
        default: AdamW(parameters, weightDecay: 0.1)
        }
        let x = try Tensor.randn([5, 3]).evaluated(), y = try Tensor.randn([5, 1]).evaluated()
        let before = statistics
        for step in 0..<6 {
            optimizer.learningRate = 0.01 / Double(1 + step)
            let loss = mseLoss(model(x), y)
            optimizer.zeroGrad()
            try loss.backward()
            try optimizer.step()
        }
        #expect(statistics.compilations - before.compilations == 1)
        #expect(statistics.evaluations - before.evaluations == 6)
    }

    @Test func aModelThatIsOnlyUsedCompilesOnce() throws {
        let model = Sequential(Linear(3, 11), Tanh(), Linear(11, 2))
        let x = try Tensor.randn([5, 3]).evaluated()
        _ = try model(x).array()
        let before = statistics.compilations
        _ = try model(x).array()
        #expect(statistics.compilations == before)
    }

    @Test func aThousandStepsHoldOneStepsMemory() throws {
        let model = Sequential(Linear(3, 5), ReLU(), Linear(5, 2))
        let optimizer = Adam(model.parameters)
        let x = Tensor.randn([7, 3]), y = Tensor.randint(2, [7])
        try evaluate()
        let before = statistics.compilations
        var probes: [() -> Bool] = []
        for _ in 0..<1000 {
            let loss = crossEntropy(model(x), y)
            optimizer.zeroGrad()
            try loss.backward()
            try optimizer.step()
            probes += [loss.lifetimeProbe, model.parameters[0].grad!.lifetimeProbe, model.parameters[0].value.lifetimeProbe]
        }
        #expect(statistics.compilations - before <= 2)
        // The last step's gradient and parameter are held, and nothing of the steps before.
        #expect(probes.filter { $0() }.count <= 3)
    }

    @Test func gradientsAreClipped() throws {
        let p = Parameter(Tensor([3.0, 4]))
        try (p.value.square().sum() * 0.5).backward()
        #expect(close([try clipGradientNorm([p], 1).item()], [5]))
        #expect(close(try p.grad!.array(), [0.6, 0.8]))
    }

    @Test func loadsBatches() throws {
        let x = Tensor.arange(0.0, 10, step: 1), y = Tensor.arange(10)
        let plain = DataLoader([x, y], batchSize: 4)
        #expect(try plain.map { try $0[0].array() } == [[0, 1, 2, 3], [4, 5, 6, 7], [8, 9]])
        #expect(plain.batchCount == 3)
        #expect(DataLoader([x], batchSize: 4, dropLast: true).map { $0[0].shape } == [[4], [4]])
        func epoch(_ loader: DataLoader) throws -> [Int] { try loader.flatMap { try $0[1].array(as: Int.self) } }
        let a = DataLoader([x, y], batchSize: 3, shuffle: true, seed: 5), b = DataLoader([x, y], batchSize: 3, shuffle: true, seed: 5)
        let first = try epoch(a)
        #expect(try epoch(b) == first)
        #expect(first.sorted() == Array(0..<10) && first != Array(0..<10))
        #expect(try epoch(a) != first)
        let split = trainTestSplit([x, y], testFraction: 0.2, seed: 0)
        #expect(split.train[0].shape == [8] && split.test[1].shape == [2])
        let all = try split.train[1].array(as: Int.self) + split.test[1].array(as: Int.self)
        #expect(all.sorted() == Array(0..<10))
    }
}
