// The formats that are fuzzed: for each, valid inputs to begin with, tokens that mean something in it, and its reader.
// A format is added with one line in `Format.all`.

import Kiln
import KilnIR
import KilnKernels
import KilnOps

/// A format whose reader must survive anything.
struct Format: Sendable {
    let name: String
    /// How the names of files in the format end; nil where that is its own name.
    var ending: String?
    /// Valid inputs.
    let seeds: @Sendable () throws -> [[UInt8]]
    /// Pieces to insert beside those of the seeds.
    let dictionary: [String]
    /// Whether inputs are messages of Protocol Buffers.
    var isMessage = false
    /// Makes one input of two, where that makes sense.
    var splice: (@Sendable ([UInt8], [UInt8], inout SeededGenerator) -> [UInt8]?)?
    /// Inputs to begin with that may be rejected.
    var others: @Sendable () throws -> [[UInt8]] = { [] }
    /// Reads an input. A mistake in the input throws its error; a mistake of the reader's throws `Finding` or `InternalError`.
    let read: @Sendable ([UInt8]) throws -> Void

    static let all: [Format] = [
        Format(name: "kiln", seeds: { try Seeds.graphs.get() }, dictionary: Seeds.words, read: readGraph),
        Format(name: "program", seeds: { Seeds.programs }, dictionary: Seeds.words, read: readProgram),
        Format(name: "npy", seeds: { FileSeeds.npy }, dictionary: FileSeeds.headerWords, read: readArray),
        Format(name: "npz", seeds: FileSeeds.npz, dictionary: FileSeeds.zipWords, read: readArchive),
        Format(name: "safetensors", seeds: FileSeeds.safetensors, dictionary: FileSeeds.safetensorsWords, read: readTensors),
        Format(name: "onnx", seeds: ONNXSeeds.all, dictionary: ONNXSeeds.words, isMessage: true, others: ONNXSeeds.refused, read: readModel),
        Format(name: "compiled", ending: "onnx", seeds: ONNXSeeds.small, dictionary: ONNXSeeds.words, isMessage: true,
               splice: ModelSplice.splice, others: { try OperatorSeeds.made().models }, read: runModel),
    ]
}

/// A fault of the reader that is no crash.
struct Finding: Error, CustomStringConvertible {
    var description: String
}

@Sendable private func readGraph(_ bytes: [UInt8]) throws {
    let graph = try Graph.parse(String(decoding: bytes, as: UTF8.self), catalogue: Catalogue.op)
    try graph.verify(after: "parsing")
    let text = graph.description
    let again: Graph
    do { again = try Graph.parse(text, catalogue: Catalogue.op) } catch { throw Finding(description: "what was printed does not parse: \(error)\n\(text)") }
    guard again.isEquivalent(to: graph), again.description == text else { throw Finding(description: "what was printed parses to another graph\n\(text)") }
    // What comes next asks for the forms; their rules may refuse, not crash.
    for operation in graph.operations { _ = try? graph.form(of: operation) }
}

@Sendable private func readProgram(_ bytes: [UInt8]) throws {
    let program = try Program.parse(String(decoding: bytes, as: UTF8.self))
    let text = program.description
    let again: Program
    do { again = try Program.parse(text) } catch { throw Finding(description: "what was printed does not parse: \(error)\n\(text)") }
    guard again == program else { throw Finding(description: "what was printed parses to another program\n\(text)") }
    // The verifier's finding is the right answer to most of these.
    do { try program.verify() } catch is InternalError {}
}

@Sendable private func readArray(_ bytes: [UInt8]) throws {
    let value = try NPY.parse(bytes)
    try expectSame([("array", value)], [("array", try NPY.parse(NPY.encode(value)))])
}

@Sendable private func readArchive(_ bytes: [UInt8]) throws {
    let arrays = try NPZ.parse(bytes)
    // A name that would lead out of the folder is written as one that does not.
    try expectSame(arrays.map { (NPZ.memberName($0.name), $0.value) }, try NPZ.parse(NPZ.encode(arrays, isCompressed: false)))
}

@Sendable private func readTensors(_ bytes: [UInt8]) throws {
    let tensors = try Safetensors.parse(bytes)
    let again = try Safetensors.parse(Safetensors.encode(tensors))
    try expectSame(tensors.sorted { $0.name < $1.name }, again.sorted { $0.name < $1.name })
}

/// What was read must come back when it is written and read again.
private func expectSame(_ a: [(name: String, value: Literal)], _ b: [(name: String, value: Literal)]) throws {
    guard a.map(\.name) == b.map(\.name), a.map(\.value) == b.map(\.value) else { throw Finding(description: "what was written reads differently: \(a.map(\.name))") }
}
