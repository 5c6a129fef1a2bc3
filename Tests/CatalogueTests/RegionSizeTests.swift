// Sizes that fit no op of a branch or round that is not run: the call must be served; where it is run, the call fails. And sizes of
// nothing at all, and of very many axes.

import KilnExecution
import KilnIR
import KilnOps
import Testing

struct RegionSizeTests {
    private static func region(_ types: [TensorType], _ body: ([Value]) -> [Value]) throws -> Graph {
        let builder = GraphBuilder("region")
        let results = body(types.enumerated().map { builder.input("x\($0.offset)", $0.element) })
        return try builder.finish(results.enumerated().map { ("y\($0.offset)", $0.element) })
    }

    /// Runs the graph compiled; the interpreter must give the same.
    private static func check(_ graph: Graph, _ compiled: Compiled, _ inputs: [Literal]) throws {
        for (got, wanted) in try zip(compiled.run(inputs), Interpreter.run(graph, inputs: inputs)) {
            #expect(got.shape == wanted.shape && got.bytes == wanted.bytes, "\(got) and not \(wanted)")
        }
    }

    private static func counting(_ count: Int) -> Literal { Literal(.f32, [count], doubles: (0..<count).map { Double($0) }) }

    /// The branch's own memory would have fewer than no bytes where it is not run.
    @Test(arguments: Runner.all) func aBranchThatIsNotRunMayNotFit(_ runner: Runner) throws {
        let b = GraphBuilder("branch"), type = TensorType(.f32, ["n"])
        let x = b.input("x", type), takesTail = b.input("tail", TensorType(.bool, []))
        let tail = try Self.region([type]) { [$0[0].narrow(0, start: 40, length: "n" - 40).cumsum(0).cumsum(0).sum()] }
        let whole = try Self.region([type]) { [$0[0].cumsum(0).sum()] }
        let result = b.append(Catalogue.op(named: "if")!, [takesTail, x], regions: [tail, whole])[0]
        let graph = try b.finish([("y", result), ("scan", x.cumsum(0) * result)])
        for compiled in try Compiled.all(graph, runner) {
            for (size, isTail) in [(50, true), (50, false), (40, true), (3, false), (0, false)] {
                try Self.check(graph, compiled, [Self.counting(size), Literal(.bool, [], scalars: [.bool(isTail)])])
            }
            let refused = #expect(throws: RuntimeError.self) { try compiled.run([Self.counting(3), Literal(.bool, [], scalars: [true])]) }
            #expect(refused?.name == "check failed", "\(refused?.description ?? "nothing")")
        }
    }

    @Test(arguments: Runner.all) func aLoopOverNothingMayTakeFromIt(_ runner: Runner) throws {
        let count = TensorType(.i64, []), type = TensorType(.f32, ["n"]), sum = TensorType(.f32, [])
        let types = [count, sum, type, count]
        let b = GraphBuilder("loop")
        let x = b.input("x", type), rounds = b.input("rounds", count)
        let condition = try Self.region(types) { [$0[0] .< $0[3]] }
        let body = try Self.region(types) { [$0[0] + 1, $0[1] + $0[2].take($0[0], axis: 0)] }
        let results = b.append(Catalogue.op(named: "while")!, [b.full(0, count), b.full(0, sum), x, rounds], ["carried": .int(2)], regions: [condition, body])
        let graph = try b.finish([("sum", results[1])])
        let unused = try b.finish([("whole", x.sum())])
        func times(_ number: Int) -> Literal { Literal(.i64, [], scalars: [.integer(Int64(number))]) }
        for compiled in try Compiled.all(graph, runner) {
            for size in [0, 1, 5] { try Self.check(graph, compiled, [Self.counting(size), times(size)]) }
            #expect(throws: RuntimeError.self) { try compiled.run([Self.counting(0), times(1)]) }
        }
        for compiled in try Compiled.all(unused, runner) { try Self.check(unused, compiled, [Self.counting(0), times(0)]) }
    }

    /// A size that is a quotient, where nothing is what it is divided by.
    @Test(arguments: Runner.all) func nothingIsDividedByNothing(_ runner: Runner) throws {
        let b = GraphBuilder("quotient")
        let x = b.input("x", TensorType(.f32, ["n", "m"])), n: Dim = "n", m: Dim = "m"
        let rows = x.reshape([n, (n * m) / (n * 2), 2])
        let graph = try b.finish([("y", x.exp())])
        for compiled in try Compiled.all(graph, runner) {
            try Self.check(graph, compiled, [Literal(.f32, [2, 4], doubles: Array(repeating: 0, count: 8))])
            for shape in [[0, 4], [2, 3]] {
                let input = Literal(.f32, shape, doubles: Array(repeating: 0, count: shape.reduce(1, *)))
                #expect(throws: CompileError.self) { try Interpreter.run(graph, inputs: [input]) }
                let refused = #expect(throws: RuntimeError.self) { try compiled.run([input]) }
                #expect(refused?.name == "check failed", "\(rows.type): \(refused?.description ?? "nothing")")
            }
        }
    }

    /// As many elements as a size of 0 leaves of others that are open.
    @Test(arguments: Runner.all) func combinesNothing(_ runner: Runner) throws {
        let b = GraphBuilder("nothing")
        let x = b.input("x", TensorType(.f32, [2, "n", 0])), y = b.input("y", TensorType(.f32, ["n", 0, 3]))
        let graph = try b.finish([("sum", x.sum().log()), ("rows", x.sum([1, 2]).exp()), ("product", x.reshape([2, 0]).matmul(y.reshape([0, 3])).exp()),
                                  ("both", Value.einsum("anb,nbc->ac", [x, y]).exp())])
        for compiled in try Compiled.all(graph, runner) {
            for n in [0, 1, 4] { try Self.check(graph, compiled, [Literal(.f32, [2, n, 0], doubles: []), Literal(.f32, [n, 0, 3], doubles: [])]) }
        }
    }

    @Test func compilesHundredsOfAxes() throws {
        let b = GraphBuilder("axes"), rank = 600
        let x = b.input("x", TensorType(.f32, [3, 4]))
        let shape = (0..<rank).map { $0 == 20 ? 3 : $0 == 400 ? 4 : 1 as Dim }
        let graph = try b.finish([("y", x.broadcasting(to: shape, axes: [20, 400]) + b.full(1, TensorType(.f32, shape)))])
        try Self.check(graph, Compiled(graph), [Literal(.f32, [3, 4], doubles: (0..<12).map { Double($0) })])
    }
}
