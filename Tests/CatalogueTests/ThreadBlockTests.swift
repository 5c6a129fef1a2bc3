// Shapes that the catalogue's samples are too small for: rows longer than a warp and than a thread block, rows cut into parts, tiles, long scans
// and many updates, each as a GPU's kernels on the emulated grid, in two orders of threads, against the interpreter.

import KilnIR
import KilnOps
import KilnPasses
import Testing

struct ThreadBlockTests {
    static let programs = [
        WholeProgram(name: "a softmax in registers, and its gradient in shared memory") { b, t in
            let x = b.input("x", TensorType(t, [3, 1000])), y = b.input("y", TensorType(t, [2, 6004])), w = b.input("w", TensorType(t, [2, 6004]))
            return try WholeProgram.gradients(b.finish([("loss", (y.softmax(1) * w).sum()), ("s", x.softmax(1))]), ["y"])
        },
        WholeProgram(name: "short rows, several to a warp") { b, t in
            let x = b.input("x", TensorType(t, [77, 12]))
            return try b.finish([("s", x.softmax(1)), ("first", x.argmax(1)), ("least", x.argmin(1)), ("sum", x.sum(1, keepDims: true) + x)])
        },
        WholeProgram(name: "odd rows that no vector divides") { b, t in
            let x = b.input("x", TensorType(t, [3, 4099]))
            return try b.finish([("s", x.softmax(1)), ("first", x.argmax(1)), ("norm", x.norm(1))])
        },
        WholeProgram(name: "columns in parts") { b, t in
            let x = b.input("x", TensorType(t, [3001, 5]))
            return try b.finish([("s", x.softmax(0)), ("first", x.argmax(0)), ("sum", x.sum(0))])
        },
        WholeProgram(name: "everything in parts, and what waits for it") { b, t in
            let x = b.input("x", TensorType(t, [300, 452]))
            return try b.finish([("variance", (x - x.mean()).square().mean()), ("first", x.reshape(135_600).argmax(0)), ("share", x / (x.square().sum() + 1))])
        },
        WholeProgram(name: "tiles of transposes") { b, t in
            let x = b.input("x", TensorType(t, [3, 70, 99])), y = b.input("y", TensorType(t, [70])), z = b.input("z", TensorType(t, [64, 128]))
            return try b.finish([("x", x.transpose(-1, -2) + y), ("z", z.transpose(0, 1).relu()), ("both", x.permuting([2, 0, 1]) * 2)])
        },
        WholeProgram(name: "scans of a warp, a thread block and in parts") { b, t in
            let x = b.input("x", TensorType(t, [3, 300])), y = b.input("y", TensorType(t, [2, 1201])), z = b.input("z", TensorType(t, [1, 33_000]))
            return try b.finish([("x", x.cumsum(1, exclusive: true)), ("y", y.cumsum(1, reverse: true)), ("m", y.cummax(1)), ("z", z.cumsum(1)),
                                 ("p", (x * 0.01 + 1).cumprod(1, reverse: true, exclusive: true)), ("c", x.cumsum(0))])
        },
        WholeProgram(name: "many updates of few rows") { b, t in
            let table = b.input("table", TensorType(t, [11, 40])), tokens = b.input("tokens", TensorType(.i64, [2, 150]))
            let w = b.input("w", TensorType(t, [2, 150, 40])), x = b.input("x", TensorType(t, [7, 30])), places = b.input("places", TensorType(.i64, [7, 60]))
            let loss = (table.embedding(tokens) * w).sum() + x.gather(1, places).square().sum()
            return try WholeProgram.gradients(b.finish([("loss", loss)]), ["table", "x"])
        },
    ]

    @Test(arguments: programs) func threadBlocksEqualTheInterpreter(_ program: WholeProgram) throws {
        let graph = try program.graph(.f32)
        var numbers = SampleNumbers(seed: 33)
        let inputs = try graph.inputTypes.map { type in
            try OpSample([type], domain: -1...1, integerRanges: type.dtype.isInteger ? [0: program.integers] : [:]).draw(&numbers, symbols: [:])[0]
        }
        let expected = try Interpreter.run(graph, inputs: inputs)
        let limits = try Perturbation.limits(graph, inputs, expected)
        for compiled in try Compiled.all(graph, .grids) {
            let got = try compiled.runInEveryOrder(inputs, .grids)
            for (number, port) in graph.outputs.enumerated() {
                let wanted = expected[number]
                let bound: Bound = wanted.dtype.isFloat ? .absolute(Array(repeating: limits[number], count: wanted.count)) : .exact
                if let problem = bound.disagreement(got[number], wanted) { Issue.record("\(port.name): \(problem)\n\(compiled.groups)") }
            }
        }
    }
}
