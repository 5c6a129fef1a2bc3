// Every op of the catalogue, with every dtype it accepts, on its samples: the host's kernels, and GPUs' on the emulated grid, against
// the interpreter.

import KilnIR
import KilnOps
import Testing

struct KernelTests {
    @Test(arguments: Runner.all) func kernelsEqualTheInterpreter(_ runner: Runner) async {
        let cases = await countingOverOps { op in
            op.dtypes.reduce(0) { $0 + checkKernels(Case.samples(op, $1), on: runner) }
        }
        print("kernels on the \(runner.testDescription): \(cases) cases")
        #expect(cases > 4000)
    }

    /// The interpreter holds each value that it makes against the inferred type; here the program's own word on its outputs is, too.
    @Test func inferredTypesAreThoseOfTheInterpreterAndTheProgram() async {
        let cases = await countingOverOps { op in
            var cases = 0
            for dtype in op.dtypes where dtype == .f32 || dtype == op.dtypes[0] {
                let batch = try Batch(Case.samples(op, dtype))
                guard !batch.cases.isEmpty else { continue }
                let compiled = try Compiled(batch.graph)
                for size in [5, 8] {
                    let inputs = try batch.draw(seed: 3, symbols: ["n": size]).flatMap { $0 }
                    let symbols = try compiled.executable.bind(inputs.map { ($0.dtype, $0.shape) })
                    let shapes = try compiled.executable.outputShapes(symbols: symbols)
                    let interpreted = try Interpreter.run(batch.graph, inputs: inputs, symbols: ["n": size])
                    for (number, type) in batch.graph.outputTypes.enumerated() where type.shape.allSatisfy({ $0.evaluate(symbols: ["n": size]) != nil }) {
                        let shape = type.shape.map { $0.evaluate(symbols: ["n": size]) ?? -1 }
                        #expect(shapes[number] == shape && interpreted[number].shape == shape, "\(op.name) \(dtype): \(type)")
                        #expect(compiled.executable.outputs[number].dtype == type.dtype && interpreted[number].dtype == type.dtype)
                        cases += 1
                    }
                }
            }
            return cases
        }
        print("inferred types: \(cases) cases")
        #expect(cases > 800)
    }
}
