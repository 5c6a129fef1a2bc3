// The error of Kiln's text parsers: where in which text, what was expected there, and the line with a caret under the place.

/// A mistake in a text: a graph in a `.kiln` file, or a program of loops.
public struct ParseError: Error, CustomStringConvertible, Sendable, Hashable {
    /// The file's name, or `<text>`.
    public var file: String
    /// From 1.
    public var line: Int
    /// From 1, in characters.
    public var column: Int
    /// What was expected or is wrong, in one sentence.
    public var problem: String
    /// The part of the line around the place.
    public var excerpt: String
    /// How many characters of the excerpt stand before the place.
    public var caret: Int

    public var description: String {
        "\(file):\(line):\(column): \(problem)\n  \(excerpt)\n  \(String(repeating: " ", count: caret))^"
    }
}

extension ParseError {
    private static let excerptReach = 60

    /// The error at a byte of a text.
    init(_ problem: String, in source: [UInt8], at offset: Int, file: String) {
        let place = min(max(offset, 0), source.count)
        let start = source[..<place].lastIndex(of: UInt8(ascii: "\n")).map { $0 + 1 } ?? 0
        // A hostile line may be the whole file: only what is near the place is shown.
        var first = max(start, place - Self.excerptReach)
        while first > start, source[first] & 0xC0 == 0x80 { first -= 1 }
        var last = place
        while last < source.count, last - place < Self.excerptReach, source[last] != UInt8(ascii: "\n") { last += 1 }
        while last < source.count, source[last] & 0xC0 == 0x80 { last += 1 }
        let before = Self.shown(source[first..<place])
        self.file = file
        self.line = 1 + source[..<start].count { $0 == UInt8(ascii: "\n") }
        self.column = 1 + source[start..<place].count { $0 & 0xC0 != 0x80 }
        self.problem = problem
        self.excerpt = (first > start ? "…" : "") + before + Self.shown(source[place..<last])
        self.caret = before.unicodeScalars.count + (first > start ? 1 : 0)
    }

    private static func shown(_ bytes: ArraySlice<UInt8>) -> String {
        String(decoding: bytes.map { $0 < 32 || $0 == 127 ? UInt8(ascii: " ") : $0 }, as: UTF8.self)
    }
}
