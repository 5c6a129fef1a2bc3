// Captured functions: just-in-time with variables that change, and graphs of any batch size for the ahead-of-time compiler.
import Kiln
import KilnOps
import Testing

@Suite struct CaptureTests {
    @Test func capturesOncePerSignature() throws {
        var runs = 0
        let f = jit { (x: Tensor) in
            runs += 1
            return (x * 2).sum()
        }
        #expect(try f(Tensor([1.0, 2])).item() == 6)
        #expect(try f(Tensor([5.0, 5])).item() == 20)
        #expect(runs == 1)
        #expect(try f(Tensor([1.0, 2, 3])).item() == 12)
        #expect(runs == 2)
    }

    @Test func readsVariablesAnew() throws {
        let layer = Linear(2, 1, bias: false)
        layer.weight = Tensor([[1.0, 1]])
        let fixed = Tensor([10.0])
        let f = jit { (x: Tensor) in layer(x) + fixed }
        let x = Tensor([[2.0, 3]])
        #expect(try f(x).item() == 15)
        layer.weight = Tensor([[2.0, 0]])
        #expect(try f(x).item() == 14)
    }

    @Test func capturesATrainingStep() throws {
        let p = Parameter(Tensor([1.0, -2])), q = Parameter(Tensor([1.0, -2]))
        let a = SGD([p], learningRate: 0.1, momentum: 0.9), b = SGD([q], learningRate: 0.1, momentum: 0.9)
        func loss(_ p: Parameter, _ x: Tensor) -> Tensor { (p.value * x).square().sum() }
        let step = jit { (x: Tensor) in
            let loss = loss(p, x)
            a.zeroGrad()
            try loss.backward()
            try a.step()
            return loss
        }
        let x = Tensor([1.0, 0.5])
        for _ in 0..<4 {
            let expected = loss(q, x)
            b.zeroGrad()
            try expected.backward()
            try b.step()
            let found = try step(x).item()
            #expect(try expected.item() == found)
        }
        let trained = try p.value.array()
        #expect(try q.value.array() == trained)
        #expect(p.value.requiresGrad && p.value.isLeaf)
    }

    @Test func drawsAnew() throws {
        let f = jit { (x: Tensor) in x + Tensor.rand([3]) }
        let first = try f(Tensor.zeros([3])).array()
        #expect(try f(Tensor.zeros([3])).array() != first)
    }

    @Test func readingInsideIsRefused() {
        let f = jit { (x: Tensor) in Tensor(try x.sum().item()) }
        #expect { try f(Tensor([1.0])) } throws: { "\($0)".contains("captured") }
    }

    @Test func mistakesInsideAreThrown() {
        let f = jit { (x: Tensor) in x + Tensor([1.0, 2, 3]) }
        #expect(throws: ShapeError.self) { try f(Tensor([1.0, 2])) }
    }

    @Test func compilesForAnyBatch() throws {
        let model = Sequential {
            Conv2d(1, 2, kernel: 3, padding: 1)
            ReLU()
            MaxPool2d(2)
            Flatten()
            BatchNorm1d(2 * 16)
            Linear(2 * 16, 3)
        }
        model.eval()
        let graph = try compile(name: "net", input: TensorSpec("image", .f32, ["batch", 1, 8, 8]), output: "scores") { model($0).softmax(-1) }
        #expect(graph.inputs.map(\.name) == ["image"] && graph.outputs.map(\.name) == ["scores"])
        #expect("\(graph.outputTypes[0])" == "f32[batch, 3]")
        for batch in [1, 3] {
            let x = Tensor.randn([batch, 1, 8, 8])
            let found = try Interpreter.run(graph, inputs: [x.literal()])[0]
            let expected = try model(x).softmax(-1).literal()
            #expect(found.shape == [batch, 3])
            #expect(zip(found.doubles, expected.doubles).allSatisfy { abs($0 - $1) < 1e-6 })
        }
    }

