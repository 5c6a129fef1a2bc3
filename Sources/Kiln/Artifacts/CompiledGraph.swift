// Graphs as functions in this process: a graph comes in, is compiled once, and runs on tensors or literals of any size it allows.
import KilnCompiler
import KilnExecution
import KilnIR
import KilnLLVM

/// A graph compiled for this process. Safe to call from several threads at once.
///
///     let classify = try CompiledGraph(compile(name: "digits", input: TensorSpec("images", .f32, ["batch", 1, 8, 8]), model))
///     let scores = try classify(images)
public final class CompiledGraph: Sendable {
    public let name: String
    /// The types of inputs and outputs, by name, as they were before compilation.
    public let inputs: [(name: String, type: TensorType)]
    public let outputs: [(name: String, type: TensorType)]
    /// Where it runs.
    public let device: Device
    package let executable: Executable
    package let accelerator: Accelerator?
    package let timings: [(stage: String, seconds: Double)]

    /// Compiles for a device. Throws the user's error where the graph can't be compiled, `RuntimeError` where there is no such device.
    public convenience init(_ graph: Graph, device: Device = .cpu) throws {
        try self.init(graph, device: device, options: device.options())
    }

    package init(_ graph: Graph, device: Device = .cpu, options: Options) throws {
        let accelerator = try Trace.shared.accelerator(Trace.shared.deviceID(device))
        let ((executable, timings), seconds) = try timed {
            let compiled = try Pipeline.code(for: graph, options: options)
            return (try Executable(compiled), compiled.timings)
        }
        ProgramCache.count(seconds)
        self.executable = executable
        self.accelerator = accelerator
        self.device = device
        self.timings = timings
        name = graph.name
        inputs = zip(graph.inputs, graph.inputTypes).map { ($0.name, $1) }
        outputs = zip(graph.outputs, graph.outputTypes).map { ($0.name, $1) }
    }

    /// Runs on values of the inputs' types. Throws `RuntimeError` where one does not fit.
    public func run(_ values: [Literal]) throws -> [Literal] {
        let buffers = try values.map { value in try value.withUnsafeBytes { try DeviceBuffer(copying: $0) } }
        return try run(buffers, values.map { (dtype: $0.dtype, shape: $0.shape) }).map { output, dtype, shape in
            let byteCount = shape.reduce(dtype.byteCount, *)
            let output = try output.on(nil)
            return withExtendedLifetime(output) { Literal(dtype, shape, bytes: Array(output.bytes.prefix(byteCount))) }
        }
    }

    /// Runs on tensors, which are computed first, and copied if they are on another device. The results are on this function's device, and
    /// are leaves: no gradients flow through them.
    public func callAsFunction(_ tensors: [Tensor]) throws -> [Tensor] {
        try Trace.shared.evaluate(tensors.map(\.node))
        let results = try run(tensors.compactMap(\.buffer), tensors.map { (dtype: $0.dtype, shape: $0.shape) })
        return Trace.shared.locked {
            let deviceID = Trace.shared.devices.deviceID(device)
            return results.map { buffer, dtype, shape in
                Trace.shared.hold(Trace.shared.leaf(TensorType(dtype, shape.map { .constant($0) }), buffer, deviceID))
            }
        }
    }

    public func callAsFunction(_ tensor: Tensor) throws -> Tensor { try self([tensor])[0] }

    private func run(_ buffers: [DeviceBuffer], _ types: [(dtype: DType, shape: [Int])]) throws -> [(DeviceBuffer, DType, [Int])] {
        guard buffers.count == inputs.count else {
            throw CompileError(name, "takes \(inputs.count) inputs, was given \(buffers.count)", fix: "pass one value for each input")
        }
        let (results, symbols) = try executable.runDataDependent(buffers, symbols: executable.bind(types), on: accelerator)
        let shapes = try executable.outputShapes(symbols: symbols)
        return results.indices.map { (results[$0], executable.outputs[$0].dtype, shapes[$0]) }
    }
}
