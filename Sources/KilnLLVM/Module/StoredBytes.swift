// Values as bytes, one after the other, for what is kept in files: numbers take eight bytes, little-endian, and lists begin with their length.
// A reader trusts nothing: past the end, or at a number that can't be, everything that it gives is nil.

/// Appends values to bytes.
package struct ByteWriter {
    package private(set) var bytes: [UInt8] = []

    package init() {}

    package mutating func append(_ number: Int) {
        withUnsafeBytes(of: UInt64(bitPattern: Int64(number)).littleEndian) { bytes.append(contentsOf: $0) }
    }

    package mutating func append(_ list: [Int]) {
        append(list.count)
        for number in list { append(number) }
    }

    package mutating func append(_ contents: [UInt8]) {
        append(contents.count)
        bytes.append(contentsOf: contents)
    }

    package mutating func append(_ text: String) { append(Array(text.utf8)) }
}

/// Reads what a `ByteWriter` wrote.
package struct ByteReader {
    private let bytes: [UInt8]
    private var position = 0

    package init(_ bytes: [UInt8]) { self.bytes = bytes }

    package var isAtEnd: Bool { position == bytes.count }

    package mutating func number() -> Int? {
        guard bytes.count - position >= 8 else { return nil }
        defer { position += 8 }
        return bytes.withUnsafeBytes { Int(Int64(bitPattern: UInt64(littleEndian: $0.loadUnaligned(fromByteOffset: position, as: UInt64.self)))) }
    }

    /// A number of things that take at least `size` bytes each.
    package mutating func count(size: Int = 1) -> Int? {
        guard let count = number(), count >= 0, count <= (bytes.count - position) / size else { return nil }
        return count
    }

    package mutating func numbers() -> [Int]? {
        guard let count = count(size: 8) else { return nil }
        var list: [Int] = []
        for _ in 0..<count { if let next = number() { list.append(next) } }
        return list
    }

    package mutating func contents() -> [UInt8]? {
        guard let count = count() else { return nil }
        defer { position += count }
        return Array(bytes[position..<position + count])
    }

    package mutating func text() -> String? { contents().map { String(decoding: $0, as: UTF8.self) } }
}
