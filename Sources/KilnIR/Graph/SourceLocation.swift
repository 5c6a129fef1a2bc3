// Where a value was made, carried from the user's line of Swift (or an ONNX node's name) down to the kernel.

/// A line of source: a file identifier with a line number, or a name such as an ONNX node's with line 0.
public struct SourceLocation: Hashable, Sendable {
    private enum File: Hashable, Sendable {
        case literal(StaticText)
        case text(String)
    }
    private var file: File
    public var line: Int

    public init(_ file: StaticString, _ line: UInt) {
        self.file = .literal(StaticText(text: file))
        self.line = Int(line)
    }

    public init(name: String, line: Int = 0) {
        self.file = .text(name)
        self.line = line
    }

    public var name: String {
        switch file {
        case .literal(let s): s.text.description
        case .text(let s): s
        }
    }

    /// Whether the line is one of Kiln's own, and not of who uses it.
    package var isWithinKiln: Bool {
        switch file {
        case .literal(let s): s.isWithinKiln
        case .text(let s): StaticText.ownFolders.contains { s.hasPrefix($0) }
        }
    }

    public static let unknown = SourceLocation(name: "", line: 0)
    public var isKnown: Bool { line != 0 || !name.isEmpty }

    public static func == (a: SourceLocation, b: SourceLocation) -> Bool { a.line == b.line && a.name == b.name }
    public func hash(into hasher: inout Hasher) { hasher.combine(line) }
}

/// A static string that can be compared; it costs no allocation when an op is recorded.
private struct StaticText: Hashable, Sendable {
    let text: StaticString
    static func == (a: StaticText, b: StaticText) -> Bool { a.text.description == b.text.description }
    func hash(into hasher: inout Hasher) { hasher.combine(text.utf8CodeUnitCount) }

    static let ownFolders = ["Kiln/", "KilnIR/", "KilnOps/", "KilnPasses/"]

    /// Compared in place: asked for every op that is recorded in a layer.
    var isWithinKiln: Bool {
        guard text.hasPointerRepresentation, text.utf8CodeUnitCount > 11 else { return false }
        let bytes = UnsafeBufferPointer(start: text.utf8Start, count: text.utf8CodeUnitCount)
        guard bytes[0] == UInt8(ascii: "K"), bytes[1] == UInt8(ascii: "i"), bytes[2] == UInt8(ascii: "l"), bytes[3] == UInt8(ascii: "n") else { return false }
        return Self.ownFolders.contains { bytes.starts(with: $0.utf8) }
    }
}

extension SourceLocation: CustomStringConvertible {
    public var description: String { line == 0 ? name : "\(name):\(line)" }
}
