// `kiln run`: a model and an archive of inputs come in; its outputs go out as an archive, or are printed.
import ArgumentParser
import Kiln
import KilnIR
import KilnOps

struct RunCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "run", abstract: "Runs a model on arrays of an .npz file.",
        discussion: "Example: kiln run digits.kiln --inputs images.npz --outputs scores.npz")

    @OptionGroup var model: ModelArguments
    @OptionGroup var data: DataArguments
    @OptionGroup var threads: ThreadArguments
    @OptionGroup var target: TargetArguments
    @OptionGroup var device: DeviceArguments

    func run() throws {
        let place = try device.chosen()
        let options = try target.options(for: place)
        try threads.apply()
        let graph = try model.load()
        let inputs = try arguments(of: graph)
        let results = try data.interpret ? Interpreter.run(graph, inputs: inputs) : CompiledGraph(graph, device: place, options: options).run(inputs)
        let outputs = zip(graph.outputs, results).map { (name: $0.name, value: $1) }
        if let path = data.outputs { return try NPZ.write(outputs, to: path) }
        for (name, value) in outputs { print("\(name): \(Tensor(value))") }
    }

    /// The graph's inputs, found in the file by their names.
    private func arguments(of graph: Graph) throws -> [Literal] {
        guard !graph.inputs.isEmpty || data.inputs != nil else { return [] }
        guard let path = data.inputs else {
            let types = zip(graph.inputs, graph.inputTypes).map { "\($0.name): \($1)" }.joined(separator: ", ")
            throw CompileError(graph.name, "takes inputs (\(types))", fix: "give them with --inputs FILE.npz")
        }
        let arrays = try NPZ.read(path)
        if let stray = arrays.first(where: { array in !graph.inputs.contains { $0.name == array.name } }) {
            throw CompileError(path, "'\(stray.name)' is no input of \(graph.name)", fix: "name the arrays \(graph.inputs.map(\.name).joined(separator: ", "))")
        }
        return try zip(graph.inputs, graph.inputTypes).map { port, type in
            guard let value = arrays.first(where: { $0.name == port.name })?.value else {
                throw CompileError(path, "has no array '\(port.name)' for the input \(type)", fix: "add one")
            }
            // NumPy has neither bf16 nor 8-bit floats: an f32 stands for them.
            if type.dtype.isNarrowFloat, type.dtype != .f16, value.dtype == .f32 { return Literal(type.dtype, value.shape, scalars: value.scalars) }
            guard value.dtype == type.dtype else {
                throw CompileError(path, "'\(port.name)' has elements of type \(value.dtype), the input is \(type)", fix: "convert it to \(type.dtype)")
            }
            return value
        }
    }
}
