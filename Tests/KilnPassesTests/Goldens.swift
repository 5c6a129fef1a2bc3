// Graphs as text on disk, at Tests/Goldens/<pass>/<case>.kiln; with KILN_RECORD_GOLDENS set they are written instead of compared.

import Foundation
import KilnIR
import KilnOps
import Testing

enum Goldens {
    private static let isRecording = ProcessInfo.processInfo.environment["KILN_RECORD_GOLDENS"] != nil
    private static let folder = URL(fileURLWithPath: #filePath).deletingLastPathComponent().deletingLastPathComponent().appending(path: "Goldens")

    /// Holds a graph against the golden of the given name.
    static func compare(_ graph: Graph, pass: String, _ name: String) throws {
        let file = folder.appending(path: "\(pass)/\(name).kiln")
        if isRecording {
            try FileManager.default.createDirectory(at: file.deletingLastPathComponent(), withIntermediateDirectories: true)
            try graph.description.write(to: file, atomically: true, encoding: .utf8)
        }
        let golden = try String(contentsOf: file, encoding: .utf8)
        #expect(graph.description == golden, "\(pass)/\(name): set KILN_RECORD_GOLDENS to take the new text")
        #expect(try Graph.parse(golden, catalogue: Catalogue.op(named:)).isEquivalent(to: graph))
    }
}
