// What passes make of small graphs, as text; and that it computes the same.

import KilnIR
import KilnOps
import KilnPasses
import Testing

struct GoldenTests {
    static let matrix = TensorType(.f32, ["n", 4])
    /// Said to be every operation's, so that no golden knows this file.
    private static let line = SourceLocation(name: "model.swift", line: 7)

    func check(_ pass: String, _ name: String, tolerance: Double = 0, _ build: (GraphBuilder) throws -> [Value]) throws {
        let builder = GraphBuilder(name)
        builder.location = Self.line
        let graph = try builder.finish(build(builder).enumerated().map { ("y\($0)", $1) })
        let (result, _) = try PassRunner(verifies: true).run(Passes.named(list: pass), on: graph)
        try Goldens.compare(result, pass: pass, name)
        var random = Random(seed: 21)
        let inputs = graph.inputTypes.map { type in
            random.uniform(type.with(shape: type.shape.map { .constant($0.evaluate(symbols: ["n": 3])!) }), 0...2)
        }
        let (before, after) = (try Interpreter.run(graph, inputs: inputs), try Interpreter.run(result, inputs: inputs))
        if tolerance == 0 { return #expect(zip(before, after).allSatisfy { $0.firstDifference(from: $1) == nil }) }
        for (a, b) in zip(before, after) { #expect(zip(a.doubles, b.doubles).allSatisfy { abs($0 - $1) <= tolerance }) }
    }

    private func region(_ types: [TensorType], _ body: ([Value]) -> [Value]) throws -> Graph {
        let builder = GraphBuilder("region")
        builder.location = Self.line
        let results = body(types.enumerated().map { builder.input("x\($0)", $1) })
        return try builder.finish(results.enumerated().map { ("y\($0)", $1) })
    }

    @Test func commonSubexpressions() throws {
        try check("common-subexpressions", "merges_equal_operations") { builder in
            let x = builder.input("x", Self.matrix)
            // Equal ops and attributes merge; another number or another order of operands does not.
            return [(x * 2).exp() + (x * 2).exp(), (x * 3).exp(), x - (x * 2), (x * 2) - x]
        }
        try check("common-subexpressions", "compares_regions") { builder in
            let (c, x) = (builder.input("c", TensorType(.bool, [])), builder.input("x", Self.matrix))
            func branch(_ factor: Double) throws -> Value {
                let regions = [try region([Self.matrix]) { [$0[0] * factor] }, try region([Self.matrix]) { [$0[0].exp() + $0[0].exp()] }]
                return builder.append(Catalogue.op(named: "if")!, [c, x], regions: regions)[0]
            }
            return [try branch(2), try branch(2), try branch(3)]
        }
    }

    @Test func deadCode() throws {
        try check("dead-code", "drops_unused_operations") { builder in
            let x = builder.input("x", Self.matrix)
            _ = builder.input("unused", Self.matrix)
            _ = x.exp().sin()
            return [x.cos()]
        }
        try check("dead-code", "drops_results_of_if") { builder in
            let (c, x) = (builder.input("c", TensorType(.bool, [])), builder.input("x", Self.matrix))
            let regions = [try region([Self.matrix, Self.matrix]) { [$0[0].exp(), $0[1].sin()] }, try region([Self.matrix, Self.matrix]) { [$0[0], $0[1]] }]
            return [builder.append(Catalogue.op(named: "if")!, [c, x, x.cos()], regions: regions)[0]]
        }
        try check("dead-code", "drops_carried_values") { builder in
            let x = builder.input("x", Self.matrix)
            // Carried: a counter, a result, what the result needs, something for nothing. Captured: used, unused.
            let counter = TensorType(.i32, [])
            let types = [counter, Self.matrix, Self.matrix, Self.matrix, Self.matrix, Self.matrix]
            let condition = try region(types) { [$0[0] .< 3] }
            let body = try region(types) { [$0[0] + 1, $0[1] + $0[2], $0[2] * $0[4], $0[3].exp() * $0[5]] }
            let results = builder.append(Catalogue.op(named: "while")!, [builder.full(0, counter), x, x, x, x.exp(), x.sin()],
                                         ["carried": .int(4)], regions: [condition, body])
            return [results[1]]
        }
    }

    @Test func simplify() throws {
        try check("simplify", "folds_numbers") { builder in
            let x = builder.input("x", Self.matrix)
            let number = builder.full(2, TensorType(.f32, [])) * builder.full(3, TensorType(.f32, []))
            return [x + number, x + 0, x - 0, x / 1 * 1]
        }
        try check("simplify", "takes_transposes_into_contract") { builder in
            let (x, w) = (builder.input("x", Self.matrix), builder.input("w", TensorType(.f32, [5, 4])))
            let turned = builder.append(Structural.permute, [w], ["axes": .ints([1, 0])])[0]
            let product = builder.append(Structural.contract, [x, turned],
                                         ["left_batch": .ints([]), "right_batch": .ints([]), "left_reduce": .ints([1]), "right_reduce": .ints([0])])[0]
            return [builder.append(Structural.permute, [product], ["axes": .ints([1, 0])])[0]]
        }
    }

    @Test func differentiate() throws {
        let gradient = "differentiate,common-subexpressions,simplify,common-subexpressions,dead-code"
        let builder = GraphBuilder("layer")
        builder.location = Self.line
        let (x, w, b) = (builder.input("x", Self.matrix), builder.input("w", TensorType(.f32, [4, 2])), builder.input("b", TensorType(.f32, [2])))
        let product = builder.append(Structural.contract, [x, w],
                                     ["left_batch": .ints([]), "right_batch": .ints([]), "left_reduce": .ints([1]), "right_reduce": .ints([0])])[0]
        let graph = try builder.finish([("y", (product + b).relu())])
        let (result, _) = try PassRunner(verifies: true).run(Passes.named(list: gradient), on: graph)
        try Goldens.compare(result, pass: "differentiate", "layer")
    }
}
