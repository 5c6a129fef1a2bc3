// Protocol Buffers' wire format, one message deep: which fields there are and where their contents lie, without decoding them.
// Bytes of which nothing is trusted come in.

import Kiln

/// A field of a message.
struct WireField {
    var number: Int
    /// The whole field, with its tag.
    var extent: Range<Int>
    /// The contents of one that is delimited by a length; nil for numbers.
    var contents: Range<Int>?
}

/// Reads the fields of the message that lies in a range of bytes.
struct WireReader {
    let bytes: UnsafeRawBufferPointer
    let file: String
    private var position: Int
    private let end: Int

    init(_ bytes: UnsafeRawBufferPointer, _ range: Range<Int>, file: String) {
        (self.bytes, self.file, position, end) = (bytes, file, range.lowerBound, range.upperBound)
    }

    /// The next field; nil at the message's end.
    mutating func next() throws -> WireField? {
        guard position < end else { return nil }
        let start = position
        let tag = try varint()
        guard tag >> 3 > 0, tag >> 3 < 1 << 29 else { throw damaged("has a field with the number \(tag >> 3)") }
        var contents: Range<Int>?
        switch tag & 7 {
        case 0: _ = try varint()
        case 1: try skip(8)
        case 2:
            let count = try varint()
            guard count <= UInt64(end - position) else { throw damaged("has a field of \(count) bytes where \(end - position) are left") }
            contents = position..<position + Int(count)
            position += Int(count)
        case 5: try skip(4)
        default: throw damaged("has a field of an unknown kind")
        }
        return WireField(number: Int(tag >> 3), extent: start..<position, contents: contents)
    }

    private mutating func skip(_ count: Int) throws {
        guard count <= end - position else { throw damaged("ends within a number") }
        position += count
    }

    private mutating func varint() throws -> UInt64 {
        var value: UInt64 = 0
        for shift in stride(from: UInt64(0), to: 70, by: 7) {
            guard position < end else { throw damaged("ends within a number") }
            let byte = bytes[position]
            position += 1
            value |= UInt64(byte & 0x7F) << shift
            if byte < 0x80 { return value }
        }
        throw damaged("has a number of more than 64 bits")
    }

    private func damaged(_ problem: String) -> FileError {
        FileError(file, offset: position, "the model \(problem)", fix: "export the model again; it is damaged or was cut short")
    }
}
