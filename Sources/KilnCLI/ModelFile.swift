// Models from files: a path comes in, a verified graph goes out. Another format of models is one more line of `loaders`.
import Kiln
import KilnIR
import KilnONNX
import KilnOps

enum ModelFile {
    /// For each ending of a file's name, how such a file becomes a graph.
    private static let loaders: [(ending: String, load: @Sendable (_ path: String) throws -> Graph)] = [
        (".kiln", { try parse(FileSystem.contents(of: $0), $0) }),
        (".onnx", { try Graph(onnx: $0) }),
    ]

    /// Reads a model; `-` is a graph's text on standard input.
    static func load(_ path: String) throws -> Graph {
        if path == "-" { return try parse(FileSystem.contents(of: "/dev/stdin"), "<stdin>") }
        guard let loader = loaders.first(where: { path.hasSuffix($0.ending) }) else {
            throw CompileError(path, "is no model that Kiln knows", fix: "give a file that ends in \(loaders.map(\.ending).joined(separator: " or "))")
        }
        return try loader.load(path)
    }

    private static func parse(_ bytes: [UInt8], _ file: String) throws -> Graph {
        guard let text = String(validating: bytes, as: UTF8.self) else {
            throw FileError(file, "is not text in UTF-8", fix: "give a graph's text")
        }
        let graph = try Graph.parse(text, file: file, catalogue: Catalogue.op(named:))
        try graph.verify(after: "reading \(file)")
        return graph
    }
}
