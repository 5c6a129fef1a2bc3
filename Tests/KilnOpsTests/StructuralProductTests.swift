// Matrix products, convolution and pooling, against numbers of NumPy and a plain loop.

import KilnIR
import KilnOps
import Testing

struct StructuralProductTests {
    @Test func matrixProducts() throws {
        let left = reals([2, 3], [1, 2, 3, 4, 5, 6]), right = reals([3, 2], [1, 0, 0, 1, 1, 1]), row = reals([3], [1, 10, 100])
        #expect(try evaluate([left, right]) { $0[0].matmul($0[1]) }.isNear([2, 2], [4, 5, 10, 11]))
        #expect(try evaluate([left, row]) { $0[0].matmul($0[1]) }.isNear([2], [321, 654]))
        #expect(try evaluate([row, right]) { $0[0].matmul($0[1]) }.isNear([2], [101, 110]))
        #expect(try evaluate([row, row]) { $0[0].dot($0[1]) }.isNear([], [10101]))
        #expect(try evaluate([row, row]) { $0[0].outer($0[1]) }.shape == [3, 3])
        #expect(try evaluate([left, reals([2, 3], [1, 1, 1, 0, 0, 1]), reals([2], [10, 20])]) { $0[0].linear($0[1], $0[2]) }
            .isNear([2, 2], [16, 23, 25, 26]))
    }

    @Test func batchesBroadcast() throws {
        let expected: [Double] = [9, -16, -24, 5, 13, 9, 3, -24, -11, 13, 2, 3, -24, 4, -24, 3, 4, -24, 5, -24, 4, 4, 6, 5]
        let right = pattern(3, 3, 2, step: 5, modulus: 7, offset: 3)
        #expect(try evaluate([pattern(2, 1, 2, 3), right]) { $0[0].matmul($0[1]) }.isNear([2, 3, 2, 2], expected))
        let types = try graph([TensorType(.f32, [1, "n", 4, 5]), TensorType(.f32, [7, 1, 5, 6])]) { $0[0].matmul($0[1]) }
        #expect(types.outputTypes == [TensorType(.f32, [7, "n", 4, 6])])
        #expect(types.operations.filter { $0.op.name == "broadcast" }.isEmpty)
    }

    @Test func einsums() throws {
        let (a, b) = (pattern(2, 3, 4), pattern(2, 4, step: 5, modulus: 7, offset: 3))
        #expect(try evaluate([a, b]) { $0[0].einsum("bij,kj->ikb", $0[1]) }.isNear([3, 2, 2], [9, -12, -26, -4, -9, 25, -4, 7, 28, -15, 7, 7]))
        #expect(try evaluate(a) { $0.einsum("ijk->ki") }.isNear([4, 2], [-8, 2, 2, 1, 1, 0, 0, -1]))
        #expect(try evaluate([reals([2], [1, 2]), reals([2], [3, 4])]) { $0[0].einsum("i,i", $0[1]) }.isNear([], [11]))
        #expect(try evaluate(reals([2, 2], [1, 2, 3, 4])) { $0.einsum("ii->i") }.isNear([2], [1, 4]))
        #expect(try evaluate(reals([2, 2], [1, 2, 3, 4])) { $0.einsum("ii") }.isNear([], [5]))
        let (row, column) = (reals([1, 3], [1, 10, 100]), reals([2, 1], [1, 2]))
        #expect(try evaluate([row, column]) { .einsum("...,...", [$0[0], $0[1]]) }.isNear([2, 3], [1, 10, 100, 2, 20, 200]))
        #expect(try evaluate([row, column, reals([2], [5, 7])]) { .einsum("ij,kj,k->k", [$0[0], $0[1], $0[2]]) }.isNear([2], [555, 1554]))
        #expect(try evaluate([reals([2, 1, 2], [1, 2, 3, 4]), column]) { .einsum("...ij,jk->...ik", [$0[0], $0[1]]) }.isNear([2, 1, 1], [5, 11]))
    }

    @Test func accumulators() throws {
        let bytes = Literal(.i8, [1, 2], doubles: [100, 100])
        #expect(try evaluate([bytes, Literal(.i8, [2, 1], doubles: [100, 27])]) { $0[0].matmul($0[1]) }.doubles == [-100])
        let wide = try evaluate([bytes, Literal(.i8, [2, 1], doubles: [100, 27])]) { $0[0].contracting($0[1], reduce: ([1], [0]), dtype: .i32) }
        #expect(wide == integers([1, 1], [12700], .i32))
    }

    @Test func convolutionOfTwoAxes() throws {
        let result = try evaluate([pattern(1, 4, 5, 4), pattern(4, 2, 3, 2, step: 5, modulus: 7, offset: 3)]) {
            $0[0].convolving($0[1], strides: [2, 1], low: [1, 0], high: [1, 1], dilations: [1, 2], groups: 2)
        }
        #expect(result.isNear([1, 4, 3, 3], [24, -40, 0, 33, 22, -10, 9, 29, -23, 11, 9, 13, -2, -31, 18, 9, -53, 14, 11, 4, 14, 24, -12, 18, 9, -47,
                                             13, 10, 9, -23, -16, 34, -10, -21, 23, 0]))
    }

    @Test func convolutionWithBias() throws {
        let result = try evaluate([pattern(1, 1, 4), reals([2, 1, 2], [1, 1, 1, -1]), reals([2], [10, 20])]) { $0[0].conv1d($0[1], bias: $0[2], padding: 1) }
        // -5 2 -2 5 with a zero on both sides.
        #expect(result.isNear([1, 2, 5], [5, 7, 10, 13, 15, 25, 13, 24, 13, 25]))
    }

    @Test func pooling() throws {
        let image = pattern(1, 1, 4, 4)
        #expect(try evaluate(image) { $0.maxPool2d(2) }.isNear([1, 1, 2, 2], [2, 5, 3, 5]))
        #expect(try evaluate(image) { $0.maxPool2d(3, stride: 2, padding: 1) }.isNear([1, 1, 2, 2], [2, 5, 3, 5]))
        #expect(try evaluate(image) { $0.avgPool2d(3, stride: 2, padding: 1) * 9 }.isNear([1, 1, 2, 2], [-5, 6, -3, 2]))
        #expect(try evaluate(image) { $0.avgPool2d(3, stride: 2, padding: 1, countsPadding: false) }.isNear([1, 1, 2, 2], [-1.25, 1, -0.5, 2.0 / 9]))
        #expect(try evaluate(-image) { ($0 - 100).maxPool2d(2, padding: 1) }.doubles.max()! < 0)
        #expect(try evaluate(Literal(.i32, [1, 2, 2], doubles: [-4, -3, -2, -7])) { $0.maxPool([2, 2], padding: [1, 1]) }.doubles == [-4, -3, -2, -7])
    }

    @Test func poolingGivesTheGradientToTheFirst() throws {
        let image = reals([1, 1, 2, 4], [1, 3, 2, 2, 3, 3, 2, 2])
        #expect(try gradients([image]) { $0[0].maxPool2d(2) }[0].isNear([1, 1, 2, 4], [0, 1, 2, 0, 0, 0, 0, 0]))
        // Windows that overlap: of 3 3 1, weights 1 and 2 for the windows (3 3) and (3 1).
        #expect(try gradients([reals([1, 3], [3, 3, 1])]) { $0[0].maxPool([2], strides: [1]) }[0].isNear([1, 3], [1, 2, 0]))
    }
}

private prefix func - (literal: Literal) -> Literal { Literal(literal.dtype, literal.shape, doubles: literal.doubles.map { -$0 }) }
