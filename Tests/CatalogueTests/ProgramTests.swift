// Whole programs, compiled and interpreted: what fusion, schedules and the memory plan make of many ops together.

import KilnIR
import KilnOps
import Testing

struct ProgramTests {
    /// Dtypes with places to run.
    private static let settings: [(DType, Runner)] = [(.f32, .host), (.f64, .host), (.f32, .grids), (.f64, .grid([.sm80]))]

    @Test(arguments: WholeProgram.all, settings)
    func compiledEqualsInterpreted(_ program: WholeProgram, _ setting: (dtype: DType, runner: Runner)) throws {
        let graph = try program.graph(setting.dtype)
        try graph.verify()
        var numbers = SampleNumbers(seed: 21)
        let inputs = try graph.inputTypes.map { type in
            try OpSample([type], domain: -1...1, integerRanges: type.dtype.isInteger ? [0: program.integers] : [:]).draw(&numbers, symbols: [:])[0]
        }
        let expected = try Interpreter.run(graph, inputs: inputs)
        let limits = try Perturbation.limits(graph, inputs, expected)
        // The bound says something: it is far below what it bounds.
        for (number, wanted) in expected.enumerated() where wanted.dtype.isFloat {
            let scale = wanted.doubles.map { abs($0) }.max() ?? 0
            #expect(limits[number] <= scale * (setting.dtype == .f32 ? 5e-3 : 1e-11), "\(graph.outputs[number].name): \(limits[number])")
        }
        for compiled in try Compiled.all(graph, setting.runner) {
            let got = try compiled.runInEveryOrder(inputs, setting.runner)
            for (number, port) in graph.outputs.enumerated() {
                let (kernel, wanted) = (got[number], expected[number])
                let bound: Bound = wanted.dtype.isFloat ? .absolute(Array(repeating: limits[number], count: wanted.count)) : .exact
                if let problem = bound.disagreement(kernel, wanted) { Issue.record("\(port.name): \(problem)\n\(graph)\n\(compiled.groups)") }
            }
            #expect(zip(try compiled.run(inputs), got).allSatisfy { $0.bytes == $1.bytes }, "a second run gives other bits")
            print("whole programs: \(graph.outputs.count) outputs of \(graph.operations.count) ops in \(compiled.groups.operations.count) kernels, "
                + "\(program.name), \(setting.dtype) on \(compiled.gpu?.name ?? "the host")")
        }
    }
}
