// Indices out of range: where they are demanded to be in it, a call fails with op, index, axis, size and line, on the host and on the
// emulated grid, in branches and loops, and the interpreter throws the same; where they are not, nothing is paid.

import KilnCompiler
import KilnExecution
import KilnIR
import KilnKernels
import KilnOps
import Testing

struct IndexCheckTests {
    private static let line = SourceLocation(name: "Model.swift", line: 12)
    private static let table = Literal(.f32, [5, 2], doubles: (0..<10).map { Double($0) })

    private static func integers(_ values: [Int], _ dtype: DType = .i64) -> Literal {
        Literal(dtype, [values.count], scalars: values.map { .integer(Int64($0)) })
    }

    /// Rows of a table of n rows, by indices of m.
    private static func lookup(_ dtype: DType = .i64, countsFromEnd: Bool = false) throws -> Graph {
        let b = GraphBuilder("lookup")
        let table = b.input("table", TensorType(.f32, ["n", 2])), indices = b.input("indices", TensorType(dtype, ["m"]))
        let checked = indices.checked(below: table.dims[0], for: "embedding", axis: 0, countsFromEnd: countsFromEnd, at: line)
        return try b.finish([("y", table.take(checked, axis: 0) * 2.0)])
    }

    /// Runs a graph everywhere; all must give the same, or fail alike where a message is given.
    private static func check(_ graph: Graph, _ runner: Runner, _ inputs: [Literal], fails message: String? = nil) throws {
        try graph.verify()
        guard let message else {
            let expected = try Interpreter.run(graph, inputs: inputs)
            for compiled in try Compiled.all(graph, runner) {
                #expect(try compiled.runInEveryOrder(inputs, runner).map(\.bytes) == expected.map(\.bytes))
            }
            return
        }
        let refused = #expect(throws: CompileError.self) { try Interpreter.run(graph, inputs: inputs) }
        #expect(refused?.description.contains(message) == true, "\(refused?.description ?? "nothing")")
        for compiled in try Compiled.all(graph, runner) {
            let failed = #expect(throws: RuntimeError.self) { try compiled.runInEveryOrder(inputs, runner) }
            #expect(failed?.name == "index out of range", "\(failed?.description ?? "nothing")")
            #expect(failed?.message.contains(message) == true && failed?.message.contains("Model.swift:12") == true, "\(failed?.message ?? "nothing")")
            #expect(try Program.parse(compiled.program.description) == compiled.program)
        }
    }

    @Test(arguments: Runner.all) func anIndexOutOfRangeFailsTheCall(_ runner: Runner) throws {
        let graph = try Self.lookup()
        try Self.check(graph, runner, [Self.table, Self.integers([0, 4, 2])])
        try Self.check(graph, runner, [Self.table, Self.integers([])])
        try Self.check(graph, runner, [Self.table, Self.integers([0, 5, 2])], fails: "index 5 is out of range for axis 0 of size 5")
        try Self.check(graph, runner, [Self.table, Self.integers([0, -1, 2])], fails: "index -1 is out of range for axis 0 of size 5")
        let fromEnd = try Self.lookup(countsFromEnd: true)
        try Self.check(fromEnd, runner, [Self.table, Self.integers([0, -5, -1])])
        try Self.check(fromEnd, runner, [Self.table, Self.integers([0, -6, -1])], fails: "index -6 is out of range")
    }

    @Test(arguments: DType.integers) func everyIntegerIsHeldToItsRange(_ dtype: DType) throws {
        let graph = try Self.lookup(dtype)
        try Self.check(graph, .host, [Self.table, Self.integers([0, 4], dtype)])
        let end = Literal(dtype, [2], scalars: [.integer(1), dtype.greatest])
        try Self.check(graph, .host, [Self.table, end], fails: "out of range for axis 0 of size 5")
        if dtype.isSigned { try Self.check(graph, .host, [Self.table, Literal(dtype, [1], scalars: [dtype.least])], fails: "index \(dtype.least.int64) is") }
    }

    private static func region(_ types: [TensorType], _ body: ([Value]) -> [Value]) throws -> Graph {
        let builder = GraphBuilder("region")
        let results = body(types.enumerated().map { builder.input("x\($0.offset)", $0.element) })
        return try builder.finish(results.enumerated().map { ("y\($0.offset)", $0.element) })
    }

