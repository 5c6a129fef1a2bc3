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
        if let path = data.outputs, let input = ([model.model, data.input.inputs].compactMap { $0 } + model.valueFiles).first(where: { FileSystem.areSame($0, path) }) {
            throw CompileError(path, "is \(input), which is read", fix: "write to another file")
        }
        let options = try target.options(for: place)
        try threads.apply()
        let arrays = try data.input.arrays()
        let loaded = try model.load(inputs: arrays), graph = loaded.graph
        let inputs = try data.input.arguments(of: loaded, arrays)
        let results = try data.interpret ? Interpreter.run(graph, inputs: inputs) : CompiledGraph(graph, device: place, options: options).run(inputs)
        let outputs = zip(graph.outputs, results).map { (name: $0.name, value: $1) }
        if let path = data.outputs { return try NPZ.write(outputs, to: path, texts: loaded.texts) }
        for (name, value) in outputs { try StandardOutput.put("\(name): \(loaded.texts.contains(name) ? Self.listed(value) : "\(Tensor(value))")") }
    }

    /// Texts with their shape, in row-major order.
    private static func listed(_ texts: Literal) -> String {
        "\(texts.shape.dropLast().map { $0 }) [\(texts.texts.map(\.debugDescription).joined(separator: ", "))]"
    }
}
