// Parses names, strings, numbers, literals and attributes: the inverse of Printer+Values.

extension TextParser {
    /// A string in quotes, with its escapes resolved.
    package mutating func string() throws -> String {
        guard token.kind == .string else { throw expected("a string") }
        var result: [UInt8] = []
        let end = token.end - 1
        var place = token.start + 1
        result.reserveCapacity(end - place)
        while place < end {
            guard source[place] == UInt8(ascii: "\\") else {
                result.append(source[place])
                place += 1
                continue
            }
            switch source[place + 1] {
            case UInt8(ascii: "n"): result.append(10)
            case UInt8(ascii: "t"): result.append(9)
            case UInt8(ascii: "r"): result.append(13)
            case UInt8(ascii: "\""): result.append(34)
            case UInt8(ascii: "\\"): result.append(92)
            case UInt8(ascii: "u"):
                let (scalar, next) = try unicodeEscape(at: place)
                result.append(contentsOf: Character(scalar).utf8)
                place = next
                continue
            default: throw ParseError("no such escape; there are \\n, \\t, \\r, \\\", \\\\ and \\u{…}", in: source, at: place, file: file)
            }
            place += 2
        }
        try advance()
        return String(decoding: result, as: UTF8.self)
    }

    /// A `\u{…}` and the place after it.
    private func unicodeEscape(at place: Int) throws -> (Unicode.Scalar, Int) {
        let digits = source[(place + 2)..<(token.end - 1)].dropFirst().prefix { $0 != UInt8(ascii: "}") }
        guard source[place + 2] == UInt8(ascii: "{"), digits.endIndex < token.end - 1, digits.count <= 8,
            let code = UInt32(String(decoding: digits, as: UTF8.self), radix: 16), let scalar = Unicode.Scalar(code) else {
            throw ParseError("a character is written \\u{…} with its hexadecimal code", in: source, at: place, file: file)
        }
        return (scalar, digits.endIndex + 1)
    }

    /// A name: a word, or a string for a name that is no word.
    package mutating func name(_ what: String) throws -> String {
        if token.kind == .string { return try string() }
        guard token.kind == .word else { throw expected(what) }
        let name = text
        try advance()
        return name
    }

    /// `at "file":12`, if it is at hand.
    package mutating func location() throws -> SourceLocation {
        guard try take("at") else { return .unknown }
        let name = try string()
        return SourceLocation(name: name, line: try take(":") ? try integer() : 0)
    }

    /// A number or truth value with its kind: `1.5`, `3i`, `3u`, `inf`, `nan`, `true`.
    package mutating func scalar() throws -> Scalar {
        if token.kind == .word, isAt("true") || isAt("false") { return .bool(try take("true") ? true : !(try take("false"))) }
        let start = token
        let isNegative = try take("-")
        if let special = try specialReal(isNegative: isNegative) { return .real(special) }
        guard token.kind == .number else { throw expected("a number") }
        let digits = (isNegative ? "-" : "") + text
        let value: Scalar? = switch bytes.last {
        case UInt8(ascii: "i"): Int64(digits.dropLast()).map(Scalar.integer)
        case UInt8(ascii: "u"): UInt64(digits.dropLast()).map(Scalar.unsigned)
        default: bytes.allSatisfy(\.isDigit) ? nil : decimal(digits).map(Scalar.real)
        }
        guard let value else { throw error("`\(digits)` is no number with a kind; write 1.0, 1i or 1u", at: start) }
        try advance()
        return value
    }

    /// `inf`, `nan`, or a NaN with other bits: `nan(0xfff8000000000000)`.
    private mutating func specialReal(isNegative: Bool) throws -> Double? {
        if try take("inf") { return isNegative ? -.infinity : .infinity }
        guard !isNegative, try take("nan") else { return nil }
        guard try take("(") else { return .nan }
        guard token.kind == .number, text.hasPrefix("0x"), let bits = UInt64(text.dropFirst(2), radix: 16),
            Double(bitPattern: bits).isNaN else { throw expected("the bits of a NaN") }
        try advance()
        try expect(")")
        return Double(bitPattern: bits)
    }

    /// A decimal number; hexadecimal ones and words are none.
    private func decimal(_ text: String) -> Double? {
        text.utf8.allSatisfy { $0.isDigit || "+-.eE".utf8.contains($0) } ? Double(text) : nil
    }

    /// A dense value: a type and its elements, in a list or as base64 of the bytes.
    package mutating func literal() throws -> Literal {
        let start = token
        let type = try tensorType()
        guard let shape = type.constantShape else { throw error("a literal's sizes are constants", at: start) }
        // `tensorType` has bounded the product.
        let count = shape.reduce(1) { $0 &* $1 }
        if try take("base64") { return try packed(type.dtype, shape, byteCount: count &* type.dtype.byteCount) }
        return try listed(type.dtype, shape, count: count)
    }

    private mutating func packed(_ dtype: DType, _ shape: [Int], byteCount: Int) throws -> Literal {
        guard token.kind == .string else { throw expected("a string") }
        guard let bytes = decodeBase64(source[(token.start + 1)..<(token.end - 1)]) else { throw error("this is no base64") }
        guard bytes.count == byteCount else { throw error("these are \(bytes.count) bytes; the type has \(byteCount)") }
        if dtype == .bool, bytes.contains(where: { $0 > 1 }) { throw error("a bool's byte is 0 or 1") }
        try advance()
        return Literal(dtype, shape, bytes: bytes)
    }

