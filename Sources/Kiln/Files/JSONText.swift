// The part of JSON that file headers are made of: objects, texts and lists of sizes. Bytes come in, values go out one by one.

/// A place in a JSON text of which nothing is trusted.
package struct JSONText {
    private let reader: ByteReader
    private var position = 0

    init(_ reader: ByteReader) { self.reader = reader }

    func error(_ problem: String, fix: String = FileError.again) -> FileError { reader.error(problem, at: position, fix: fix) }

    private var current: UInt8? { position < reader.bytes.count ? reader.bytes[position] : nil }

    private mutating func skipSpace() {
        while let byte = current, byte == 0x20 || byte == 0x0A || byte == 0x0D || byte == 0x09 { position += 1 }
    }

    private mutating func take(_ mark: Unicode.Scalar) -> Bool {
        skipSpace()
        guard current == UInt8(ascii: mark) else { return false }
        position += 1
        return true
    }

    private mutating func expect(_ mark: Unicode.Scalar) throws {
        guard take(mark) else { throw error("the header has no `\(mark)` where one must be") }
    }

    /// Nothing but space is left.
    mutating func end() throws {
        skipSpace()
        guard position == reader.bytes.count else { throw error("something follows the header's object") }
    }

    /// An object; `member` reads the value of each key.
    mutating func object(_ member: (inout JSONText, String) throws -> Void) throws {
        try expect("{")
        if take("}") { return }
        repeat {
            let key = try string()
            try expect(":")
            try member(&self, key)
        } while take(",")
        try expect("}")
    }

    /// A list of numbers without sign, fraction or exponent.
    mutating func sizes(atMost limit: Int) throws -> [Int] {
        var sizes: [Int] = []
        try expect("[")
        if take("]") { return sizes }
        repeat {
            guard sizes.count < limit else { throw error("there are more than \(limit) numbers here") }
            sizes.append(try size())
        } while take(",")
        try expect("]")
        return sizes
    }

    private mutating func size() throws -> Int {
        skipSpace()
        let start = position
        var size = 0
        while let byte = current, byte >= UInt8(ascii: "0"), byte <= UInt8(ascii: "9") {
            let (tens, overflow) = size.multipliedReportingOverflow(by: 10)
            let (next, carry) = tens.addingReportingOverflow(Int(byte - UInt8(ascii: "0")))
            guard !overflow, !carry else { throw error("this number is more than can be counted") }
            size = next
            position += 1
        }
        guard position > start else { throw error("the header has no whole number where one must be") }
        return size
    }

    mutating func string() throws -> String {
        try expect("\"")
        var bytes: [UInt8] = []
        while let byte = current, byte != UInt8(ascii: "\"") {
            guard byte >= 0x20 else { throw error("a text has a control character in it") }
            position += 1
            if byte == UInt8(ascii: "\\") { try escape(into: &bytes) } else { bytes.append(byte) }
        }
        try expect("\"")
        guard let text = String(validating: bytes, as: UTF8.self) else { throw error("a text is not in UTF-8") }
        return text
    }

    private mutating func escape(into bytes: inout [UInt8]) throws {
        guard let kind = current else { throw error("a text ends within an escape") }
        position += 1
        switch kind {
        case UInt8(ascii: "\""), UInt8(ascii: "\\"), UInt8(ascii: "/"): bytes.append(kind)
        case UInt8(ascii: "b"): bytes.append(8)
        case UInt8(ascii: "f"): bytes.append(12)
        case UInt8(ascii: "n"): bytes.append(10)
        case UInt8(ascii: "r"): bytes.append(13)
        case UInt8(ascii: "t"): bytes.append(9)
        case UInt8(ascii: "u"):
            var code = try fourDigits()
            // Two halves make one character beyond the first 65,536.
            if code & 0xFC00 == 0xD800, current == UInt8(ascii: "\\") {
                position += 1
                guard current == UInt8(ascii: "u") else { throw error("half a character stands alone") }
                position += 1
                let low = try fourDigits()
                guard low & 0xFC00 == 0xDC00 else { throw error("half a character stands alone") }
                code = 0x10000 + (code & 0x3FF) << 10 + low & 0x3FF
            }
            guard let scalar = Unicode.Scalar(code) else { throw error("half a character stands alone") }
            bytes += Array(String(Character(scalar)).utf8)
        default: throw error("a text has an unknown escape")
        }
    }

    private mutating func fourDigits() throws -> UInt32 {
        var code: UInt32 = 0
        for _ in 0..<4 {
            guard let byte = current, let digit = Character(Unicode.Scalar(byte)).hexDigitValue else { throw error("a \\u escape needs four digits") }
            code = code << 4 | UInt32(digit)
            position += 1
        }
        return code
    }

    /// The text in quotes, as the least that JSON demands.
    package static func quoted(_ text: String) -> String {
        var result = "\""
        for scalar in text.unicodeScalars {
            switch scalar {
            case "\"": result += "\\\""
            case "\\": result += "\\\\"
            case "\n": result += "\\n"
            case "\r": result += "\\r"
            case "\t": result += "\\t"
            case "\u{8}": result += "\\b"
            case "\u{c}": result += "\\f"
            case _ where scalar.value < 0x20:
                let digits = String(scalar.value, radix: 16)
                result += "\\u" + String(repeating: "0", count: 4 - digits.count) + digits
            default: result.unicodeScalars.append(scalar)
            }
        }
        return result + "\""
    }
}
