// Tensors as values: creation, reading, printing, subscripts, in-place spellings, and mistakes that wait for a reader.
import Kiln
import Testing

@Suite struct TensorTests {
    @Test func createsFromArrays() throws {
        #expect(try Tensor([1, 2, 3]).array(as: Int.self) == [1, 2, 3])
        #expect(Tensor([1, 2, 3]).dtype == .i64)
        #expect(Tensor([1.5, 2]).dtype == .f32)
        #expect(Tensor([1.5, 2], dtype: .f64).dtype == .f64)
        #expect(Tensor([Float(1), 2]).dtype == .f32)
        let matrix = Tensor([[1.0, 2, 3], [4, 5, 6]])
        #expect(matrix.shape == [2, 3])
        #expect(try matrix.array() == [1, 2, 3, 4, 5, 6])
        #expect(Tensor([[[1], [2]], [[3], [4]]]).shape == [2, 2, 1])
        #expect(Tensor([true, false]).dtype == .bool)
        #expect(try Tensor(7).item(as: Int.self) == 7)
    }

    @Test func createsFromRules() throws {
        #expect(try Tensor.zeros([2, 2]).array() == [0, 0, 0, 0])
        #expect(try Tensor.full([2], 3.5).array() == [3.5, 3.5])
        #expect(try Tensor.arange(4).array(as: Int.self) == [0, 1, 2, 3])
        #expect(try Tensor.arange(5, 0, step: -2).array(as: Int.self) == [5, 3, 1])
        #expect(try Tensor.arange(0, 1, step: 0.25).array() == [0, 0.25, 0.5, 0.75])
        #expect(try Tensor.linspace(0, 1, 5).array() == [0, 0.25, 0.5, 0.75, 1])
        #expect(try Tensor.eye(2).array() == [1, 0, 0, 1])
        #expect(try Tensor.onesLike(Tensor([1, 2])).array(as: Int.self) == [1, 1])
    }

    @Test func computes() throws {
        let x = Tensor([[1.0, 2], [3, 4]])
        #expect(try (x + 1).array() == [2, 3, 4, 5])
        #expect(try (x * x).sum().item() == 30)
        #expect(try (x + Tensor([10.0, 20])).array() == [11, 22, 13, 24])
        #expect(try x.matmul(x).array() == [7, 10, 15, 22])
        #expect(try x.t().array() == [1, 3, 2, 4])
        #expect(x.reshape(4).shape == [4])
        #expect(try (x .> 2).array(as: Bool.self) == [false, false, true, true])
    }

    @Test func copiesAreValues() throws {
        var x = Tensor([1.0, 2])
        let y = x
        x.add_(1)
        x.mul_(Tensor([2.0, 3]))
        #expect(try x.array() == [4, 9])
        #expect(try y.array() == [1, 2])
        x.copy_(Tensor([7]))
        #expect(try x.array() == [7, 7])
        x.zero_()
        x += 2.5
        #expect(try x.array() == [2.5, 2.5])
        var m = Tensor([[1.0, 2, 3]])
        m.t_()
        #expect(m.shape == [3, 1])
    }

    @Test func inPlaceKeepsTheType() {
        var x = Tensor([1.0, 2])
        x.add_(Tensor([[1.0, 2], [3, 4]]))
        #expect(throws: ShapeError.self) { try x.array() }
    }

    @Test func mistakesWaitForTheReader() {
        let bad = Tensor([1.0, 2]) + Tensor([1.0, 2, 3])
        let later = (bad * 2).sum()
        #expect { try later.item() } throws: { error in
            let text = "\(error)"
            return text.hasPrefix("add:") && text.contains("f32[2]") && text.contains("f32[3]") && text.contains("fix:")
        }
        let line = #line + 1
        let product = Tensor([[1.0, 2]]).matmul(Tensor([[1.0, 2]]))
        #expect { try product.array() } throws: { "\($0)".contains("TensorTests.swift:\(line)") }
        #expect(throws: ShapeError.self) { try Tensor([[1.0], [1, 2]]).array() }
        #expect(throws: ShapeError.self) { try Tensor([1.0, 2]).item() }
        #expect(throws: ShapeError.self) { try Tensor.zeros([-1]).array() }
        #expect(throws: (any Error).self) { try Tensor.zeros([1 << 40, 1 << 40]).array() }
    }

    #if DEBUG
    @Test func operatorsAndSubscriptsSayWhereTheyStand() {
        let line = #line + 1
        let sum = Tensor([1.0, 2]) + Tensor([1.0, 2, 3])
        let part = sum.error == nil ? sum : Tensor([1.0, 2])[5]
        #expect { try sum.array() } throws: { "\($0)".contains("at KilnTests/TensorTests.swift:\(line)\n") }
        #expect { try part.array() } throws: { "\($0)".contains("at KilnTests/TensorTests.swift:\(line + 1)\n") }
    }
    #endif

    @Test func prints() {
        #expect("\(Tensor([1, 2, 30]))" == "Tensor([ 1,  2, 30])")
        #expect("\(Tensor([[1.0, 2], [3.5, -4]]))" == "Tensor([[ 1.0000,  2.0000],\n        [ 3.5000, -4.0000]])")
        #expect("\(Tensor(2.0))" == "Tensor(2.)")
        #expect("\(Tensor([1e-9, 1.0]))" == "Tensor([1.0000e-09, 1.0000e+00])")
        #expect("\(Tensor([Double.nan, 1]))".contains("nan"))
        #expect("\(Tensor([1.0], dtype: .f64))" == "Tensor([1.], dtype: f64)")
        let big = "\(Tensor.zeros([100, 100]))"
        #expect(big.contains("...") && big.count < 1000)
        #expect("\(Tensor([[1.0]]) + Tensor([1.0, 2]) + Tensor([1.0, 2, 3]))".hasPrefix("Tensor(error: add:"))
    }

    @Test func reportsItself() {
        let x = Tensor.zeros([2, 3], dtype: .f16)
        #expect(x.shape == [2, 3] && x.count == 6 && x.dtype == .f16 && x.device == .cpu && x.rank == 2)
    }

    @Test func longChainsAreLetGo() throws {
        withPendingLimit(nil) {
            var x = Tensor([1.0])
            for _ in 0..<200_000 { x = x + 1 }
            _ = x
        }
    }
}

