// Whole programs, compiled and interpreted: what fusion, schedules and the memory plan make of many ops together.

import KilnIR
import KilnOps
import Testing

struct ProgramTests {
    @Test(arguments: WholeProgram.all, [DType.f32, .f64])
    func compiledEqualsInterpreted(_ program: WholeProgram, _ dtype: DType) throws {
        let graph = try program.graph(dtype)
        try graph.verify()
        var numbers = SampleNumbers(seed: 21)
        let inputs = try graph.inputTypes.map { type in
            try OpSample([type], domain: -1...1, integerRanges: type.dtype.isInteger ? [0: program.integers] : [:]).draw(&numbers, symbols: [:])[0]
        }
        let expected = try Interpreter.run(graph, inputs: inputs)
        let limits = try Perturbation.limits(graph, inputs, expected)
        let compiled = try Compiled(graph)
        let got = try compiled.run(inputs)
        for (number, port) in graph.outputs.enumerated() {
            let (kernel, wanted) = (got[number], expected[number])
            // The bound says something: it is far below what it bounds.
            let scale = wanted.doubles.map { abs($0) }.max() ?? 0
            #expect(limits[number] <= scale * (dtype == .f32 ? 5e-3 : 1e-11) || !wanted.dtype.isFloat, "\(port.name): \(limits[number])")
            let bound: Bound = wanted.dtype.isFloat ? .absolute(Array(repeating: limits[number], count: wanted.count)) : .exact
            if let problem = bound.disagreement(kernel, wanted) { Issue.record("\(port.name): \(problem)\n\(graph)\n\(compiled.groups)") }
        }
        #expect(zip(try compiled.run(inputs), got).allSatisfy { $0.bytes == $1.bytes }, "a second run gives other bits")
        print("whole programs: \(graph.outputs.count) outputs of \(graph.operations.count) ops in \(compiled.groups.operations.count) kernels, "
            + "\(program.name), \(dtype)")
    }
}
