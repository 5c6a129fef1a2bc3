// Reductions, scans and what is made of them, against numbers of NumPy; gradients where elements are equal or zero.

import KilnIR
import KilnOps
import Testing

struct StructuralReductionTests {
    /// -5 2 -2 5 1 / -3 4 0 -4 3
    let matrix = pattern(2, 5)

    @Test func sums() throws {
        #expect(try evaluate(matrix) { $0.sum() }.isNear([], [1]))
        #expect(try evaluate(matrix) { $0.sum(-1) }.isNear([2], [1, 0]))
        #expect(try evaluate(matrix) { $0.sum(0, keepDims: true) }.isNear([1, 5], [-8, 6, -2, 1, 4]))
        #expect(try evaluate(matrix) { ($0 .> 0).sum(1) } == integers([2], [3, 2]))
        #expect(try evaluate(matrix) { $0.product(0) }.isNear([5], [15, 8, 0, -20, 3]))
        #expect(try evaluate(matrix) { $0.mean(1) }.isNear([2], [0.2, 0]))
        #expect(try evaluate(matrix) { $0.max(1) }.isNear([2], [5, 4]))
        #expect(try evaluate(matrix) { $0.min(0) }.isNear([5], [-5, 2, -2, -4, 1]))
        #expect(try evaluate(matrix) { $0.argmax(1) } == integers([2], [3, 1]))
        #expect(try evaluate(matrix) { $0.argmin() } == integers([], [0]))
        #expect(try evaluate(matrix) { $0.any(0) }.doubles == [1, 1, 1, 1, 1])
        #expect(try evaluate(matrix) { $0.all(0) }.doubles == [1, 1, 0, 1, 1])
        #expect(try evaluate(reals([], [3])) { $0.sum() }.isNear([], [3]))
        #expect(try evaluate(Literal(.u8, [3], doubles: [200, 100, 1])) { $0.sum() }.doubles == [45])
        #expect(try evaluate(Literal(.f32, [0, 2], doubles: [])) { $0.sum(0) }.doubles == [0, 0])
        #expect(try evaluate(Literal(.f32, [0, 2], doubles: [])) { $0.product(0) }.doubles == [1, 1])
    }

    /// At the ends of the dtype, where a sum would not fit, and anywhere between, against arithmetic of 128 bits.
    @Test(arguments: DType.integers) func meansOfIntegersAreExact(_ dtype: DType) throws {
        var numbers = SampleNumbers(seed: 7)
        var rows: [[Scalar]] = [[dtype.greatest, dtype.greatest], [dtype.least, dtype.least], [dtype.greatest, dtype.least], [dtype.least, .integer(0)],
                                [dtype.greatest, dtype.greatest, dtype.least], [dtype.least, dtype.least, dtype.greatest], [.integer(-1), .integer(0)]]
        for count in 1...40 { rows.append((0..<count).map { _ in .unsigned(.random(in: 0 ... .max, using: &numbers)) }) }
        for row in rows {
            let literal = Literal(dtype, [row.count], scalars: row)
            let whole = literal.scalars.map { dtype.isUnsigned ? Int128(UInt64(bitPattern: $0.int64)) : Int128($0.int64) }
            let mean = whole.reduce(0, +) / Int128(row.count)
            #expect(try evaluate(literal) { $0.truncatedMean([0]) }[0].int64 == Int64(truncatingIfNeeded: mean), "\(literal)")
        }
        let open = try evaluate([Literal(dtype, [2, 2], scalars: [1, 2, 3, 5])], symbolic: [TensorType(dtype, ["n", 2])]) { $0[0].truncatedMean([0], keepDims: true) }
        #expect(open.shape == [1, 2] && open.doubles == [2, 3])
        #expect(throws: ShapeError.self) { try evaluate(self.matrix) { $0.truncatedMean([0]) } }
    }

    @Test func statistics() throws {
        #expect(try evaluate(matrix) { $0.variance(1) }.isNear([2], [14.7, 12.5]))
        #expect(try evaluate(matrix) { $0.std(0, unbiased: false) }.isNear([5], [1, 1, 1, 4.5, 1]))
        #expect(try evaluate(matrix) { $0.norm(1) * $0.norm(1) }.isNear([2], [59, 50]))
        #expect(try evaluate(Literal(.f16, [4], doubles: [60000, 60000, 60000, 60000])) { $0.mean() }.doubles == [60000])
        let batch = try evaluate([matrix], symbolic: [TensorType(.f64, ["n", 5])]) { $0[0].mean(0) }
        #expect(batch.isNear([5], [-4, 3, -1, 0.5, 2]))
    }

