// Indices that are looked up: of every integer dtype, also those past what an i64 holds.

import KilnIR
import KilnOps
import Testing

struct IndexTests {
    @Test(arguments: DType.integers, Runner.all) func countFromEitherEnd(_ dtype: DType, _ runner: Runner) throws {
        let b = GraphBuilder("indices")
        let x = b.input("x", TensorType(.f32, [5])), at = b.input("at", TensorType(dtype, [6]))
        let added = b.append(Catalogue.op(named: "scatter_add")!, [x, b.full(1, TensorType(.f32, [6])), at], ["axis": .int(0)])[0]
        let graph = try b.finish([("taken", x.take(at, axis: 0)), ("added", added)])
        let width = Int64(dtype.bitWidth)
        let numbers: [Scalar] = dtype.isUnsigned ? [0, 4, 5].map { .unsigned($0) } + [.unsigned(UInt64.max >> UInt64(64 - width)), .unsigned(1 << UInt64(width - 1)), .unsigned(2)]
            : [0, 4, -1, -5].map { .integer($0) } + [.integer(Int64.max >> (64 - width)), .integer(Int64.min >> (64 - width))]
        let inputs = [Literal(.f32, [5], doubles: [1, 2, 3, 4, 5]), Literal(dtype, [6], scalars: numbers)]
        let expected = try Interpreter.run(graph, inputs: inputs)
        #expect(expected[0].doubles == (dtype.isUnsigned ? [1, 5, 5, 5, 5, 3] : [1, 5, 5, 1, 5, 1]))
        #expect(expected[1].doubles == (dtype.isUnsigned ? [2, 2, 4, 4, 6] : [3, 2, 3, 4, 7]))
        for compiled in try Compiled.all(graph, runner) {
            for (got, wanted) in try zip(compiled.runInEveryOrder(inputs, runner), expected) { #expect(got.doubles == wanted.doubles) }
        }
    }
}
