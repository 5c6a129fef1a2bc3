// Tensors on other devices, with the emulated grid for a GPU: where things are, what mixes, and that all of PyTorch's model goes on there.
import Foundation
import Kiln
import KilnOps
import Testing

@Suite struct DeviceTests {
    private let grid = Device.emulatedGPU

    @Test func tensorsAreMadeWhereAsked() throws {
        let x = Tensor([[1.0, 2], [3, 4]], device: grid)
        #expect(x.device == grid)
        #expect(try x.array() == [1, 2, 3, 4])
        let made = [Tensor.zeros([2], device: grid), .ones([2], device: grid), .full([2], 3, device: grid), .arange(2, device: grid),
                    .linspace(0, 1, 2, device: grid), .eye(2, device: grid), .rand([2], device: grid), .randn([2], device: grid),
                    .randint(9, [2], device: grid), .randperm(2, device: grid), Tensor(2.0, device: grid), Tensor([true], device: grid)]
        for tensor in made {
            #expect(tensor.device == grid)
            _ = try tensor.array()
        }
        #expect(Tensor([1.0]).device == .cpu)
        #expect(try Tensor.full([2], 3, device: grid).array() == [3, 3])
    }

    @Test func theDefaultDeviceHoldsForAScope() throws {
        let (inside, outside) = withDefaultDevice(grid) { (Tensor([1.0]) + Tensor.ones([1]), Tensor([2.0], device: .cpu)) }
        #expect(inside.device == grid && outside.device == .cpu && Tensor([1.0]).device == .cpu && Device.default == .cpu)
        #expect(try inside.item() == 2)
        let model = withDefaultDevice(grid) { Linear(3, 2) }
        #expect(model.weight.device == grid)
    }