    /// Only the branch that is run looks anything up.
    @Test(arguments: Runner.all) func branchesReportTheirOwn(_ runner: Runner) throws {
        let b = GraphBuilder("branch"), types = [TensorType(.f32, [5, 2]), TensorType(.i64, ["m"])]
        let table = b.input("table", types[0]), indices = b.input("indices", types[1]), flag = b.input("flag", TensorType(.bool, []))
        func rows(_ size: Dim, _ op: String) throws -> Graph {
            try Self.region(types) { [$0[0].take($0[1].checked(below: size, for: op, axis: 0, countsFromEnd: false, at: Self.line), axis: 0).sum()] }
        }
        let result = b.append(Catalogue.op(named: "if")!, [flag, table, indices], regions: [try rows(3, "first"), try rows(5, "second")])[0]
        let graph = try b.finish([("y", result)])
        let on = Literal(.bool, [], scalars: [true]), off = Literal(.bool, [], scalars: [false])
        try Self.check(graph, runner, [Self.table, Self.integers([4]), off])
        try Self.check(graph, runner, [Self.table, Self.integers([4]), on], fails: "index 4 is out of range for axis 0 of size 3")
        try Self.check(graph, runner, [Self.table, Self.integers([9, 5]), off], fails: "index 9 is out of range for axis 0 of size 5")
    }

    /// What is wrong in an early round is said at the end, though later rounds are right.
    @Test(arguments: Runner.all) func loopsRemember(_ runner: Runner) throws {
        let count = TensorType(.i64, []), sum = TensorType(.f32, [2]), table = TensorType(.f32, [5, 2]), order = TensorType(.i64, [3])
        let types = [count, sum, table, order]
        let condition = try Self.region(types) { [$0[0] .< 3] }
        let body = try Self.region(types) { values in
            let place = values[3].take(values[0], axis: 0).checked(below: 5, for: "take", axis: 0, countsFromEnd: false, at: Self.line)
            return [values[0] + 1, values[1] + values[2].take(place, axis: 0)]
        }
        let b = GraphBuilder("loop")
        let rows = b.input("table", table), places = b.input("order", order)
        let results = b.append(Catalogue.op(named: "while")!, [b.full(0, count), b.full(0, sum), rows, places], ["carried": .int(2)],
                               regions: [condition, body])
        let graph = try b.finish([("count", results[0]), ("sum", results[1])])
        try Self.check(graph, runner, [Self.table, Self.integers([4, 0, 2])])
        for order in [[7, 0, 2], [0, 7, 2], [0, 2, 7]] {
            try Self.check(graph, runner, [Self.table, Self.integers(order)], fails: "index 7 is out of range for axis 0 of size 5")
        }
    }

    /// What is known to be in range costs nothing, and neither does what is not to be checked.
    @Test func whatNeedsNoCheckHasNone() throws {
        let b = GraphBuilder("known")
        let x = b.input("x", TensorType(.f32, [5, 2])), known = b.literal(Self.integers([0, 4, -1]))
        let graph = try b.finish([("y", x.take(known.checked(below: 5, for: "take", axis: 0, countsFromEnd: true), axis: 0))])
        #expect(try Pipeline.compile(graph, options: Compiled.options).program.indexChecks.isEmpty)
        var options = Compiled.options
        #expect(try Pipeline.compile(Self.lookup(), options: options).program.indexChecks.count == 1)
        options.checksIndices = false
        let artifact = try Pipeline.compile(Self.lookup(), options: options)
        #expect(artifact.program.indexChecks.isEmpty)
        // An op that is not asked for leaves no trace: the same program as without it.
        let plain = GraphBuilder("lookup")
        let table = plain.input("table", TensorType(.f32, ["n", 2])), indices = plain.input("indices", TensorType(.i64, ["m"]))
        let unchecked = try Pipeline.compile(plain.finish([("y", table.take(indices, axis: 0) * 2.0)]), options: options)
        #expect(unchecked.program.kernels.map(\.launches) == artifact.program.kernels.map(\.launches))
    }
}