    @Test func refusesWhatALibraryWouldNotDo() throws {
        func text(_ body: (Tensor) throws -> Tensor) -> String {
            do {
                _ = try compile(name: "net", input: TensorSpec("x", .f32, ["batch", 4]), body)
                return ""
            } catch { return "\(error)" }
        }
        let norm = BatchNorm1d(4), drop = Dropout(0.5)
        _ = norm.namedBuffers
        #expect(text { norm($0) }.contains("eval()"))
        #expect(text { norm($0) }.contains("runningMean"))
        let drawn = text { drop($0) }
        #expect(drawn.contains("random") && drawn.contains("CaptureTests.swift:\(#line - 1)"), "\(drawn)")
        norm.eval()
        drop.eval()
        #expect(text { drop(norm($0)) } == "")
        // What is given out is not lost.
        norm.train()
        let graph = try compile(name: "step", inputs: [TensorSpec("x", .f32, [8, 4])], outputs: ["y", "mean", "variance"]) {
            [norm($0[0]), norm.runningMean, norm.runningVar]
        }
        #expect(graph.outputs.count == 3)
    }

    @Test func openSizesAreNoNumbers() throws {
        func text(_ body: (Tensor) throws -> Tensor) -> String {
            do {
                _ = try compile(name: "net", input: TensorSpec("x", .f32, ["batch", 4]), body)
                return ""
            } catch { return "\(error)" }
        }
        for found in [text { $0.sum() / Double($0.shape[0]) }, text { x in x.reshape(x.count) },
                      text { x in (0..<x.shape[0]).map { x[$0] }.reduce(x.sum(0)) { $0 + $1 } }] {
            #expect(found.contains("dims") && found.contains("CaptureTests.swift:"), "\(found)")
        }
        #expect(text { $0.reshape([$0.dims[0] * 4]) } == "")
        #expect(text { crossEntropy($0, $0.softmax(1), labelSmoothing: 0.1) } == "")
    }

    @Test func slicesOfOpenAxesAreCutToThem() throws {
        let graph = try compile(name: "parts", inputs: [TensorSpec("x", .f32, ["n"])], outputs: ["first", "tail", "both", "middle", "far"]) { x in
            let x = x[0]
            return [x[0..<3], x[..<(-2)], x[1...] + x[..<(-1)], x[2..<4], x[5...]]
        }
        for size in 0..<8 {
            let x = (0..<size).map(Double.init)
            let found = try Interpreter.run(graph, inputs: [Tensor(x).literal()]).map(\.doubles)
            #expect(found == [Array(x.prefix(3)), Array(x.dropLast(2)), zip(x.dropFirst(), x.dropLast()).map { $0 + $1 },
                              Array(x.prefix(4).dropFirst(2)), Array(x.dropFirst(5))])
        }
    }

    @Test func learningRatesOfCapturedStepsMayChange() throws {
        let p = Parameter(Tensor([1.0]))
        let optimizer = SGD([p], learningRate: 0.5)
        let step = jit { (x: Tensor) in
            let loss = (p.value * x).sum()
            optimizer.zeroGrad()
            try loss.backward()
            try optimizer.step()
            return loss
        }
        _ = try step(Tensor([1.0]))
        #expect(try p.value.item() == 0.5)
        optimizer.learningRate = 0.25
        _ = try step(Tensor([1.0]))
        #expect(try p.value.item() == 0.25)
    }

    @Test func numbersFromOutsideARegionThatWereComputed() throws {
        let two = Tensor.full([2], 2)
        try evaluate()
        let found = try whileLoop([Tensor(0), Tensor([1.0, 1])], while: { $0[0] .< 3 }) { [$0[0] + 1, $0[1] * two] }
        #expect(try found[1].array() == [8, 8])
    }

    @Test func compilesSeveralResults() throws {
        let graph = try compile(name: "pair", inputs: [TensorSpec("a", .f32, ["n"]), TensorSpec("unused", .i64, [2])], outputs: ["twice", "same"]) {
            [$0[0] * 2, $0[0] * 2 + 0]
        }
        #expect(graph.inputs.count == 2 && graph.outputs.count == 2)
        #expect(try Interpreter.run(graph, inputs: [Tensor([1.0, 2]).literal(), Tensor([1, 2]).literal()])[0].doubles == [2, 4])
        #expect(throws: CompileError.self) {
            try compile(name: "bad", inputs: [TensorSpec("a", .f32, ["n"])], outputs: ["x", "y"]) { [$0[0]] }
        }
        #expect(throws: CompileError.self) {
            try compile(name: "bad", input: TensorSpec("a", .f32, ["n"])) { Tensor(try $0.sum().item()) }
        }
    }
}
