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

    /// Numbers that models write where a key is hidden.
    static let fills = [-1e9, -1e4, -65504, -3.4028234663852886e38, -Double.infinity]

    private static func positions(_ scores: Value) -> (row: Value, key: Value) {
        (scores.iota(.i64, Array(scores.dims.suffix(2)), axis: 0), scores.iota(.i64, Array(scores.dims.suffix(2)), axis: 1))
    }

    /// A mask with rows that see some keys, all and none.
    private static func partly(_ scores: Value) -> Value {
        let (row, key) = positions(scores)
        return ((row .< 4) & (key .<= row * 2)).expand(scores.dims)
    }

    /// Ways to write a mask, each as what becomes of the scores.
    static let masks: [(name: String, body: @Sendable (_ scores: Value, _ fill: Double) -> Value)] = [
        ("kept where true", { scores, fill in partly(scores).select(scores, fill) }),
        ("hidden where true", { scores, fill in (.!partly(scores)).select(scores.full(.real(fill), scores.type, at: .unknown), scores) }),
        ("causal", { scores, fill in
            let (row, key) = positions(scores)
            return (key .<= row).expand(scores.dims).select(scores, fill)
        }),
        ("strictly causal, hidden where true", { scores, fill in
            let (row, key) = positions(scores)
            return (row .<= key).expand(scores.dims).select(scores.full(.real(fill), scores.type, at: .unknown), scores)
        }),
        ("filled before the scale", { scores, fill in partly(scores).select(scores, fill) * 0.5 }),
        ("added", { scores, fill in scores + partly(scores).select(scores.full(0, scores.type, at: .unknown), fill) }),
        ("beside an added one", { scores, fill in partly(scores).select(scores + (positions(scores).key.cast(to: scores.dtype) * 0.125).expand(scores.dims), fill) }),
    ]

    /// A row that sees no key is NaN where -∞ is filled in, and otherwise the mean of all values.
    @Test(arguments: fills, [DType.f32, .f16, .bf16]) func fillsKeepTheirMeaning(_ fill: Double, _ dtype: DType) throws {
        for (name, body) in Self.masks {
            let builder = GraphBuilder("filled")
            let x = [[2, 6, 4], [2, 5, 4], [2, 5, 3]].enumerated().map { builder.input("x\($0)", TensorType(dtype, $1.map { .constant($0) })) }
            let scores = body(x[0].matmul(x[1].transpose(-1, -2)) * 0.5, fill)
            let graph = try builder.finish([("y", scores.softmax(-1).matmul(x[2]))])
            let (result, _) = try PassRunner(verifies: true).run(Passes.named(list: "simplify,common-subexpressions,find-attention,simplify"), on: graph)
            let isFound = try result.operations.contains { if case .attention = try result.form(of: $0) { true } else { false } }
            // A number that scores may lie below can't be one mask with what is added.
            let isWide = fill == -1e4 || fill == -65504 && dtype != .f16
            #expect(isFound == !(name == "beside an added one" && isWide), "\(name): \(result)")
            var random = Random(seed: 7)
            let inputs = graph.inputTypes.map { random.uniform($0, -1...1) }
            let (before, after) = (try Interpreter.run(graph, inputs: inputs)[0].doubles, try Interpreter.run(result, inputs: inputs)[0].doubles)
            // Scores below 4 are rounded up to three times where they are written out, and weights and products after that.
            let bound = dtype == .f32 ? 4e-6 : dtype == .f16 ? 0x1p-7 : 0x1p-4
            for (place, (a, b)) in zip(before, after).enumerated() {
                // What is left of 16-bit scores beside a number that is added is less than what is left of them in f32.
                if name == "added", dtype != .f32, place / 3 % 6 >= 4 { continue }
                #expect(a.isNaN ? b.isNaN : abs(a - b) < bound, "\(name): \(a) and \(b)")
            }
        }
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