@Suite struct SubscriptTests {
    let x = Tensor(Array(0..<24).map(Double.init), shape: [2, 3, 4], dtype: .f32)

    @Test func reads() throws {
        #expect(try x[1].array() == (12..<24).map(Double.init))
        #expect(try x[1, 2, 3].item() == 23)
        #expect(try x[-1, -1, -1].item() == 23)
        #expect(try x[0, 1..<3, 0].array() == [4, 8])
        #expect(try x[.all, 0, 0].array() == [0, 12])
        #expect(try x[..., -1].array() == [3, 7, 11, 15, 19, 23])
        #expect(try x[0, ..., 0].array() == [0, 4, 8])
        #expect(try x[0, 0, 1...].array() == [1, 2, 3])
        #expect(try x[0, 0, ..<(-1)].array() == [0, 1, 2])
        #expect(try x[0, 0, stride(from: 0, to: 4, by: 2)].array() == [0, 2])
        #expect(try x[0, 0, stride(from: 3, through: 0, by: -1)].array() == [3, 2, 1, 0])
        #expect(try x[0, 0, .range(step: -2)].array() == [3, 1])
        #expect(try Tensor([1.0, 2, 3])[.range(step: -1)].array() == [3, 2, 1])
        #expect(try x[.range(step: -1)][0, 0].array() == [12, 13, 14, 15])
        #expect(x[.newAxis, 0].shape == [1, 3, 4])
        #expect(x[0, .newAxis].shape == [1, 3, 4])
        #expect(x[..., .newAxis].shape == [2, 3, 4, 1])
        #expect(try x[0, 0, 2..<10].array() == [2, 3])
        #expect(x[1..<1].shape == [0, 3, 4])
    }

    @Test func readsByTensors() throws {
        #expect(try x[0][Tensor([2, 0])].array() == [8, 9, 10, 11, 0, 1, 2, 3])
        #expect(try x[0, .all, Tensor([3, 3])].array() == [3, 3, 7, 7, 11, 11])
        let row = x[0, 0]
        #expect(try row[row .> 1].array() == [2, 3])
        #expect(try x[0][Tensor([true, false, true])].array() == [0, 1, 2, 3, 8, 9, 10, 11])
    }

    @Test func pendingTensorsAreSlicedToo() throws {
        let y = x * 2
        #expect(try y[1, 0].array() == [24, 26, 28, 30])
        #expect(try y[0..<1, 0, 0].array() == [0])
    }

    @Test func writes() throws {
        var y = Tensor.zeros([3, 3])
        let before = y
        y[1] = Tensor([1.0, 2, 3])
        y[.all, 0] = Tensor(9.0)
        y[2, 1..<3] = Tensor([5.0, 6])
        #expect(try y.array() == [9, 0, 0, 9, 2, 3, 9, 5, 6])
        #expect(try before.array() == Array(repeating: 0, count: 9))
        y[Tensor([0, 2])] = Tensor(1.0)
        #expect(try y.array() == [1, 1, 1, 9, 2, 3, 1, 1, 1])
        y[y .> 2] = Tensor(0.0)
        #expect(try y.array() == [1, 1, 1, 0, 2, 0, 1, 1, 1])
        var z = Tensor.zeros([5])
        z[stride(from: 0, to: 5, by: 2)] = Tensor([1.0, 2, 3])
        #expect(try z.array() == [1, 0, 2, 0, 3])
        z[.range(step: -1)] = Tensor([1.0, 2, 3, 4, 5])
        #expect(try z.array() == [5, 4, 3, 2, 1])
    }

    @Test func refuses() {
        #expect(throws: ShapeError.self) { try x[2].array() }
        #expect(throws: ShapeError.self) { try x[0, 0, 0, 0].array() }
        #expect(throws: ShapeError.self) { try (x * 1)[0, 0, -5].array() }
        #expect(throws: ShapeError.self) { try x[0, 0, .range(step: 0)].array() }
    }

    @Test func flowsGradients() throws {
        let w = Tensor([1.0, 2, 3, 4]).requiringGrad()
        try (w[1..<3] * Tensor([10.0, 20])).sum().backward()
        #expect(try w.grad!.array() == [0, 10, 20, 0])
        var y = w * 1
        y[0] = Tensor(0.0)
        w.zeroGrad()
        try y.sum().backward()
        #expect(try w.grad!.array() == [0, 1, 1, 1])
    }
}
