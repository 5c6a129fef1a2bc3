// Attention that is written out is found, whatever its scale, mask and axes; what is not attention is left alone.

import KilnIR
import KilnOps
import KilnPasses
import Testing

struct AttentionPassTests {
    struct Written: Sendable, CustomTestStringConvertible {
        var name: String
        var shapes: [Shape]
        var isFound: Bool
        var body: @Sendable ([Value]) -> Value
        var testDescription: String { name }
        init(_ name: String, _ shapes: [Shape], isFound: Bool = true, _ body: @escaping @Sendable ([Value]) -> Value) {
            (self.name, self.shapes, self.isFound, self.body) = (name, shapes, isFound, body)
        }
    }

    private static let heads: [Shape] = [[2, 3, "n", 4], [2, 3, 5, 4], [2, 3, 5, 6]]

    private static func hidden(_ scores: Value, by offset: Int = 0) -> Value {
        let row = scores.iota(.i64, Array(scores.dims.suffix(2)), axis: 0), key = scores.iota(.i64, Array(scores.dims.suffix(2)), axis: 1)
        let seen = offset == 0 ? key .<= row : row .> key
        return seen.expand(scores.dims).select(scores, -Double.infinity)
    }

    static let written = [
        Written("scaled by a division", heads) { ($0[0].matmul($0[1].transpose(-1, -2)) / 2).softmax(-1).matmul($0[2]) },
        Written("scaled by a product", heads) { ($0[0].matmul($0[1].transpose(-1, -2)) * 0.3).softmax(-1).matmul($0[2]) },
        Written("matrices", [[7, 4], ["n", 4], ["n", 3]]) { $0[0].matmul($0[1].t()).softmax(1).matmul($0[2]) },
        Written("one head in a batch of one", [[1, 1, 7, 4], [1, 1, 5, 4], [1, 1, 5, 4]]) { $0[0].matmul($0[1].transpose(-1, -2)).softmax(-1).matmul($0[2]) },
        Written("a causal mask", heads) { hidden($0[0].matmul($0[1].transpose(-1, -2)) * 0.5).softmax(-1).matmul($0[2]) },
        Written("a strictly causal mask", [[2, 6, 4], [2, 5, 4], [2, 5, 4]]) { hidden($0[0].matmul($0[1].transpose(-1, -2)), by: -1).softmax(-1).matmul($0[2]) },
        Written("an added mask", heads + [["n", 5]]) { ($0[0].matmul($0[1].transpose(-1, -2)) * 0.5 + $0[3]).softmax(-1).matmul($0[2]) },
        Written("einsums", [[2, 7, 3, 4], [2, 5, 3, 4], [2, 5, 3, 4]]) {
            ($0[0].einsum("bqhd,bkhd->bhqk", $0[1]) * 0.5).softmax(-1).einsum("bhqk,bkhd->bqhd", $0[2])
        },
        Written("weights whose NaNs are made 0", [[2, 6, 4], [2, 5, 4], [2, 5, 4]]) {
            let weights = hidden($0[0].matmul($0[1].transpose(-1, -2)), by: -1).softmax(-1)
            return weights.isNaN().select(0.0, weights).matmul($0[2])
        },
        Written("a softmax over rows", [[6, 4], [6, 4], [6, 4]], isFound: false) { $0[0].matmul($0[1].t()).softmax(0).matmul($0[2]) },
        Written("weights used twice", [[6, 4], [6, 4], [6, 4]], isFound: false) {
            let weights = $0[0].matmul($0[1].t()).softmax(1)
            return weights.matmul($0[2]) + weights.sum(1, keepDims: true)
        },
        Written("a mask that is scaled", heads + [["n", 5]], isFound: false) { (($0[0].matmul($0[1].transpose(-1, -2)) + $0[3]) * 0.5).softmax(-1).matmul($0[2]) },
    ]

    @Test(arguments: written, [DType.f32, .f64]) func isFound(_ written: Written, _ dtype: DType) throws {
        let builder = GraphBuilder("written")
        let graph = try builder.finish([("y", written.body(written.shapes.enumerated().map { builder.input("x\($0)", TensorType(dtype, $1)) }))])
        let (result, _) = try PassRunner(verifies: true).run(Passes.named(list: "simplify,common-subexpressions,find-attention,simplify"), on: graph)
        let count = try result.operations.count { if case .attention = try result.form(of: $0) { true } else { false } }
        #expect(count == (written.isFound ? 1 : 0), "\(result)")
        var random = Random(seed: 5)
        let inputs = graph.inputTypes.map { type in
            random.uniform(type.with(shape: type.shape.map { .constant($0.evaluate(symbols: ["n": 6])!) }), -1...1)
        }
        let (before, after) = (try Interpreter.run(graph, inputs: inputs)[0].doubles, try Interpreter.run(result, inputs: inputs)[0].doubles)
        // A row without a key is NaN in both.
        for (a, b) in zip(before, after) { #expect(a.isNaN ? b.isNaN : abs(a - b) < (dtype == .f32 ? 4e-6 : 1e-13)) }
    }
}
