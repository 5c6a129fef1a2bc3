// Users' mistakes: what can't be is an error with its reason when it is read, never a trap, and every error names the user's own line.
import Kiln
import Testing

/// What reading a tensor throws, as text.
private func message(_ tensor: Tensor) -> String {
    do {
        _ = try tensor.array()
        return "no error"
    } catch { return "\(error)" }
}

private func expect(_ tensor: Tensor, says parts: String..., line: Int, sourceLocation: Testing.SourceLocation = #_sourceLocation) {
    let text = message(tensor)
    for part in parts { #expect(text.contains(part), "\(text)", sourceLocation: sourceLocation) }
    #expect(text.contains("MistakeTests.swift:\(line)"), "\(text)", sourceLocation: sourceLocation)
}

@Suite struct MistakeTests {
    @Test func sizesThatCannotBe() {
        expect(.eye(-1), says: "eye", line: #line)
        expect(.eye(1 << 40), says: "eye", line: #line)
        expect(.zeros([-1]), says: "zeros", line: #line)
        expect(.ones([1 << 40, 1 << 40]), says: "ones", line: #line)
        expect(.rand([-2]), says: "rand", line: #line)
        expect(.randn([1 << 62, 4]), says: "randn", line: #line)
        expect(.randperm(-1), says: "randperm", line: #line)
        expect(.randint(0, [2]), says: "randint", line: #line)
        expect(.linspace(0, 1, -3), says: "linspace", line: #line)
        expect(Tensor([1.0]).reshape(.max, .max), says: "reshape", line: #line)
        expect(Tensor([1.0]).expand(1 << 40, 1 << 40), says: "size", line: #line)
        expect(Tensor([1.0], shape: [.max, .max]), says: "size", line: #line)
    }

    @Test func rangesWithoutEnd() {
        expect(.arange(0, .infinity, step: 1), says: "arange", "finite", line: #line)
        expect(.arange(.nan, 1, step: 1), says: "arange", line: #line)
        expect(.arange(0.0, 1, step: 0), says: "arange", line: #line)
        expect(.arange(0, 1e300, step: 1), says: "arange", line: #line)
        expect(.arange(.min, .max), says: "arange", line: #line)
        expect(.arange(0, .max), says: "arange", line: #line)
        #expect(Tensor.arange(5, 0, step: -2).shape == [3] && Tensor.arange(0, 5, step: -1).shape == [0])
        #expect(Tensor.arange(0, 7, step: 3).shape == [3] && Tensor.arange(3, 3).shape == [0])
    }

    @Test func nothingToWorkOn() {
        expect(.concatenate([]), says: "concatenate", "at least one", line: #line)
        expect(.stack([]), says: "stack", "at least one", line: #line)
        expect(.einsum("ij->ji", []), says: "einsum", "at least one", line: #line)
        expect(.einsum("->", []), says: "einsum", line: #line)
        expect(.stack([Tensor([1.0, 2]), Tensor([1.0])]), says: "stack", "[2] and [1]", line: #line)
        expect(.stack([Tensor([1.0])], axis: 4), says: "stack", "axis 4", line: #line)
    }

    @Test func valuesThatDoNotFitTheirPart() {
        func set(_ change: (inout Tensor) -> Void) -> Tensor {
            var y = Tensor.zeros([2, 3])
            change(&y)
            return y
        }
        expect(set { $0[0] = Tensor([1.0, 2]) }, says: "subscript", "[2]", "[3]", line: #line)
        expect(set { $0[.all, 1] = Tensor([1.0, 2, 3]) }, says: "subscript", "[3]", "[2]", line: #line)
        expect(set { $0[Tensor([0, 1])] = Tensor([1.0, 2]) }, says: "subscript", line: #line)
        expect(set { $0[$0 .> 0] = Tensor([1.0, 2]) }, says: "subscript", line: #line)
        #expect(message(set { $0[0] = Tensor([[1.0, 2, 3]]) }) == "no error")
        #expect(message(set { $0[0...(.max)] = Tensor(1.0) }) == "no error")
    }

    @Test func examplesThatDoNotFit() {
        let x = Tensor.zeros([8, 2]), y = Tensor.zeros([6])
        expect(DataLoader([x], batchSize: 0).map { $0[0] }[0], says: "DataLoader", "batchSize", line: #line)
        expect(DataLoader([x, y], batchSize: 2).map { $0[1] }[0], says: "DataLoader", "different numbers", line: #line)
        expect(trainTestSplit([x, y], testFraction: 0.5, seed: 1).test[1], says: "trainTestSplit", "different numbers", line: #line)
        expect(trainTestSplit([x], testFraction: 2, seed: 1).train[0], says: "trainTestSplit", "from 0 to 1", line: #line)
        expect(trainTestSplit([x], testFraction: .nan, seed: 1).train[0], says: "trainTestSplit", line: #line)
        #expect(DataLoader([x], batchSize: .max).map { $0[0].shape } == [[8, 2]])
    }

    @Test func layersThatCannotBe() {
        let x = Tensor.zeros([1, 2, 4])
        expect(MultiheadAttention(4, heads: 0)(x), says: "MultiheadAttention", "0 heads", line: #line)
        expect(MultiheadAttention(4, heads: 3)(x), says: "MultiheadAttention", "3 heads", line: #line)
        expect(BatchNorm1d(3)(Tensor.zeros([4, 2])), says: "2 channels", "3", line: #line)
        expect(BatchNorm1d(2)(Tensor.zeros([1, 2])), says: "one value for each channel", "eval()", line: #line)
        expect(LayerNorm(3)(Tensor.zeros([4, 2])), says: "layerNorm", "[3]", line: #line)
        expect(MaxPool2d(0)(Tensor.zeros([1, 1, 4, 4])), says: "maxPool", line: #line)
    }

    @Test func lossesOfUnlikeShapes() {
        expect(binaryCrossEntropy(Tensor.ones([4, 1]), Tensor.ones([4])), says: "binaryCrossEntropy", line: #line)
        expect(binaryCrossEntropyWithLogits(Tensor.ones([4, 1]), Tensor.ones([4])), says: "binaryCrossEntropyWithLogits", line: #line)
        expect(crossEntropy(Tensor.ones([4, 3]), Tensor.ones([4])), says: "cast classes", "i64", line: #line)
        expect(nllLoss(Tensor.ones([4, 3]), Tensor.ones([4])), says: "cast them to i64", line: #line)
    }

    @Test func clearMessages() {
        let x = Tensor.zeros([2, 3])
        expect(x.softmax(-3), says: "softmax: axis -3", line: #line)
        expect(x.sum(-3), says: "sum: axis -3", line: #line)
        expect(x.mean(5), says: "mean: axis 5", line: #line)
        expect(x.reshape(-1, -1), says: "reshape", "more than one size open", line: #line)
        expect(x.expand(-5, 3), says: "expand", "-5", line: #line)
        expect(x.unsqueezed(5), says: "axis 5", "from -3 to 2", line: #line)
    }

    @Test func operatorsNameTheUsersLine() {
        let a = Tensor([1.0, 2]), b = Tensor([1.0, 2, 3])
        expect(a + b, says: "add", line: #line)
        expect(-(a * b), says: "mul", line: #line)
        expect(a .< b, says: "[2]", line: #line)
        var c = a
        c += b
        expect(c, says: "[2]", line: #line - 1)
        var d = a
        d.mul_(b)
        expect(d, says: "[2]", line: #line - 1)
        expect(a[5], says: "subscript: position 5", line: #line)
        expect((a * 2)[.all, 0], says: "subscript", line: #line)
    }

    @Test func callsAreNamedAsTheUserWroteThem() {
        let a = Tensor.zeros([2, 3]), b = Tensor.zeros([2, 3])
        expect(a.matmul(b), says: "matmul", line: #line)
        expect(a.gather(0, Tensor([1.0])), says: "gather", line: #line)
        expect(a.cumsum(7), says: "cumsum", line: #line)
    }

    @Test func layersNameTheUsersLineAndTheirPath() {
        let model = Sequential(Linear(2, 4), Sequential(ReLU(), Linear(3, 1)))
        _ = model.namedParameters
        expect(model(Tensor.zeros([1, 2])), says: "in the layer 1.1 (Linear)", line: #line)
        expect(Linear(2, 4)(Tensor.zeros([1, 3])), says: "in the layer Linear", line: #line)
    }

    @Test func aMistakenUpdateLeavesAParameterAsItWas() throws {
        let p = Parameter(Tensor([1.0, 2]))
        p.update { $0.sub_(Tensor([1.0, 2, 3])) }
        #expect(throws: ShapeError.self) { try p.value.array() }
        #expect(try p.value.array() == [1, 2])
        #expect(p.value.requiresGrad)
        p.value.add_(1)
        #expect(throws: ShapeError.self) { try (p.value * 2).sum().item() }
        #expect(try p.value.array() == [1, 2])
    }

    @Test func loadingNamesAllThatIsMissing() {
        let model = Sequential(Linear(2, 4), Linear(4, 1))
        let text: String
        do {
            try model.load(state: ["0.weight": Tensor.zeros([4, 2]), "more": Tensor(1.0), "other": Tensor(1.0)])
            text = ""
        } catch { text = "\(error)" }
        for name in ["0.bias", "1.weight", "1.bias", "more", "other"] { #expect(text.contains("\"\(name)\""), "\(text)") }
    }
}
