// Models from files: a path comes in, a verified graph goes out. Another format of models is one more line of `loaders`.
import Kiln
import KilnIR
import KilnONNX
import KilnOps

/// What is known of a model's inputs before it runs, and what is asked of it beyond its outputs.
struct ModelRequest: Sendable {
    /// The values that decide shapes.
    var values: [String: Literal] = [:]
    /// Inputs' values to fall back on where one that is not in `values` turns out to decide a shape.
    var inputs: [String: Literal] = [:]
    /// Values inside the model that are outputs too.
    var innerValues: [String] = []
}

/// A model, which of its inputs have become part of it, and which of its outputs are texts.
struct LoadedModel: Sendable {
    var graph: Graph
    var constants: Set<String> = []
    var texts: Set<String> = []
    /// The files that it was read from.
    var files: [String] = []
}

enum ModelFile {
    /// For each ending of a file's name, how such a file becomes a graph.
    private static let loaders: [(ending: String, load: @Sendable (_ path: String, _ request: ModelRequest) throws -> LoadedModel)] = [
        (".kiln", { path, request in try text(FileSystem.contents(of: path), path, request) }),
        (".onnx", importing),
    ]

    /// Reads a model; `-` is a graph's text on standard input.
    static func load(_ path: String, _ request: ModelRequest = ModelRequest()) throws -> LoadedModel {
        if path == "-" { return try text(FileSystem.contents(of: "/dev/stdin"), "<stdin>", request) }
        guard let loader = loaders.first(where: { path.hasSuffix($0.ending) }) else {
            throw CompileError(path, "is no model that Kiln knows", fix: "give a file that ends in \(loaders.map(\.ending).joined(separator: " or "))")
        }
        return try loader.load(path, request)
    }

    @Sendable private static func importing(_ path: String, _ request: ModelRequest) throws -> LoadedModel {
        let model = try ONNXModel(contentsOf: path)
        var options = ImportOptions(values: request.values, innerValues: request.innerValues)
        while true {
            do {
                let imported = try model.imported(options)
                return LoadedModel(graph: imported.graph, constants: Set(imported.inputs.filter { $0.port == .constant }.map(\.name)),
                                   texts: Set(imported.outputs.flatMap(\.port.textPorts)), files: model.paths)
            } catch let needed as ValueNeeded {
                let found = request.inputs.filter { needed.inputs.contains($0.key) && options.values[$0.key] == nil }
                if found.isEmpty { throw needed }
                options.values.merge(found) { known, _ in known }
            }
        }
    }

    private static func text(_ bytes: [UInt8], _ file: String, _ request: ModelRequest) throws -> LoadedModel {
        if let name = request.values.keys.sorted().first {
            throw CompileError("--value \(name)", "the inputs of a graph's text decide no shapes", fix: "leave it out, and give the input with --inputs")
        }
        guard let text = String(validating: bytes, as: UTF8.self) else {
            throw FileError(file, "is not text in UTF-8", fix: "give a graph's text")
        }
        let graph = try Graph.parse(text, file: file, catalogue: Catalogue.op(named:))
        try graph.verify(after: "reading \(file)")
        return LoadedModel(graph: graph, files: [file])
    }
}
