// A graph comes in; a function from literals to literals goes out, through the whole compiler and the in-process loader.

import KilnCompiler
import KilnExecution
import KilnIR
import KilnKernels
import KilnLLVM

/// A graph's machine code in this process.
struct Compiled {
    let executable: Executable
    let groups: Graph
    let program: Program

    /// Compiles with the verifier on after each pass.
    init(_ graph: Graph) throws {
        let artifact = try Pipeline.compile(graph, options: Self.options)
        self.init(groups: artifact.groups, program: artifact.program, executable: try Self.load(artifact.code))
    }

    /// Translates loops that are given.
    init(_ program: Program, groups: Graph) throws {
        let code = try Pipeline.generate(program, Self.options)
        self.init(groups: groups, program: program, executable: try Self.load(code))
    }

    private init(groups: Graph, program: Program, executable: Executable) {
        self.groups = groups
        self.program = program
        self.executable = executable
    }

    static let options = Options(threads: 1, verifies: true)

    private static func load(_ code: ObjectCode) throws -> Executable {
        let jit = try JITCode(code)
        return try Executable(program: jit.infoPointer, owner: jit)
    }

    /// The outputs; their shapes are what the program says of itself.
    func run(_ inputs: [Literal]) throws -> [Literal] {
        let buffers = try inputs.map { input in try input.bytes.withUnsafeBytes { try DeviceBuffer(copying: $0) } }
        let symbols = try executable.bind(inputs.map { ($0.dtype, $0.shape) })
        let shapes = try executable.outputShapes(symbols: symbols)
        let results = try executable.run(buffers, symbols: symbols)
        return zip(results, zip(executable.outputs, shapes)).map { buffer, port in
            let (dtype, shape) = (port.0.dtype, port.1)
            let count = shape.reduce(1, *) * dtype.byteCount
            return Literal(dtype, shape, bytes: Array(buffer.bytes.prefix(count)))
        }
    }
}
