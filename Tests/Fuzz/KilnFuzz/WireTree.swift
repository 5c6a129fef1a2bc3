// Protocol Buffers' wire format as a tree: bytes come in, and go out again with all lengths right, whatever has become of the fields.
// What lies between lengths is a message where it reads as one, and bytes otherwise.

/// A message's field.
struct WireField {
    var number: UInt64
    var value: Value

    enum Value {
        case varint(UInt64)
        /// A number of 4 or 8 bytes.
        case fixed([UInt8])
        case bytes([UInt8])
        case message([WireField])
    }
}

enum WireTree {
    private static let depthLimit = 24

    /// The fields of a message; nil where the bytes are none.
    static func parse(_ bytes: ArraySlice<UInt8>, depth: Int = 0) -> [WireField]? {
        var fields: [WireField] = []
        var rest = bytes
        while !rest.isEmpty {
            guard let tag = varint(&rest), tag >> 3 > 0, tag >> 3 < 1 << 29 else { return nil }
            let value: WireField.Value
            switch tag & 7 {
            case 0:
                guard let number = varint(&rest) else { return nil }
                value = .varint(number)
            case 1, 5:
                let count = tag & 7 == 1 ? 8 : 4
                guard rest.count >= count else { return nil }
                value = .fixed(Array(rest.prefix(count)))
                rest = rest.dropFirst(count)
            case 2:
                guard let count = varint(&rest), count <= UInt64(rest.count) else { return nil }
                let contents = rest.prefix(Int(count))
                // Names are no messages, though some of them read as one.
                let isText = contents.allSatisfy { $0 >= 0x20 && $0 < 0x7F }
                value = (isText || depth == depthLimit ? nil : parse(contents, depth: depth + 1)).map { .message($0) } ?? .bytes(Array(contents))
                rest = rest.dropFirst(Int(count))
            default: return nil
            }
            fields.append(WireField(number: tag >> 3, value: value))
        }
        return fields
    }

    static func encode(_ fields: [WireField]) -> [UInt8] {
        var bytes: [UInt8] = []
        for field in fields {
            switch field.value {
            case .varint(let number):
                append(field.number << 3, &bytes)
                append(number, &bytes)
            case .fixed(let number):
                append(field.number << 3 | (number.count == 8 ? 1 : 5), &bytes)
                bytes += number
            case .bytes(let contents): appendDelimited(field.number, contents, &bytes)
            case .message(let parts): appendDelimited(field.number, encode(parts), &bytes)
            }
        }
        return bytes
    }

    /// How many fields there are, those within fields included.
    static func count(_ fields: [WireField]) -> Int {
        fields.reduce(fields.count) { if case .message(let parts) = $1.value { $0 + count(parts) } else { $0 } }
    }

    /// Changes the message that holds field `place`, counted depth first, given that field's position in it.
    static func edit(_ fields: inout [WireField], at place: Int, _ change: (inout [WireField], Int) -> Void) {
        var left = place
        for position in fields.indices {
            if left == 0 { return change(&fields, position) }
            left -= 1
            guard case .message(var parts) = fields[position].value else { continue }
            let count = count(parts)
            guard left < count else {
                left -= count
                continue
            }
            edit(&parts, at: left, change)
            fields[position].value = .message(parts)
            return
        }
    }

    /// All fields, depth first.
    static func flattened(_ fields: [WireField]) -> [WireField] {
        fields.flatMap { field in if case .message(let parts) = field.value { [field] + flattened(parts) } else { [field] } }
    }

    private static func varint(_ bytes: inout ArraySlice<UInt8>) -> UInt64? {
        var value: UInt64 = 0
        for shift in stride(from: UInt64(0), to: 70, by: 7) {
            guard let byte = bytes.popFirst() else { return nil }
            value |= UInt64(byte & 0x7F) << shift
            if byte < 0x80 { return value }
        }
        return nil
    }

    private static func append(_ number: UInt64, _ bytes: inout [UInt8]) {
        var rest = number
        while rest >= 0x80 {
            bytes.append(UInt8(truncatingIfNeeded: rest) | 0x80)
            rest >>= 7
        }
        bytes.append(UInt8(rest))
    }

    private static func appendDelimited(_ number: UInt64, _ contents: [UInt8], _ bytes: inout [UInt8]) {
        append(number << 3 | 2, &bytes)
        append(UInt64(contents.count), &bytes)
        bytes += contents
    }
}
