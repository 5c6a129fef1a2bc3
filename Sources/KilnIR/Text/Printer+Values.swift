// The text of names, strings, numbers, literals and attributes. Every value prints so that reading it gives the same bits.

extension String {
    /// Whether the text is a word of Kiln's text: ASCII letters, digits, underscores and inner dots, no digit first.
    package var isWord: Bool {
        var last = UInt8(ascii: ".")
        for byte in utf8 {
            guard byte.isLetter || byte.isDigit || byte == UInt8(ascii: ".") && last != UInt8(ascii: ".") else { return false }
            last = byte
        }
        return last != UInt8(ascii: ".") && utf8.first?.isDigit == false
    }

    /// The text in quotes, with escapes.
    package var quoted: String {
        var result = "\""
        for scalar in unicodeScalars {
            switch scalar {
            case "\"": result += "\\\""
            case "\\": result += "\\\\"
            case "\n": result += "\\n"
            case "\t": result += "\\t"
            case "\r": result += "\\r"
            case _ where scalar.value < 32 || scalar.value == 127: result += "\\u{\(String(scalar.value, radix: 16))}"
            default: result.unicodeScalars.append(scalar)
            }
        }
        return result + "\""
    }

    /// The text as a name: bare where it is a word.
    package var asName: String { isWord ? self : quoted }
}

extension SourceLocation {
    /// ` at "file":12` with its blank, or nothing.
    package var suffix: String { isKnown ? " at \(name.quoted)" + (line == 0 ? "" : ":\(line)") : "" }
}

extension Scalar: CustomStringConvertible {
    /// The number with its kind: `1.5`, `3i`, `3u`, `true`.
    public var description: String {
        switch self {
        case .bool(let b): String(b)
        case .integer(let i): "\(i)i"
        case .unsigned(let u): "\(u)u"
        case .real(let r): r.exactText
        }
    }
}

extension Double {
    /// The shortest decimal that reads as this number; NaNs other than the usual one show their bits.
    fileprivate var exactText: String {
        guard isNaN, bitPattern != Double.nan.bitPattern else { return description }
        return "nan(0x\(String(bitPattern, radix: 16)))"
    }
}

extension Literal: CustomStringConvertible {
    /// Literals of more elements print as base64.
    private static let listedCount = 32

    /// The type and the elements: `f32[3] [1.0, 2.0, 3.0]`, or many as `f32[100] base64 "…"`.
    public var description: String { description(atMost: .max) }

    /// The same; of more bytes than `most` only how many they are, which can't be read back.
    package func description(atMost most: Int) -> String {
        if byteCount > most { return "\(type) of \(byteCount) bytes" }
        if count <= Self.listedCount {
            let scalars = self.scalars
            // What a list can't hold (a NaN's payload) shows in the bytes.
            if Literal(dtype, shape, scalars: scalars) == self, !scalars.contains(where: isUnusualNaN) {
                return "\(type) [\(scalars.map(elementText).joined(separator: ", "))]"
            }
        }
        return "\(type) base64 \"\(withUnsafeBytes(encodeBase64))\""
    }

    private func isUnusualNaN(_ scalar: Scalar) -> Bool {
        if case .real(let r) = scalar { r.isNaN && r.bitPattern != Double.nan.bitPattern } else { false }
    }

    private func elementText(_ scalar: Scalar) -> String {
        switch scalar {
        case .bool(let b): String(b)
        case .integer(let i): String(i)
        case .unsigned(let u): String(u)
        case .real(let r):
            switch dtype {
            case .f64: r.description
            case .f16: Float16(r).description
            default: Float(r).description
            }
        }
    }
}

extension Attribute: CustomStringConvertible {
    public var description: String { description(atMost: .max) }

    func description(atMost most: Int) -> String {
        switch self {
        case .bool(let b): String(b)
        case .int(let i): String(i)
        case .ints(let list): "[\(list.map(String.init).joined(separator: ", "))]"
        case .dims(let dims): "dims[\(dims.map(\.description).joined(separator: ", "))]"
        case .scalar(.bool(let b)): "scalar \(b)"
        case .scalar(let s): s.description
        case .dtype(let d): d.name
        case .string(let s): s.quoted
        case .literal(let l): "literal \(l.description(atMost: most))"
        }
    }
}

extension Attributes: CustomStringConvertible {
    /// `{axis = 1, reverse = false}`; nothing where there are none.
    public var description: String { description(atMost: .max) }

    func description(atMost most: Int) -> String {
        entries.isEmpty ? "" : "{\(entries.map { "\($0.name.asName) = \($0.value.description(atMost: most))" }.joined(separator: ", "))}"
    }
}

/// The bytes in base64, padded.
func encodeBase64(_ bytes: UnsafeRawBufferPointer) -> String {
    let alphabet = Array("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/".utf8)
    var text: [UInt8] = []
    text.reserveCapacity(bytes.count / 3 * 4 + 4)
    for start in stride(from: 0, to: bytes.count, by: 3) {
        let count = min(3, bytes.count - start)
        var bits: UInt32 = 0
        for offset in 0..<3 { bits = bits << 8 | (offset < count ? UInt32(bytes[start + offset]) : 0) }
        for digit in 0..<4 { text.append(digit <= count ? alphabet[Int(bits >> UInt32(18 - 6 * digit)) & 63] : UInt8(ascii: "=")) }
    }
    return String(decoding: text, as: UTF8.self)
}