    @Test func exponentialSums() throws {
        let sums = try evaluate(matrix) { $0.logSumExp(1) }
        #expect(abs(sums.doubles[0] - 5.0667797475) < 1e-9 && abs(sums.doubles[1] - 4.32746207) < 1e-8)
        let rows = try evaluate(matrix) { $0.softmax(-1) }
        #expect(abs(rows.doubles[3] - 0.9354012031) < 1e-9 && abs(rows.doubles[6] - 0.7207506288) < 1e-9)
        let logarithms = try evaluate(matrix) { $0.logSoftmax(1).exp() - $0.softmax(1) }
        #expect(logarithms.doubles.allSatisfy { abs($0) < 1e-14 })
        #expect(try evaluate(reals([2], [-.infinity, -.infinity])) { $0.logSumExp() }.doubles == [-.infinity])
        #expect(try evaluate(reals([2], [1000, 1000])) { $0.logSumExp() }.isNear([], [1000.6931471805599]))
    }

    @Test func scans() throws {
        let row = reals([4], [2, 0, 3, -1])
        #expect(try evaluate(row) { $0.cumsum(0) }.isNear([4], [2, 2, 5, 4]))
        #expect(try evaluate(row) { $0.cumsum(-1, reverse: true, exclusive: true) }.isNear([4], [2, 2, -1, 0]))
        #expect(try evaluate(row) { $0.cumprod(0) }.isNear([4], [2, 0, 0, 0]))
        #expect(try evaluate(row) { $0.cumprod(0, exclusive: true) }.isNear([4], [1, 2, 0, 0]))
        #expect(try evaluate(row) { $0.cummax(0) }.isNear([4], [2, 2, 3, 3]))
        #expect(try evaluate(row) { $0.cummin(0, reverse: true) }.isNear([4], [-1, -1, -1, -1]))
    }

    @Test func equalExtremesShareTheGradient() throws {
        let row = reals([4], [1, 3, 3, 2])
        #expect(try gradients([row]) { $0[0].max() }[0].isNear([4], [0, 0.5, 0.5, 0]))
        #expect(try gradients([row]) { -(-$0[0]).min() }[0].isNear([4], [0, 0.5, 0.5, 0]))
        // A running extreme's goes to the latest: weights 1, 2, 3, 4.
        #expect(try gradients([row]) { $0[0].cummax(0) }[0].isNear([4], [1, 2, 7, 0]))
    }

    @Test func productsOfZerosHaveGradients() throws {
        #expect(try gradients([reals([3], [2, 0, 5])]) { $0[0].product() }[0].isNear([3], [0, 10, 0]))
        #expect(try gradients([reals([3], [0, 0, 5])]) { $0[0].product() }[0].isNear([3], [0, 0, 0]))
        // y = (a, ab, abc), weights 1 2 3, at a, b, c = 2, 0, 5: da = 1 + 2b + 3bc, db = 2a + 3ac, dc = 3ab.
        #expect(try gradients([reals([3], [2, 0, 5])]) { $0[0].cumprod(0) }[0].isNear([3], [1, 34, 0]))
        #expect(try gradients([reals([3], [2, 0, 5])]) { $0[0].cumprod(0, reverse: true) }[0].isNear([3], [0, 20, 3]))
    }

    /// An axis of a symbol's size takes another way to the same gradient.
    @Test func productScanOfASymbolsAxis() throws {
        let row = reals([5], [2, 0.5, -1, 3, 0.25])
        let fixed = try gradients([row]) { $0[0].cumprod(0) }[0]
        let symbolic = GraphBuilder("test")
        let x = symbolic.input("x", TensorType(.f64, ["n"])), w = symbolic.input("w", TensorType(.f64, ["n"]))
        let scan = x.cumprod(0)
        let operation = symbolic.graph.operations.last!
        let context = PullbackContext(context: symbolic.graph.context(of: operation), operands: [x], results: [scan], cotangents: [w])
        let gradient = try #require(try operation.op.pullback!(context)[0])
        let graph = try symbolic.finish([("dx", gradient)])
        #expect(try Interpreter.run(graph, inputs: [row, reals([5], [1, 2, 3, 4, 5])])[0].isNear([5], fixed.doubles))
    }
}
