// What evaluation asks of the compiler: a graph comes in, something that runs on buffers goes out.
import KilnCompiler
import KilnExecution
import KilnIR
import KilnLLVM

/// A graph of fixed sizes made ready to run.
struct TraceProgram: Sendable {
    private let executable: Executable

    /// Compiles for the processor at hand.
    init(_ graph: Graph) throws {
        let artifact = try Pipeline.compile(graph, options: Self.options)
        let code = try JITCode(artifact.code)
        executable = try Executable(program: code.infoPointer, owner: code)
    }

    private static let options = Options()

    /// The outputs for the inputs, in new buffers.
    func run(_ inputs: [DeviceBuffer]) throws -> [DeviceBuffer] { try executable.run(inputs) }
}
