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
    /// The GPU whose kernels they are; nil for the host's.
    let gpu: GPU?

    /// Compiles with the verifier on after each pass.
    init(_ graph: Graph, for target: Target? = nil) throws {
        var options = Self.options
        if let target { options.target = target }
        let artifact = try Pipeline.compile(graph, options: options)
        self.init(groups: artifact.groups, program: artifact.program, executable: try Self.load(artifact.code))
    }

    /// Translates loops that are given.
    init(_ program: Program, groups: Graph) throws {
        let code = try Pipeline.generate(program, Self.options)
        self.init(groups: groups, program: program, executable: try Self.load(code))
    }

    private init(groups: Graph, program: Program, executable: Executable, gpu: GPU? = nil) {
        self.groups = groups
        self.program = program
        self.executable = executable
        self.gpu = gpu
    }

    /// A graph compiled for all targets of a runner.
    static func all(_ graph: Graph, _ runner: Runner) throws -> [Compiled] { try lowered(graph, runner).map { try Compiled($0) } }

    /// A graph's loops for one target.
    struct Lowered {
        let groups: Graph
        let program: Program
        let target: Target
    }

    /// A graph's loops for all targets of a runner. Targets whose loops are the same have one in common.
    static func lowered(_ graph: Graph, _ runner: Runner) throws -> [Lowered] {
        var found: [Lowered] = []
        for target in runner.targets {
            var options = options
            options.target = target
            let (checked, indices) = try Pipeline.checkIndices(graph, options)
            let groups = try Pipeline.fuse(Pipeline.simplify(checked, options), options)
            var checks = try SizeChecks(of: checked, in: groups)
            checks.indices = indices
            let program = try Pipeline.lower(groups, checks: checks, options)
            if found.contains(where: { $0.program == program }) { continue }
            found.append(Lowered(groups: groups, program: program, target: target))
        }
        return found
    }

    /// The loops' machine code.
    init(_ lowered: Lowered) throws {
        var options = Self.options
        options.target = lowered.target
        let executable = try Self.load(Pipeline.generate(lowered.program, options))
        self.init(groups: lowered.groups, program: lowered.program, executable: executable, gpu: lowered.target.gpu)
    }

    static let options = Options(threads: 1, verifies: true)

    private static func load(_ code: ObjectCode) throws -> Executable {
        let jit = try JITCode(code, functions: code.devices.isEmpty ? [] : Accelerator.kernelSymbols)
        return try Executable(program: jit.infoPointer, owner: jit)
    }

    /// The outputs; their shapes are what the program says of itself. The emulated grid's findings are thrown.
    func run(_ inputs: [Literal], seed: UInt64 = 1) throws -> [Literal] {
        guard let gpu else { return try run(inputs, on: nil) }
        return try Grids.withGrid(gpu, seed: seed) { try run(inputs, on: $0) }
    }

    private func run(_ inputs: [Literal], on accelerator: Accelerator?) throws -> [Literal] {
        let buffers = try inputs.map { input in try input.bytes.withUnsafeBytes { try DeviceBuffer(copying: $0) } }
        let (results, symbols) = try executable.runDataDependent(buffers, symbols: executable.bind(inputs.map { ($0.dtype, $0.shape) }), on: accelerator)
        let shapes = try executable.outputShapes(symbols: symbols)
        return try zip(results, zip(executable.outputs, shapes)).map { buffer, port in
            let (dtype, shape) = (port.0.dtype, port.1)
            let count = shape.reduce(1, *) * dtype.byteCount
            return Literal(dtype, shape, bytes: Array(try buffer.on(nil).bytes.prefix(count)))
        }
    }

    /// The outputs in the runner's orders of threads; throws where they differ.
    func runInEveryOrder(_ inputs: [Literal], _ runner: Runner) throws -> [Literal] {
        let first = try run(inputs, seed: runner.seeds[0])
        for seed in runner.seeds.dropFirst() {
            let other = try run(inputs, seed: seed)
            if let number = first.indices.first(where: { first[$0].bytes != other[$0].bytes }) {
                throw InternalError("tests", "output \(number) depends on the order of threads", context: program.description)
            }
        }
        return first
    }
}
