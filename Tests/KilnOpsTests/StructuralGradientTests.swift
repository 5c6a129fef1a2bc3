// Spellings that are made of several ops: their gradients against central differences, in f64.

import KilnIR
import KilnOps
import Testing

struct StructuralGradientTests {
    struct Composition: Sendable, CustomTestStringConvertible {
        var name: String
        var shapes: [[Int]]
        var body: @Sendable ([Value]) -> Value
        var testDescription: String { name }
        init(_ name: String, _ shapes: [Int]..., body: @escaping @Sendable ([Value]) -> Value) { (self.name, self.shapes, self.body) = (name, shapes, body) }
    }

    static let compositions = [
        Composition("mean", [3, 4]) { $0[0].mean(0) },
        Composition("variance", [3, 4]) { $0[0].variance(1) },
        Composition("std", [3, 4]) { $0[0].std(0, unbiased: false, keepDims: true) },
        Composition("norm", [3, 4]) { $0[0].norm() },
        Composition("logSumExp", [3, 4]) { $0[0].logSumExp(1, keepDims: true) },
        Composition("softmax", [3, 4]) { $0[0].softmax(0) },
        Composition("logSoftmax", [2, 3, 4]) { $0[0].logSoftmax(1) },
        Composition("matmul", [2, 1, 2, 3], [3, 3, 2]) { $0[0].matmul($0[1]) },
        Composition("matmul with a vector", [3], [2, 3, 2]) { $0[0].matmul($0[1]) },
        Composition("linear", [2, 3, 4], [5, 4], [5]) { $0[0].linear($0[1], $0[2]) },
        Composition("einsum", [2, 3, 4], [2, 4]) { $0[0].einsum("bij,bj->ib", $0[1]) },
        Composition("einsum of a diagonal", [2, 3, 3], [3]) { $0[0].einsum("bii,i->b", $0[1]) },
        Composition("conv2d", [2, 2, 5, 4], [4, 1, 3, 2], [4]) { $0[0].conv2d($0[1], bias: $0[2], stride: 2, padding: 1, groups: 2) },
        Composition("conv2d of strides that leave a rest", [1, 1, 6, 6], [2, 1, 2, 2]) { $0[0].conv2d($0[1], stride: 3, dilation: 2) },
        Composition("maxPool", [1, 2, 5, 5]) { $0[0].maxPool2d(3, stride: 2, padding: 1) },
        Composition("maxPool without overlap", [1, 2, 5, 4]) { $0[0].maxPool2d(2) },
        Composition("avgPool", [1, 2, 5, 5]) { $0[0].avgPool2d(3, stride: 2, padding: 1, countsPadding: false) },
        Composition("avgPool rounded up", [1, 2, 5, 6]) { $0[0].averagePooling(SlidingWindow([2, 3], strides: [2, 2], dilations: [2, 1], low: [1, 0]), roundsUp: true) },
        Composition("normPool", [1, 2, 5, 5]) { ($0[0] + 3).normPooling(SlidingWindow([3, 2], strides: [1, 2]), p: 3) },
        Composition("transposed convolution", [2, 4, 3, 2], [4, 3, 3, 4], [6]) {
            $0[0].convolvingTransposed($0[1], SlidingWindow([3, 4], strides: [2, 3], low: [1, 0], high: [0, 2]), bias: $0[2], outputPadding: [1, 0], groups: 2)
        },
        Composition("tile", [2, 3]) { $0[0].tile(2, 2, 1) },
        Composition("lowerTriangle", [3, 3]) { $0[0].lowerTriangle() },
        Composition("cumsum of a slice", [4, 5]) { $0[0].slice(axis: 1, from: 1, step: 2).cumsum(0, reverse: true) },
    ]

    /// Differences of size h leave h² (1e-8) and rounding errors over h (1e-11), on values of size 10.
    @Test(arguments: compositions) func derivativesMatchDifferences(_ composition: Composition) throws {
        var state: UInt64 = 42
        let inputs = composition.shapes.map { shape in
            Literal(.f64, shape, doubles: (0..<shape.reduce(1, *)).map { _ in
                state = state &* 6_364_136_223_846_793_005 &+ 1_442_695_040_888_963_407
                return Double(state >> 11) / Double(1 << 53) * 4 - 2
            })
        }
        let found = try gradients(inputs, composition.body)
        let step = 1e-4
        for (number, input) in inputs.enumerated() {
            for position in stride(from: 0, to: input.count, by: 3) {
                let value = { (distance: Double) -> Double in
                    var moved = inputs
                    moved[number][position] = .real(input[position].double + distance)
                    let result = try evaluate(moved, composition.body).doubles
                    return result.enumerated().reduce(0) { $0 + Double($1.offset + 1) * $1.element }
                }
                let expected = (try value(step) - value(-step)) / (2 * step)
                let gradient = found[number][position].double
                #expect(abs(gradient - expected) < 1e-5 * max(1, abs(expected)), "input \(number) at \(position): \(gradient), and \(expected) by differences")
            }
        }
    }

    @Test func opsHaveTheirNames() {
        let names = """
            reshape permute broadcast slice pad flip concatenate windows dilate reduce_sum reduce_product reduce_max reduce_min reduce_any reduce_all \
            reduce_argmax reduce_argmin scan_sum scan_product scan_max scan_min contract convolution take take_along scatter_set scatter_add \
            scatter_multiply scatter_max scatter_min scatter_along_set scatter_along_add scatter_along_multiply scatter_along_max scatter_along_min \
            if while group random_bits
            """.split(separator: " ")
        for name in names { #expect(Catalogue.op(named: String(name)) != nil, "\(name) is missing") }
    }
}
