// What evaluation asks of the compiler: a graph comes in, something that runs on buffers goes out.
import KilnCompiler
import KilnExecution
import KilnIR
import KilnLLVM

/// A graph of fixed sizes made ready to run.
struct TraceProgram: Sendable {
    private let executable: Executable

    init(_ graph: Graph, _ options: Options) throws { executable = try Executable(Pipeline.code(for: graph, options: options)) }

    /// The outputs for the inputs, in new buffers of the device that the program was compiled for.
    func run(_ inputs: [DeviceBuffer], on accelerator: Accelerator?) throws -> [DeviceBuffer] { try executable.run(inputs, on: accelerator) }
}

extension Executable {
    /// Loads what the compiler made into this process.
    package convenience init(_ compiled: CompiledCode) throws {
        let code = try JITCode(compiled.code, functions: compiled.code.devices.isEmpty ? [] : Accelerator.kernelSymbols)
        try self.init(program: code.infoPointer, owner: code)
    }
}
