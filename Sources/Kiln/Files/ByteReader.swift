// Bytes of which nothing is trusted: offsets and sizes that a file claims come in, and what is really there goes out or an error.

/// A file's bytes with checked access. Numbers are little-endian.
struct ByteReader {
    let bytes: UnsafeRawBufferPointer
    let file: String
    /// Added to the offsets in messages: where these bytes begin in the file.
    var base = 0

    func error(_ problem: String, at offset: Int, fix: String = FileError.again) -> FileError {
        FileError(file, offset: base &+ offset, problem, fix: fix)
    }

    /// `count` bytes at an offset.
    func slice(at offset: Int, count: Int, _ what: String) throws -> UnsafeRawBufferPointer {
        guard offset >= 0, offset <= bytes.count, count >= 0, count <= bytes.count - offset else {
            throw error("\(what) takes \(count) bytes here, but there are \(max(0, bytes.count - max(0, offset)))", at: offset)
        }
        return UnsafeRawBufferPointer(rebasing: bytes[offset..<offset + count])
    }

    func integer<T: FixedWidthInteger>(_ type: T.Type, at offset: Int, _ what: String) throws -> T {
        T(littleEndian: try slice(at: offset, count: MemoryLayout<T>.size, what).loadUnaligned(as: T.self))
    }

    /// An unsigned number as an Int; sizes beyond are no sizes of anything.
    func size<T: FixedWidthInteger & UnsignedInteger>(_ type: T.Type, at offset: Int, _ what: String) throws -> Int {
        let number = try integer(type, at: offset, what)
        guard let size = Int(exactly: number) else { throw error("\(what) is \(number), more than any file holds", at: offset) }
        return size
    }
}

/// Bytes to be written. Numbers are little-endian.
struct ByteWriter {
    var bytes: [UInt8] = []

    mutating func append<T: FixedWidthInteger>(_ number: T) { withUnsafeBytes(of: number.littleEndian) { bytes.append(contentsOf: $0) } }
    mutating func append(_ text: String) { bytes.append(contentsOf: text.utf8) }
}

/// The number of bytes of a dense array, nil where it can't be counted; empty dimensions don't hide the others.
func arrayByteCount(_ dtypeBytes: Int, _ shape: [Int]) -> Int? {
    var total = dtypeBytes
    for size in shape {
        let (product, overflow) = total.multipliedReportingOverflow(by: max(size, 1))
        if size < 0 || overflow { return nil }
        total = product
    }
    return shape.contains(0) ? 0 : total
}
