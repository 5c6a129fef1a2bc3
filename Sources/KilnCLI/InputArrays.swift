// The arrays of a run: an .npz file comes in, a graph's inputs in order go out.
import ArgumentParser
import Kiln
import KilnIR

/// Where inputs are read from.
struct InputArguments: ParsableArguments {
    @Option(help: "The inputs by name: an .npz file.")
    var inputs: String?

    /// The file's arrays by name.
    func arrays() throws -> [String: Literal] {
        guard let inputs else { return [:] }
        return Dictionary(try NPZ.read(inputs).map { ($0.name, $0.value) }, uniquingKeysWith: { first, _ in first })
    }

    /// A model's inputs, found among arrays by their names.
    func arguments(of model: LoadedModel, _ arrays: [String: Literal]) throws -> [Literal] {
        let graph = model.graph
        guard let path = inputs else {
            if graph.inputs.isEmpty { return [] }
            let types = zip(graph.inputs, graph.inputTypes).map { "\($0.name): \($1)" }.joined(separator: ", ")
            throw CompileError(graph.name, "takes inputs (\(types))", fix: "give them with --inputs FILE.npz")
        }
        if let stray = arrays.keys.sorted().first(where: { name in !graph.inputs.contains { $0.name == name } && !model.constants.contains(name) }) {
            throw CompileError(path, "'\(stray)' is no input of \(graph.name)", fix: "name the arrays \(graph.inputs.map(\.name).joined(separator: ", "))")
        }
        return try zip(graph.inputs, graph.inputTypes).map { port, type in
            guard let value = arrays[port.name] else {
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