    private mutating func listed(_ dtype: DType, _ shape: [Int], count: Int) throws -> Literal {
        let start = token
        try expect("[")
        var scalars: [Scalar] = []
        while !isAt("]") {
            if !scalars.isEmpty { try expect(",") }
            guard scalars.count < count else { throw error("there are more elements than the type's \(count)") }
            scalars.append(try element(dtype))
        }
        guard scalars.count == count else { throw error("these are \(scalars.count) elements; the type has \(count)", at: start) }
        try advance()
        return Literal(dtype, shape, scalars: scalars)
    }

    /// An element of a list, whose dtype is known.
    private mutating func element(_ dtype: DType) throws -> Scalar {
        let start = token
        if dtype == .bool {
            guard isAt("true") || isAt("false") else { throw expected("true or false") }
            return .bool(try take("true") ? true : !(try take("false")))
        }
        let isNegative = try take("-")
        if dtype.isFloat, let special = try specialReal(isNegative: isNegative) { return .real(special) }
        guard token.kind == .number else { throw expected("a number") }
        let digits = (isNegative ? "-" : "") + text
        guard let scalar = number(digits, dtype) else { throw error("`\(digits)` is no \(dtype)", at: start) }
        try advance()
        return scalar
    }

    private func number(_ digits: String, _ dtype: DType) -> Scalar? {
        switch dtype.kind {
        case .float:
            guard let value = decimal(digits) else { return nil }
            // Shortest decimals are of the dtype's own precision; by way of Double they would round twice.
            if dtype == .f16 { return Float16(digits).map { .real(Double($0)) } }
            return dtype == .f64 ? .real(value) : Float(digits).map { .real(Double($0)) }
        case .unsigned: return UInt64(digits).flatMap { Scalar.unsigned($0).converted(to: dtype) == .unsigned($0) ? .unsigned($0) : nil }
        case .signed, .bool: return Int64(digits).flatMap { Scalar.integer($0).converted(to: dtype) == .integer($0) ? .integer($0) : nil }
        }
    }

    /// `{name = value, …}`, or nothing.
    mutating func attributes() throws -> Attributes {
        var result = Attributes.none
        guard try take("{") else { return result }
        while !isAt("}") {
            if !result.entries.isEmpty { try expect(",") }
            let start = token
            let name = try name("an attribute's name")
            guard result.entries.count < 64, result[name] == nil else { throw error("attribute `\(name)` is given twice, or is one too many", at: start) }
            try expect("=")
            result.entries.append((name, try attribute()))
        }
        try advance()
        return result
    }

    private mutating func attribute() throws -> Attribute {
        switch token.kind {
        case .string: return .string(try string())
        case .number where bytes.allSatisfy(\.isDigit): return .int(try integer())
        case .word:
            if isAt("true") || isAt("false") { return .bool(try take("true") ? true : !(try take("false"))) }
            if try take("dims") { return .dims(try dimList()) }
            if try take("literal") { return .literal(try literal()) }
            if try take("scalar") { return .scalar(try scalar()) }
            if isAt("inf") || isAt("nan") { return .scalar(try scalar()) }
            return .dtype(try dtype())
        case .mark where isAt("["): return .ints(try integerList())
        case .mark where isAt("-"):
            var ahead = self
            try ahead.advance()
            if ahead.token.kind == .number, ahead.bytes.allSatisfy(\.isDigit) { return .int(try integer()) }
            return .scalar(try scalar())
        case .number: return .scalar(try scalar())
        default: throw expected("an attribute's value")
        }
    }

    private mutating func dimList() throws -> [Dim] {
        try expect("[")
        var dims: [Dim] = []
        while !isAt("]") {
            if !dims.isEmpty { try expect(",") }
            guard dims.count < 2 * TextLimits.rank else { throw error("a list of sizes has at most \(2 * TextLimits.rank)") }
            dims.append(try dim())
        }
        try advance()
        return dims
    }

    package mutating func integerList() throws -> [Int] {
        try expect("[")
        var integers: [Int] = []
        while !isAt("]") {
            if !integers.isEmpty { try expect(",") }
            integers.append(try integer())
        }
        try advance()
        return integers
    }
}

/// The bytes that base64 text stands for; nil where it is no base64 in its one canonical form.
func decodeBase64(_ text: ArraySlice<UInt8>) -> [UInt8]? {
    guard text.count % 4 == 0 else { return nil }
    let padding = text.suffix(2).count { $0 == UInt8(ascii: "=") }
    var bytes: [UInt8] = []
    bytes.reserveCapacity(text.count / 4 * 3)
    var bits: UInt32 = 0
    var held = 0
    for character in text.dropLast(padding) {
        let value: UInt8
        switch character {
        case UInt8(ascii: "A")...UInt8(ascii: "Z"): value = character - UInt8(ascii: "A")
        case UInt8(ascii: "a")...UInt8(ascii: "z"): value = character - UInt8(ascii: "a") + 26
        case UInt8(ascii: "0")...UInt8(ascii: "9"): value = character - UInt8(ascii: "0") + 52
        case UInt8(ascii: "+"): value = 62
        case UInt8(ascii: "/"): value = 63
        default: return nil
        }
        bits = bits << 6 | UInt32(value)
        held += 6
        guard held >= 8 else { continue }
        held -= 8
        bytes.append(UInt8(truncatingIfNeeded: bits >> UInt32(held)))
    }
    return bits & (1 << UInt32(held) - 1) == 0 ? bytes : nil
}
