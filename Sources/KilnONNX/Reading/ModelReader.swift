// Reads a model's file: all but the tensors' bytes is decoded, and these stay where they are in the mapped file.

import Foundation
import Kiln
import KilnIR
import SwiftProtobuf

/// A constant of the model's graph: its description, and where its bytes lie in the model's file.
struct Initializer: Sendable {
    var proto: ProtoTensor
    /// In the model's region; nil where the description holds the elements, or says where else they are.
    var raw: Range<Int>?
}

/// The parts of a model's file.
struct ModelReader {
    private(set) var proto = ProtoModel()
    private(set) var initializers: [Initializer] = []

    /// The fields of ONNX's messages that are looked into here.
    private enum Field {
        static let modelGraph = 7
        static let graphInitializer = 5
        static let tensorRawData = 9
    }

    init(_ region: ByteRegion, file: String) throws {
        let bytes = region.bytes
        var model = Data(), graph = Data()
        var hasGraph = false
        var fields = WireReader(bytes, 0..<bytes.count, file: file)
        while let field = try fields.next() {
            guard field.number == Field.modelGraph, let contents = field.contents else {
                model.append(contentsOf: bytes[field.extent])
                continue
            }
            hasGraph = true
            var parts = WireReader(bytes, contents, file: file)
            while let part = try parts.next() {
                if part.number == Field.graphInitializer, let tensor = part.contents { initializers.append(try Self.initializer(bytes, tensor, file)) } else {
                    graph.append(contentsOf: bytes[part.extent])
                }
            }
        }
        guard hasGraph else { throw FileError(file, "is no ONNX model: it has no graph", fix: "give a file that an exporter to ONNX has written") }
        proto = try Self.decode(model, file)
        proto.graph = try Self.decode(graph, file)
    }

    private static func initializer(_ bytes: UnsafeRawBufferPointer, _ range: Range<Int>, _ file: String) throws -> Initializer {
        var description = Data()
        var raw: Range<Int>?
        var fields = WireReader(bytes, range, file: file)
        while let field = try fields.next() {
            if field.number == Field.tensorRawData, let contents = field.contents { raw = contents } else { description.append(contentsOf: bytes[field.extent]) }
        }
        return Initializer(proto: try decode(description, file), raw: raw)
    }

    private static func decode<M: Message>(_ bytes: Data, _ file: String) throws -> M {
        do { return try M(serializedBytes: bytes) } catch {
            throw FileError(file, "is no ONNX model, or is damaged", fix: "export the model again")
        }
    }
}
