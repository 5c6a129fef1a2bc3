// Sizes that depend on data: graphs that measure them, compiled for the host and for the emulated grid, against the interpreter.

import KilnIR
import KilnOps
import KilnPasses
import Testing

struct DataDependentSizeTests {
    /// Counts below none, none, one, some, all and beyond.
    private static let counts: [Int64] = [-1, 0, 1, 3, 6, 9]

    private static func literal(_ values: [Double], _ shape: [Int]? = nil) -> Literal {
        Literal(.f32, shape ?? [values.count], scalars: values.map { .real($0) })
    }

    private static func count(_ value: Int64) -> Literal { Literal(.i64, [], scalars: [.integer(value)]) }

    /// Runs the compiled graph on inputs, whose results must be the interpreter's; gives these.
    @discardableResult
    private static func check(_ graph: Graph, _ runner: Runner, _ cases: [[Literal]]) throws -> [[Literal]] {
        try graph.verify()
        let text = try Graph.parse(graph.description, catalogue: Catalogue.op(named:))
        #expect(text.isEquivalent(to: graph))
        let compiled = try Compiled.all(graph, runner)
        return try cases.map { inputs in
            let expected = try Interpreter.run(graph, inputs: inputs)
            for one in compiled {
                let got = try one.runInEveryOrder(inputs, runner)
                for (number, wanted) in expected.enumerated() {
                    #expect(got[number].shape == wanted.shape, "\(graph.outputs[number].name)")
                    let problem = Bound.absolute(Array(repeating: wanted.dtype.isFloat ? 1e-5 : 0, count: wanted.count)).disagreement(got[number], wanted)
                    #expect(problem == nil, "\(graph.outputs[number].name): \(problem ?? "")\n\(one.groups)")
                }
            }
            return expected
        }
    }

    @Test(arguments: Runner.all) func whatFollowsAPrefixHasItsSize(_ runner: Runner) throws {
        let b = GraphBuilder("follows")
        let x = b.input("x", TensorType(.f32, ["n", 3])), c = b.input("c", TensorType(.i64, []))
        let some = (x * 2).prefix(c, symbol: "s")
        let places = b.value(0).iota(.i64, [.symbol("s") + 1], axis: 0)
        let graph = try b.finish([("some", some), ("sum", some.sum(0)), ("turned", (some + 1).t()), ("places", places),
                                  ("flat", some.reshape([.symbol("s") * 3])), ("whole", x.sum(0))])
        let inputs = Self.literal((0..<18).map { Double($0) }, [6, 3])
        for results in try zip(Self.counts, Self.check(graph, runner, Self.counts.map { [inputs, Self.count($0)] })) {
            #expect(results.1[0].shape == [Int(min(max(results.0, 0), 6)), 3])
        }
    }

    /// The second is measured from what the first left.
    @Test(arguments: Runner.all) func twoSizesInOneGraph(_ runner: Runner) throws {
        let b = GraphBuilder("two")
        let x = b.input("x", TensorType(.f32, ["n"])), c = b.input("c", TensorType(.i64, []))
        let first = (x + 0.5).prefix(c, symbol: "s")
        let second = (first * first).prefix((first .> 2).sum(), symbol: "t")
        let table = first.unsqueezed(1) * second.unsqueezed(0)
        let graph = try b.finish([("first", first), ("second", second), ("table", table), ("both", Value.concatenate([first, second])), ("total", table.sum())])
        let inputs = Self.literal((0..<6).map { Double($0) })
        try Self.check(graph, runner, Self.counts.map { [inputs, Self.count($0)] })
    }

    @Test(arguments: Runner.all) func sizesOfRegionsStayInside(_ runner: Runner) throws {
        let b = GraphBuilder("regions")
        let x = b.input("x", TensorType(.f32, [6])), rounds = b.input("rounds", TensorType(.i64, []))
        let start = b.full(0, TensorType(.f32, []))
        let operands = [rounds, start, x]
        let test = b.region("test", operands.map(\.type)) { [$0[0] .> 0] }
        let body = b.region("body", operands.map(\.type)) { [$0[0] - 1, $0[1] + $0[2].prefix($0[0]).sum(), ] }
        let sum = Value.apply(Structural.while, operands, ["carried": .int(2)], regions: [test, body], at: .unknown)[1]
        let branches = [2, 3].map { factor in b.region("branch", [x.type, rounds.type]) { [($0[0] * factor).prefix($0[1]).sum()] } }
        let chosen = Value.apply(Structural.if, [rounds .> 1, x, rounds], .none, regions: branches, at: .unknown)[0]
        let graph = try b.finish([("sum", sum), ("chosen", chosen)])
        let inputs = Self.literal((0..<6).map { Double($0) })
        try Self.check(graph, runner, [0, 1, 3, 9].map { [inputs, Self.count($0)] })
    }

    @Test func gradientsReachThePrefixAlone() throws {
        let b = GraphBuilder("gradient")
        let x = b.input("x", TensorType(.f32, [4])), c = b.input("c", TensorType(.i64, []))
        let graph = try b.finish([("y", (x.square()).prefix(c).sum())])
        let both = try Differentiate.gradients(graph, of: [graph.outputs[0].value], withRespectTo: [graph.inputs[0].value])
        let results = try Self.check(both, .host, [[Self.literal([1, 2, 3, 4]), Self.count(2)]])
        #expect(results[0][1].doubles == [2, 4, 0, 0])
    }

    @Test func aSizeOfARegionCanNotEscape() throws {
        let b = GraphBuilder("escapes")
        let x = b.input("x", TensorType(.f32, [6])), go = b.input("go", TensorType(.bool, [])), c = b.input("c", TensorType(.i64, []))
        let branch = b.region("branch", [x.type, c.type]) { [$0[0].prefix($0[1], symbol: "s")] }
        let chosen = Value.apply(Structural.if, [go, x, c], .none, regions: [branch, branch], at: .unknown)[0]
        let error = #expect(throws: ShapeError.self) { try b.finish([("y", chosen)]) }
        #expect(error?.description.contains("f32[s], whose size it measures itself") == true)
    }

    /// What an op takes for granted of a data-dependent size is checked where it is known.
    @Test(arguments: Runner.all) func checksFollowTheMeasurement(_ runner: Runner) throws {
        let b = GraphBuilder("checked")
        let x = b.input("x", TensorType(.f32, [6])), c = b.input("c", TensorType(.i64, []))
        let graph = try b.finish([("y", x.prefix(c, symbol: "s").narrow(0, start: 0, length: 2))])
        for compiled in try Compiled.all(graph, runner) {
            let inputs = Self.literal((0..<6).map { Double($0) })
            #expect(try compiled.run([inputs, Self.count(2)])[0].doubles == [0, 1])
            let error = #expect(throws: (any Error).self) { try compiled.run([inputs, Self.count(1)]) }
            #expect("\(error!)".contains("is not within axis 0, of size s"))
        }
    }

    @Test func aSizeThatShrinksHasItsMostAtNone() throws {
        let b = GraphBuilder("shrinks")
        let x = b.input("x", TensorType(.f32, [6])), c = b.input("c", TensorType(.i64, []))
        let rest = x.prefix(c, symbol: "s")
        let padded = rest.padding(low: [0], high: [6 - .symbol("s")]) .> 1
        let other = b.full(1, TensorType(.f32, [6 - .symbol("s")])).cumsum(0)
        let graph = try b.finish([("padded", padded), ("sum", other.sum())])
        try Self.check(graph, .host, [0, 2, 6].map { [Self.literal((0..<6).map { Double($0) }), Self.count($0)] })
    }
}
