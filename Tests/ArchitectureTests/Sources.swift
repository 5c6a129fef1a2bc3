// The project's own sources as text: what the tests of the architecture read.

import Foundation

/// A Swift file of the project.
struct SourceFile: Sendable {
    /// The folder below Sources.
    let target: String
    /// The path below the target's folder.
    let path: String
    let lines: [String]

    /// The lines that are code: without comments and, where asked for, without the insides of strings.
    var code: [(number: Int, text: String)] {
        lines.enumerated().compactMap { number, line in
            let text = line.trimmingCharacters(in: .whitespaces)
            return text.hasPrefix("//") || text.isEmpty ? nil : (number + 1, text)
        }
    }

    /// The modules that the file imports.
    var imports: [String] {
        code.compactMap { _, line in
            var words = line.split(separator: " ").map(String.init)[...]
            while let first = words.first, first.hasPrefix("@") || ["public", "package", "internal", "private"].contains(first) {
                words = words.dropFirst()
            }
            guard words.first == "import", words.count >= 2 else { return nil }
            // `import struct M.T` names the module before the dot.
            let kinds = ["struct", "class", "enum", "protocol", "func", "var", "let", "typealias"]
            let name = kinds.contains(words[words.startIndex + 1]) ? words.dropFirst(2).first ?? "" : words[words.startIndex + 1]
            return String(name.split(separator: ".").first ?? "")
        }
    }
}

/// The checkout that the tests were built from.
enum Checkout {
    /// The folder with Package.swift.
    static let root = URL(fileURLWithPath: #filePath).deletingLastPathComponent().deletingLastPathComponent().deletingLastPathComponent()

    static func text(_ path: String) throws -> String { try String(contentsOf: root.appendingPathComponent(path), encoding: .utf8) }

    /// All Swift files below Sources.
    static func sources() throws -> [SourceFile] {
        let folder = root.appendingPathComponent("Sources")
        let targets = try FileManager.default.contentsOfDirectory(atPath: folder.path).sorted()
        return try targets.flatMap { target -> [SourceFile] in
            let base = folder.appendingPathComponent(target)
            let paths = FileManager.default.enumerator(atPath: base.path)?.compactMap { $0 as? String } ?? []
            return try paths.filter { $0.hasSuffix(".swift") }.sorted().map { path in
                let text = try String(contentsOf: base.appendingPathComponent(path), encoding: .utf8)
                return SourceFile(target: target, path: path, lines: text.split(separator: "\n", omittingEmptySubsequences: false).map(String.init))
            }
        }
    }
}
