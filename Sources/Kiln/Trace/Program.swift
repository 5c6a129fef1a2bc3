// What evaluation asks of a compiler: a graph comes in, something that runs on buffers goes out.
import KilnExecution
import KilnIR
import KilnOps

/// A graph made ready to run.
protocol Program: Sendable {
    /// The outputs for the inputs, in new buffers. `shapes` are the inputs' sizes, from which symbols get their values.
    func run(_ inputs: [DeviceBuffer], shapes: [[Int]]) throws -> [DeviceBuffer]
}

/// Compiles graphs for running in this process: the one line to change for another way of execution.
func makeProgram(_ graph: Graph) throws -> any Program { InterpretedProgram(graph: graph) }

/// Runs a graph by its declared meaning, slowly.
struct InterpretedProgram: Program {
    let graph: Graph

    func run(_ inputs: [DeviceBuffer], shapes: [[Int]]) throws -> [DeviceBuffer] {
        let literals = zip(zip(inputs, shapes), graph.inputTypes).map { input, type in
            Literal(type.dtype, input.1, bytes: Array(input.0.bytes))
        }
        return try Interpreter.run(graph, inputs: literals).map { literal in try literal.bytes.withUnsafeBytes { try DeviceBuffer(copying: $0) } }
    }
}
