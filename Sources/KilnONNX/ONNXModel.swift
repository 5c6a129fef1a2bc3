// A model in ONNX's format: a file comes in; a graph of Kiln's ops comes out, or an error that says what is wrong or missing.

import Kiln
import KilnIR

/// An ONNX model that has been read.
///
///     let model = try ONNXModel(contentsOf: "resnet50.onnx")
///     let graph = try model.graph()
///
/// A tensor of strings is a tensor of u8 with one axis more, the last: each string's UTF-8, filled up with zeros, as NumPy's type 'S' has it. How wide an
/// input is, is up to each run, and at least 1: the input `x` of type `string[n]` is a port `u8[n, x_width]`. `Literal(texts:_:)` and
/// `Literal.texts` convert; `NPY` reads NumPy's texts so. Everything that a model computes on strings is compiled like all else.
public struct ONNXModel: Sendable {
    /// The newest version of the operator set `ai.onnx` that is supported.
    public static let newestVersion = 28

    let file: String
    let proto: ProtoModel
    /// The constants of the model's graph; `proto` has none.
    let initializers: [Initializer]
    /// The model's file, where the constants' bytes are.
    let region: ByteRegion
    let files: ExternalFiles

    /// Maps a file and reads all of it but the weights, which are read when they are used. The file must stay as it is until then.
    /// Throws `FileError` where it is damaged.
    public init(contentsOf path: String) throws { try self.init(FileSystem.map(path), file: path) }

    /// Reads a model in memory.
    /// - Parameter file: what errors call it; tensors in other files are looked for beside it.
    public init(bytes: [UInt8], file: String = "<bytes>") throws { try self.init(ByteRegion(copying: bytes), file: file) }

    private init(_ region: ByteRegion, file: String) throws {
        self.file = file
        self.region = region
        let reader = try ModelReader(region, file: file)
        (proto, initializers, files) = (reader.proto, reader.initializers, ExternalFiles(model: file))
    }

    /// The files that it has been read from so far: its own, and those beside it with tensors that were used.
    public var paths: [String] { [file] + files.paths }

    /// The graph's name as Kiln's text can write it.
    var graphName: String {
        let clean = String(proto.graph.name.unicodeScalars.map { $0.isASCII && ($0.properties.isAlphabetic || ("0"..."9").contains($0)) ? Character($0) : "_" })
        return clean.first.map { $0.isLetter } == true ? clean : "model"
    }

    /// The model as a graph, with how its ports stand for the model's.
    ///
    /// Throws `UnsupportedModel` with everything that Kiln can't do, `ModelError` where the model contradicts itself, `ValueNeeded` where an
    /// input's value decides a shape, `ShapeError` where an op does not fit its operands. Symbols that must be equal for the model to run
    /// become one.
    public func imported(_ options: ImportOptions = ImportOptions()) throws -> ImportedModel {
        var equalities = SymbolEqualities()
        while true {
            do { return try Importer(self, options, equalities).run() } catch let error as ShapeError {
                guard let (a, b) = error.unequal, equalities.add(a, b) else { throw error }
            }
        }
    }

    public func graph(_ options: ImportOptions = ImportOptions()) throws -> Graph { try imported(options).graph }
}

extension Graph {
    /// Reads an ONNX model as a graph.
    public init(onnx path: String, options: ImportOptions = ImportOptions()) throws {
        self = try ONNXModel(contentsOf: path).graph(options)
    }
}
