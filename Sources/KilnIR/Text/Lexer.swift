// Splits Kiln's text into tokens, for the parsers of graphs and of loops. Input: the text's bytes; output: the token at hand,
// with the takes and expectations of which a recursive-descent parser is made.

/// A piece of text: a word, a number, a string, or a mark.
package struct Token {
    package enum Kind: Equatable { case word, number, string, mark, end }
    package var kind: Kind
    /// The bytes' range in the source.
    package var start: Int
    package var end: Int
}

/// A cursor over Kiln's text, with the token at hand.
package struct TextParser {
    let source: [UInt8]
    let file: String
    private var position = 0
    package private(set) var token = Token(kind: .end, start: 0, end: 0)
    /// Whether index variables may occur in expressions, which are then kept as they are written: the loop IR's rule.
    /// Otherwise expressions are sizes, and simplify.
    package let allowsIndices: Bool

    package init(_ text: String, file: String, allowsIndices: Bool = false) throws {
        source = Array(text.utf8)
        self.file = file
        self.allowsIndices = allowsIndices
        try advance()
    }

    package func error(_ problem: String) -> ParseError { error(problem, at: token) }
    package func error(_ problem: String, at token: Token) -> ParseError {
        ParseError(problem, in: source, at: token.start, file: file)
    }

    /// The error that names what is missing and what stands there instead.
    package func expected(_ what: String) -> ParseError { error("expected \(what), found \(tokenText)") }

    private var tokenText: String {
        switch token.kind {
        case .end: "the end of the text"
        case .string: "a string"
        case .word, .number, .mark: "`\(String(decoding: source[token.start..<min(token.end, token.start + 40)], as: UTF8.self))`"
        }
    }

    /// The text of the token at hand.
    package var text: String { String(decoding: source[token.start..<token.end], as: UTF8.self) }

    /// The bytes of the token at hand.
    var bytes: ArraySlice<UInt8> { source[token.start..<token.end] }

    /// Whether the token at hand is this word or mark.
    package func isAt(_ text: StaticString) -> Bool {
        guard token.kind == .word || token.kind == .mark, text.utf8CodeUnitCount == token.end - token.start else { return false }
        return text.withUTF8Buffer { $0.elementsEqual(source[token.start..<token.end]) }
    }

    /// Steps over this word or mark, if it is at hand.
    package mutating func take(_ text: StaticString) throws -> Bool {
        guard isAt(text) else { return false }
        try advance()
        return true
    }

    package mutating func expect(_ text: StaticString) throws {
        guard try take(text) else { throw expected("`\(text)`") }
    }

    package var isAtEnd: Bool { token.kind == .end }
}

extension TextParser {
    /// Steps to the next token.
    package mutating func advance() throws {
        skipBlanks()
        let start = position
        guard start < source.count else {
            token = Token(kind: .end, start: start, end: start)
            return
        }
        let byte = source[start]
        let kind: Token.Kind
        if byte.isLetter {
            position = endOfWord(from: start)
            kind = .word
        } else if byte.isDigit {
            position = endOfNumber(from: start)
            kind = .number
        } else if byte == UInt8(ascii: "\"") {
            position = try endOfString(from: start)
            kind = .string
        } else {
            position = try endOfMark(from: start)
            kind = .mark
        }
        token = Token(kind: kind, start: start, end: position)
    }

    private mutating func skipBlanks() {
        while position < source.count {
            let byte = source[position]
            if byte == UInt8(ascii: " ") || byte == UInt8(ascii: "\n") || byte == UInt8(ascii: "\t") || byte == UInt8(ascii: "\r") {
                position += 1
            } else if byte == UInt8(ascii: "/"), position + 1 < source.count, source[position + 1] == UInt8(ascii: "/") {
                while position < source.count, source[position] != UInt8(ascii: "\n") { position += 1 }
            } else { return }
        }
    }

    private func endOfWord(from start: Int) -> Int {
        var end = start + 1
        while end < source.count, source[end].isLetter || source[end].isDigit || isInnerDot(end) { end += 1 }
        return end
    }

    /// A dot inside a word or number has a letter or digit after it; `..<` has none.
    private func isInnerDot(_ place: Int) -> Bool {
        source[place] == UInt8(ascii: ".") && place + 1 < source.count && (source[place + 1].isDigit || source[place + 1].isLetter)
    }

    private func endOfNumber(from start: Int) -> Int {
        var end = start + 1
        let isHexadecimal = end < source.count && source[end] == UInt8(ascii: "x")
        while end < source.count {
            let byte = source[end]
            let isSign = byte == UInt8(ascii: "+") || byte == UInt8(ascii: "-")
            let followsExponent = source[end - 1] | 0x20 == UInt8(ascii: "e") && end + 1 < source.count && source[end + 1].isDigit
            guard byte.isDigit || byte.isLetter || !isHexadecimal && (isInnerDot(end) || isSign && followsExponent) else { break }
            end += 1
        }
        return end
    }

    private func endOfString(from start: Int) throws -> Int {
        var end = start + 1
        while end < source.count, source[end] != UInt8(ascii: "\"") {
            if source[end] == UInt8(ascii: "\n") { break }
            end += source[end] == UInt8(ascii: "\\") ? 2 : 1
        }
        guard end < source.count, source[end] == UInt8(ascii: "\"") else {
            throw ParseError("this string has no closing quote on its line", in: source, at: start, file: file)
        }
        return end + 1
    }

    private static let singles = Set("%@$#(){}[]<>=:,+-*".utf8)

    private func endOfMark(from start: Int) throws -> Int {
        func isAt(_ place: Int, _ byte: Unicode.Scalar) -> Bool { place < source.count && source[place] == UInt8(ascii: byte) }
        switch source[start] {
        case UInt8(ascii: "-") where isAt(start + 1, ">"), UInt8(ascii: ">") where isAt(start + 1, "="), UInt8(ascii: "=") where isAt(start + 1, "="):
            return start + 2
        case UInt8(ascii: ".") where isAt(start + 1, ".") && isAt(start + 2, "<"): return start + 3
        default: break
        }
        guard Self.singles.contains(source[start]) else {
            var end = start + 1
            while end < source.count, source[end] & 0xC0 == 0x80 { end += 1 }
            let character = String(decoding: source[start..<end], as: UTF8.self)
            // What can't be seen is named by its code.
            let isVisible = character.unicodeScalars.allSatisfy { ![.control, .format, .surrogate, .unassigned, .privateUse].contains($0.properties.generalCategory) }
            let shown = isVisible ? "`\(character)`" : character.unicodeScalars.map { "U+" + String($0.value + 0x10_0000, radix: 16, uppercase: true).suffix(4) }.joined(separator: " ")
            throw ParseError("\(shown) has no meaning here", in: source, at: start, file: file)
        }
        return start + 1
    }
}

extension UInt8 {
    var isDigit: Bool { self >= UInt8(ascii: "0") && self <= UInt8(ascii: "9") }
    /// A letter of ASCII, or the underscore.
    var isLetter: Bool {
        self >= UInt8(ascii: "a") && self <= UInt8(ascii: "z") || self >= UInt8(ascii: "A") && self <= UInt8(ascii: "Z")
            || self == UInt8(ascii: "_")
    }
}
