// The trace: what is compiled when, what is computed together, and that memory stays flat.
import Kiln
import Testing

/// How many programs a piece of code compiles.
///
/// Programs are shared by the whole process, so each test counts on a structure of its own.
private func compilations(_ body: () throws -> Void) rethrows -> Int {
    let before = statistics.compilations
    try body()
    return statistics.compilations - before
}

@Suite struct TraceTests {
    @Test func equalStructuresCompileOnce() throws {
        let count = try compilations {
            for i in 0..<20 {
                let x = Tensor([Double(i), 1])
                let found = try ((x * x).sum() + 1).item()
                #expect(found == Double(i * i) + 2)
            }
        }
        #expect(count == 1)
    }

    @Test func changingNumbersCompileTwice() throws {
        let count = try compilations {
            for i in 0..<20 {
                let x = Tensor([1.0, 2])
                let found = try (x * (0.5 * Double(i)) + 3).array()
                #expect(found == [0.5 * Double(i) + 3, Double(i) + 3])
            }
        }
        #expect(count == 2)
    }

    @Test func secondChangingNumberCompilesOnceMore() throws {
        let x = Tensor([1.0, 2])
        func value(_ a: Double, _ b: Double) throws -> [Double] { try (-((-x * a) - b)).array() }
        let count = try compilations {
            for i in 1..<6 {
                let found = try value(Double(i), 1)
                #expect(found == [Double(i) + 1, 2 * Double(i) + 1])
            }
            for i in 1..<6 {
                let found = try value(1, Double(i))
                #expect(found == [Double(i) + 1, Double(i) + 2])
            }
        }
        #expect(count == 3)
    }

    @Test func evaluatesAllThatIsHeld() throws {
        let x = Tensor([1.0, 2])
        let y = x * 3
        let z = (y + 1).exp()
        let before = statistics.evaluations
        _ = try y.array()
        _ = try z.array()
        _ = try y.array()
        #expect(statistics.evaluations == before + 1)
        #expect(try z.argmax(0).item() == 1)
    }

    @Test func aMistakeElsewhereDoesNotHinder() throws {
        let bad = Tensor([1.0, 2]).matmul(Tensor([1.0, 2, 3]))
        #expect(try (Tensor([1.0]) + 1).item() == 2)
        #expect(throws: ShapeError.self) { try bad.array() }
    }

    @Test func structureTellsOpsApart() throws {
        let x = Tensor([4.0, 9])
        #expect(try x.sqrt().array() == [2, 3])
        #expect(try x.square().array() == [16, 81])
        #expect(try (x - Tensor([1.0, 2])).array() == [3, 7])
        #expect(try (Tensor([1.0, 2]) - x).array() == [-3, -7])
        #expect(x.sum(0, keepDims: true).shape == [1])
        #expect(try x.cast(to: .i32).array(as: Int.self) == [4, 9])
        #expect(try x.cast(to: .bool).array(as: Bool.self) == [true, true])
    }

    @Test func batchesOfALoopNeedNoProgram() throws {
        let data = Tensor.arange(0.0, 100, step: 1).reshape(50, 2)
        try data.evaluated()
        let count = try compilations {
            for start in stride(from: 0, to: 50, by: 5) {
                let found = try data[start..<start + 5].sum().item()
                #expect(found == Double((0..<10).map { $0 + 2 * start }.reduce(0, +)))
            }
        }
        #expect(count == 1)
    }

    @Test func loopsThatReadNothingDoNotPileUp() throws {
        var w = Tensor([[4.0], [-2]]).requiringGrad()
        var b = Tensor([1.0]).requiringGrad()
        let x = Tensor([[1.0, 0], [0, 1], [0, 0]])
        var probes: [() -> Bool] = []
        let count = try compilations {
            for _ in 0..<100 {
                w.zeroGrad()
                b.zeroGrad()
                try ((x.matmul(w) + b).square().sum() * 0.5).backward()
                noGrad {
                    w.sub_(w.grad! * 0.5)
                    b.sub_(b.grad! * 0.25)
                }
                probes.append(w.lifetimeProbe)
            }
        }
        // The way in, the way on, and no more.
        #expect(count <= 4)
        #expect(probes.filter { $0() }.count <= 3)
        #expect(try w.array().allSatisfy { abs($0) < 1e-3 })
        #expect(try b.array().allSatisfy { abs($0) < 1e-3 })
    }

    @Test func emptyTensorsCompute() throws {
        let empty = Tensor.zeros([0, 3])
        #expect(try (empty + 1).array() == [])
        #expect(try empty.sum().item() == 0)
        #expect(try empty.sum(0).array() == [0, 0, 0])
        #expect(try Tensor.concatenate([empty, Tensor.ones([1, 3])]).array() == [1, 1, 1])
        #expect(try empty[0..<0].matmul(Tensor.ones([3, 2])).array() == [])
    }

    @Test(arguments: DType.all) func everyTypeGoesThrough(dtype: DType) throws {
        let x = Tensor([1.0, 0, 3], dtype: dtype)
        let expected: [Double] = dtype == .bool ? [1, 0, 1] : [1, 0, 3]
        #expect(try x.array() == expected)
        if dtype != .bool, !DType.floats8.contains(dtype) { #expect(try (x + x).cast(to: .f64).array() == [2, 0, 6]) }
        #expect(try x.cast(to: .f32).array() == expected)
        #expect("\(x)".contains("\(dtype)") != (dtype == .f32 || dtype == .i64 || dtype == .bool))
    }

    @Test func randomNumbersAreData() throws {
        manualSeed(3)
        var seen: Set<Double> = []
        let count = try compilations { for _ in 0..<10 { seen.insert(try Tensor.rand([4]).sum().item()) } }
        #expect(count == 1)
        #expect(seen.count == 10)
    }

    @Test func threadsDoNotDisturbEachOther() async throws {
        await withTaskGroup(of: Bool.self) { group in
            for seed in 0..<4 {
                group.addTask {
                    let x = Tensor([Double(seed), 1]).requiringGrad()
                    for _ in 0..<50 {
                        guard (try? ((x * x).sum() + Double(seed)).item()) == Double(seed * seed + 1 + seed) else { return false }
                    }
                    return true
                }
            }
            for await isRight in group { #expect(isRight) }
        }
    }
}

@Suite(.serialized) struct RandomTests {
    @Test func seedsRepeat() throws {
        // Other tests draw too, but not between the calls on one key: keys are compared through a captured generator state.
        let values = try (0..<2).map { _ -> [Double] in try Tensor.uniform(key: Tensor([UInt32(7), 9]), [5]).array() }
        #expect(values[0] == values[1])
        #expect(values[0].allSatisfy { $0 >= 0 && $0 < 1 })
    }

    @Test func distributions() throws {
        let n = try Tensor.randn([4000]).array()
        let mean = n.reduce(0, +) / 4000
        let variance = n.reduce(0) { $0 + $1 * $1 } / 4000 - mean * mean
        // Five standard errors: 5 / √4000, and 5 · √(2 / 4000).
        #expect(abs(mean) < 0.08)
        #expect(abs(variance - 1) < 0.112)
        let i = try Tensor.randint(-2..<3, [1000]).array(as: Int.self)
        #expect(Set(i) == [-2, -1, 0, 1, 2])
        #expect(Tensor.randn([2], dtype: .f64).dtype == .f64)
        #expect(try Tensor.randperm(10).array(as: Int.self).sorted() == Array(0..<10))
    }
}
