// Views through the interpreter, against numbers worked out by hand or by NumPy.

import KilnIR
import KilnOps
import Testing

struct StructuralViewTests {
    let matrix = reals([2, 3], [1, 2, 3, 4, 5, 6])

    @Test func shapes() throws {
        #expect(try evaluate(matrix) { $0.reshape(3, -1) }.isNear([3, 2], [1, 2, 3, 4, 5, 6]))
        #expect(try evaluate(matrix) { $0.t() }.isNear([3, 2], [1, 4, 2, 5, 3, 6]))
        #expect(try evaluate(matrix) { $0.transpose(-1, 0) }.isNear([3, 2], [1, 4, 2, 5, 3, 6]))
        #expect(try evaluate(matrix) { $0.unsqueezed(-1).squeezed() }.isNear([2, 3], [1, 2, 3, 4, 5, 6]))
        #expect(try evaluate(matrix) { $0.unsqueezed(1).expand(2, 2, -1) }.isNear([2, 2, 3], [1, 2, 3, 1, 2, 3, 4, 5, 6, 4, 5, 6]))
        #expect(try evaluate(matrix) { $0.flatten() }.shape == [6])
        #expect(try evaluate(matrix) { $0.movingAxis(0, to: -1) }.isNear([3, 2], [1, 4, 2, 5, 3, 6]))
        #expect(try evaluate(reals([2, 2], [1, 2, 3, 4])) { $0.tile(2, 1, 2) }
            .isNear([2, 2, 4], [1, 2, 1, 2, 3, 4, 3, 4, 1, 2, 1, 2, 3, 4, 3, 4]))
    }

    @Test func symbolsInShapes() throws {
        let result = try evaluate([matrix], symbolic: [TensorType(.f64, ["n", 3])]) { $0[0].reshape(-1) + 1 }
        #expect(result.isNear([6], [2, 3, 4, 5, 6, 7]))
    }

    @Test func ranges() throws {
        let row = reals([7], [0, 1, 2, 3, 4, 5, 6])
        #expect(try evaluate(row) { $0.slice(axis: 0, from: 1, to: -1, step: 2) }.isNear([3], [1, 3, 5]))
        #expect(try evaluate(row) { $0.slice(axis: 0, from: 5, to: 100) }.isNear([2], [5, 6]))
        #expect(try evaluate(row) { $0.slice(axis: 0, from: 5, to: 2) }.isNear([0], []))
        #expect(try evaluate(matrix) { $0.select(axis: 1, index: -1) }.isNear([2], [3, 6]))
        #expect(try evaluate(matrix) { $0.flip(-1) }.isNear([2, 3], [3, 2, 1, 6, 5, 4]))
        #expect(try evaluate(matrix) { $0.pad([1, 0, 0, 1], value: 9.0) }.isNear([3, 4], [9, 1, 2, 3, 9, 4, 5, 6, 9, 9, 9, 9]))
        #expect(try evaluate(matrix) { $0.pad([-1, 1]) }.isNear([2, 3], [2, 3, 0, 5, 6, 0]))
        #expect(try evaluate(matrix) { $0.dilating([1], by: [2]) }.isNear([2, 5], [1, 0, 2, 0, 3, 4, 0, 5, 0, 6]))
        #expect(try evaluate(matrix) { Value.concatenate([$0, $0.flip(0)], axis: 0) }.isNear([4, 3], [1, 2, 3, 4, 5, 6, 4, 5, 6, 1, 2, 3]))
        #expect(try evaluate(matrix) { Value.stack([$0, $0 * 2], axis: -1) }.isNear([2, 3, 2], [1, 2, 2, 4, 3, 6, 4, 8, 5, 10, 6, 12]))
        #expect(try evaluate(matrix) { $0.split([1, 2], axis: 1)[1] }.isNear([2, 2], [2, 3, 5, 6]))
    }

    @Test func triangles() throws {
        let matrix = pattern(3, 4)
        #expect(try evaluate(matrix) { $0.lowerTriangle(diagonal: 1) }.isNear([3, 4], [-5, 2, 0, 0, 1, -3, 4, 0, -4, 3, -1, -5]))
        #expect(try evaluate(matrix) { $0.upperTriangle(diagonal: -1) }.isNear([3, 4], [-5, 2, -2, 5, 1, -3, 4, 0, 0, 3, -1, -5]))
    }

    @Test func windows() throws {
        let row = reals([7], [0, 1, 2, 3, 4, 5, 6])
        #expect(try evaluate(row) { $0.windowing([0], sizes: [3], strides: [2], dilations: [1]) }.isNear([3, 3], [0, 1, 2, 2, 3, 4, 4, 5, 6]))
        #expect(try evaluate(row) { $0.windowing([0], sizes: [2], strides: [1], dilations: [4]) }.isNear([3, 2], [0, 4, 1, 5, 2, 6]))
    }

    /// Each element's gradient is the sum of the weights of the windows' places that read it.
    @Test(arguments: [(3, 2, 1), (2, 2, 1), (1, 3, 1), (2, 1, 4), (2, 5, 3)]) func windowsGoBackWhereTheyWereRead(size: Int, stride: Int, dilation: Int) throws {
        let found = try gradients([pattern(7)]) { $0[0].windowing([0], sizes: [size], strides: [stride], dilations: [dilation]) }[0]
        var expected = [Double](repeating: 0, count: 7)
        for window in 0...(7 - (size - 1) * dilation - 1) / stride {
            for k in 0..<size { expected[window * stride + k * dilation] += Double(window * size + k + 1) }
        }
        #expect(found.isNear([7], expected))
    }

    @Test func windowsThatDoNotOverlapMoveWithoutSums() throws {
        let builder = GraphBuilder("test")
        let x = builder.input("x", TensorType(.f32, ["n", 8, 8]))
        let back = x.windowing([1, 2], sizes: [2, 2], strides: [2, 2], dilations: [1, 1])
            .unwindowing(to: x.dims, axes: [1, 2], strides: [2, 2], dilations: [1, 1])
        let graph = try builder.finish([("y", back)])
        #expect(graph.outputTypes == [TensorType(.f32, ["n", 8, 8])])
        #expect(graph.operations.map(\.op.name) == ["windows", "permute", "reshape"])
    }
}
