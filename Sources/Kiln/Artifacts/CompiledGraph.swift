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
    package let executable: Executable
    package let timings: [(stage: String, seconds: Double)]

    /// Compiles for the processor at hand. Throws the user's error where the graph can't be compiled.
    public convenience init(_ graph: Graph) throws { try self.init(graph, options: Options()) }

    package init(_ graph: Graph, options: Options) throws {
        let ((executable, timings), seconds) = try timed {
            let artifact = try Pipeline.compile(graph, options: options)
            let code = try JITCode(artifact.code)
            return (try Executable(program: code.infoPointer, owner: code), artifact.timings)
        }
        Evaluator.count(seconds)
        self.executable = executable
        self.timings = timings
        name = graph.name
        inputs = zip(graph.inputs, graph.inputTypes).map { ($0.name, $1) }
        outputs = zip(graph.outputs, graph.outputTypes).map { ($0.name, $1) }
    }

    /// Runs on values of the inputs' types. Throws `RuntimeError` where one does not fit.
    public func run(_ values: [Literal]) throws -> [Literal] {
        let buffers = try values.map { value in try value.bytes.withUnsafeBytes { try DeviceBuffer(copying: $0) } }
        return try run(buffers, values.map { (dtype: $0.dtype, shape: $0.shape) }).map { output, dtype, shape in
            let byteCount = shape.reduce(dtype.byteCount, *)
            return withExtendedLifetime(output) { Literal(dtype, shape, bytes: Array(output.bytes.prefix(byteCount))) }
        }
    }

    /// Runs on tensors, which are computed first. The results are leaves: no gradients flow through them.
    public func callAsFunction(_ tensors: [Tensor]) throws -> [Tensor] {
        try run(tensors.map { try $0.literal() }).map { Tensor($0) }
    }

    public func callAsFunction(_ tensor: Tensor) throws -> Tensor { try self([tensor])[0] }

    private func run(_ buffers: [DeviceBuffer], _ types: [(dtype: DType, shape: [Int])]) throws -> [(DeviceBuffer, DType, [Int])] {
        guard buffers.count == inputs.count else {
            throw CompileError(name, "takes \(inputs.count) inputs, was given \(buffers.count)", fix: "pass one value for each input")
        }
        let symbols = try executable.bind(types)
        let results = try executable.run(buffers, symbols: symbols)
        let shapes = try executable.outputShapes(symbols: symbols)
        return results.indices.map { (results[$0], executable.outputs[$0].dtype, shapes[$0]) }
    }
}