    @Test func operationsStayOnTheDevice() throws {
        let values = (0..<60).map { Double($0) / 7 - 3 }
        let x = Tensor(values, shape: [6, 10]), w = Tensor(values, shape: [10, 6])
        func compute(_ x: Tensor, _ w: Tensor) -> Tensor { (x.matmul(w) + 1).relu().softmax(-1) * x.max(1, keepDims: true) }
        let here = compute(x, w), there = compute(x.to(grid), w.to(grid))
        #expect(there.device == grid)
        for (a, b) in zip(try here.array(), try there.array()) { #expect(abs(a - b) <= 1e-6 * Swift.max(1, abs(a))) }
        #expect(Tensor.zerosLike(there).device == grid && Tensor.randLike(there).device == grid && there.detach().device == grid)
        #expect(there.to(.cpu).device == .cpu)
        #expect(try there.to(.cpu).array() == there.array())
        #expect("\(there[0, 0..<2])".contains("device: \(grid)"))
    }

    @Test func pendingValuesGoAcrossInOneRead() throws {
        let x = Tensor([1.0, 2, 3])
        // Back and forth before anything is read.
        let y = ((x * 2).to(grid) + 1).to(.cpu) * 10
        let z = (y.to(grid) - 1) * Tensor([1.0, 0, 1], device: grid)
        #expect(try z.array() == [29, 0, 69])
        #expect(try y.array() == [30, 50, 70])
        #expect(y.device == .cpu && z.device == grid)
    }

    @Test func randomNumbersAreTheSameEverywhere() throws {
        let key = Tensor([4, 7] as [UInt32])
        let here = try Tensor.uniform(key: key, [33]).array()
        #expect(try Tensor.uniform(key: key.to(grid), [33]).array() == here)
    }

    @Test func mixedDevicesAreAMistakeThatNamesThem() throws {
        let x = Tensor([1.0, 2]), y = Tensor([1.0, 2], device: grid)
        let line = #line + 1
        let sum = x + y
        let error = try #require(throws: DeviceError.self) { try sum.array() }
        #expect(error.devices == [.cpu, grid])
        #expect("\(error)".hasPrefix("add: the operands are on different devices, cpu and \(grid)\n  operand 0: f32[2] on cpu"))
        #expect("\(error)".contains("fix: move one of them, such as with x.to(.emulatedGPU)"))
        #expect(error.location.line == line && "\(error.location)".contains("DeviceTests.swift"))
        #expect(throws: DeviceError.self) { try x.matmul(Tensor.eye(2, device: grid)).array() }
        var changed = x
        changed.add_(y)
        #expect(throws: DeviceError.self) { try changed.array() }
        #expect(throws: DeviceError.self) { try (Tensor(1.0, device: grid) + x).array() }
    }

    @Test func singleNumbersOfTheHostMixFreely() throws {
        let y = Tensor([1.0, 2], device: grid)
        var scale = Tensor(3.0)
        #expect(try (scale * y).array() == [3, 6])
        #expect((scale * y).device == grid && (scale + Tensor(1.0, device: grid)).device == grid)
        // One that is pending, and wants a gradient.
        scale.requiresGrad = true
        let loss = ((scale + 1) * y).sum()
        try loss.backward()
        let gradient = try #require(scale.grad)
        #expect(gradient.device == .cpu)
        #expect(try gradient.item() == 3)
    }

    @Test func gradientsFlowAcrossDevices() throws {
        var x = Tensor([1.0, 2, 3])
        x.requiresGrad = true
        let loss = (x.to(grid).square() * Tensor([1.0, 10, 100], device: grid)).sum()
        #expect(loss.device == grid)
        try loss.backward()
        #expect(x.grad?.device == .cpu)
        #expect(try x.grad?.array() == [2, 40, 600])
    }

    @Test func partsAndChangesInPlace() throws {
        var x = Tensor.arange(12, dtype: .f32, device: grid).reshape(3, 4)
        #expect(try x[1].array() == [4, 5, 6, 7])
        #expect(try x.evaluated()[1..<3].array() == Array(4..<12).map(Double.init))
        #expect(x[1].device == grid)
        #expect(try x[Tensor([2, 0])].array() == [8, 9, 10, 11, 0, 1, 2, 3])
        #expect(try x[x .> 9].array() == [10, 11])
        x[0] = Tensor([9.0, 9, 9, 9])
        x.add_(1)
        #expect(x.device == grid)
        #expect(try x[0].array() == [10, 10, 10, 10])
        x.copy_(Tensor([0.0]))
        #expect(x.device == grid)
        #expect(try x.sum().item() == 0)
        x.uniform_(1, 2)
        #expect(x.device == grid)
        #expect(try x.min().item() >= 1)
    }

    @Test(arguments: ["Adam", "SGD"]) func trainingIsTheCPUs(_ name: String) throws {
        func losses(_ device: Device, movesLate: Bool) throws -> (losses: [Double], optimizer: Optimizer, model: Sequential) {
            func numbers(_ shape: [Int], _ scale: Double) -> Tensor {
                Tensor((0..<shape.reduce(1, *)).map { scale * Foundation.sin(Double($0 * $0 % 97)) }, shape: shape)
            }
            let model = Sequential {
                Linear(6, 16)
                Tanh()
                Linear(16, 1)
            }
            for parameter in model.parameters { parameter.wrappedValue = numbers(parameter.value.shape, 0.3) }
            if !movesLate { try model.to(device) }
            let optimizer: Optimizer = name == "Adam" ? Adam(model.parameters, learningRate: 0.02)
                : SGD(model.parameters, learningRate: 0.05, momentum: 0.9)
            if movesLate { try model.to(device) }
            let x = numbers([32, 6], 2).to(device), y = numbers([32, 1], 1).to(device)
            let losses = try (0..<12).map { _ in
                let loss = mseLoss(model(x), y)
                optimizer.zeroGrad()
                try loss.backward()
                try optimizer.step()
                return try loss.item() as Double
            }
            return (losses, optimizer, model)
        }
        let here = try losses(.cpu, movesLate: false)
        for movesLate in [false, true] {
            let there = try losses(grid, movesLate: movesLate)
            for (a, b) in zip(here.losses, there.losses) { #expect(abs(a - b) <= 1e-5 * abs(a)) }
            #expect(there.model.parameters.allSatisfy { $0.value.device == grid && $0.grad?.device == grid })
            #expect(there.optimizer.variables.allSatisfy { $0.variable.value.device == grid })
            // What is saved there is loaded here.
            try here.model.load(state: there.model.state())
            try here.optimizer.load(state: there.optimizer.state())
            #expect(here.model.parameters.allSatisfy { $0.value.device == .cpu })
            #expect(try here.model.parameters[0].value.array() == there.model.parameters[0].value.array())
        }
    }

    @Test func stepsOnTheDeviceCompileOnce() throws {
        let model = try Linear(3, 2).to(grid)
        let optimizer = Adam(model.parameters)
        let loader = DataLoader([Tensor.randn([40, 3], device: grid)], batchSize: 8, shuffle: true)
        var counts: [Int] = []
        for _ in 0..<3 {
            for batch in loader {
                #expect(batch[0].device == grid)
                let loss = model(batch[0]).square().sum()
                optimizer.zeroGrad()
                try loss.backward()
                try optimizer.step()
                counts.append(statistics.compilations)
            }
        }
        #expect(counts.suffix(12).min() == counts.last)
    }

    @Test func capturedFunctionsRunOnTheDevice() throws {
        let layer = try Linear(4, 2).to(grid)
        let f = jit { (x: Tensor) in layer(x).relu() * Tensor(2.0) }
        let x = Tensor.randn([3, 4])
        let there = try f(x.to(grid))
        #expect(there.device == grid)
        #expect(try there.array() == (layer(x.to(grid)).relu() * 2).array())
        let step = SGD(layer.parameters, learningRate: 0.1)
        let train = jit { (x: Tensor) in
            let loss = layer(x).square().mean()
            step.zeroGrad()
            try loss.backward()
            try step.step()
            return loss.to(.cpu)
        }
        let first = try train(x.to(grid)), later = try train(x.to(grid))
        #expect(first.device == .cpu && layer.weight.device == grid)
        #expect(try later.item() < first.item())
    }

    @Test func compiledGraphsRunOnTheDevice() throws {
        let layer = try Linear(4, 2).to(grid)
        let graph = try compile(name: "layer", input: TensorSpec("x", .f32, ["batch", 4])) { layer($0) }
        let x = Tensor.randn([5, 4])
        let there = try CompiledGraph(graph, device: grid)(x), here = try CompiledGraph(graph)(x)
        #expect(there.device == grid && here.device == .cpu)
        for (a, b) in zip(try here.array(), try there.array()) { #expect(abs(a - b) < 1e-5) }
    }

    @Test func controlFlowRunsOnTheDevice() throws {
        let x = Tensor([1.0, 2], device: grid)
        let results = try whileLoop([x], while: { $0[0].sum() .< 100 }) { [$0[0] * 2] }
        #expect(results[0].device == grid)
        #expect(try results[0].array() == [64, 128])
        #expect(try cond(x.sum() .> 5, then: { [x] }, otherwise: { [-x] })[0].array() == [-1, -2])
    }

    @Test func bitsDoNotDependOnTheOrderOfThreads() throws {
        let x = Tensor.randn([37, 53])
        let results = try [UInt64(1), 2, 3].map { seed in
            let y = x.to(.emulatedGPU(.sm80, seed: seed))
            return try (y.matmul(y.t()).softmax(-1).sum() + y.exp().mean()).array(as: Float.self)
        }
        #expect(results[0] == results[1] && results[0] == results[2])
    }

    @Test func savedFilesHoldWhatIsOnTheDevice() throws {
        let path = FileManager.default.temporaryDirectory.appending(path: "kiln-\(UUID().uuidString).safetensors").path
        defer { try? FileManager.default.removeItem(atPath: path) }
        try Tensor.save(["x": Tensor([1.0, 2], device: grid)], to: path)
        #expect(try Tensor.load(path)["x"]?.array() == [1, 2])
    }

    @Test func aMissingGPUIsAnErrorOfTheFirstTensorOnIt() throws {
        let missing = Device.gpu(63)
        let error = try #require(throws: (any Error).self) { try Tensor([1.0]).to(missing).array() }
        #expect("\(error)".hasPrefix("no device: "))
        #expect(throws: (any Error).self) { try Tensor.zeros([2], device: missing).array() }
        let model = Linear(2, 2)
        #expect(throws: (any Error).self) { try model.to(missing) }
        #expect(model.weight.device == .cpu)
    }
}
