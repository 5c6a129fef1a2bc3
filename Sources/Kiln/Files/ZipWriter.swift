// Writes zip archives: names and bytes come in, an archive goes out. The same input gives the same bytes: no dates, no owners.

/// An archive under construction.
struct ZipWriter {
    private var writer = ByteWriter()
    private var directory = ByteWriter()
    private var count = 0
    /// From this size on, sizes and places are written as zip64; tests lower it.
    private let limit: Int

    init(limit: Int = 0xFFFF_FFFF) { self.limit = limit }

    /// Adds a member: deflated where that is asked for and makes it smaller.
    mutating func append(_ name: String, _ bytes: [UInt8], isCompressed: Bool) throws {
        let packed = isCompressed ? try Deflate.pack(bytes) : bytes
        let method: UInt16 = packed.count < bytes.count ? 8 : 0
        let data = method == 8 ? packed : bytes
        let place = writer.bytes.count
        let checksum = Deflate.checksum(of: bytes)
        let sizesAreWide = bytes.count >= limit || data.count >= limit
        var field = ByteWriter()
        if sizesAreWide {
            field.append(UInt16(1))
            field.append(UInt16(16))
            field.append(UInt64(bytes.count))
            field.append(UInt64(data.count))
        }
        writer.append(UInt32(0x0403_4B50))
        head(&writer, method, checksum, sizesAreWide, data.count, bytes.count, name, field.bytes.count)
        writer.append(name)
        writer.bytes += field.bytes + data
        entry(name, method, checksum, data.count, bytes.count, place)
        count += 1
    }

    /// What local headers and the directory's entries have in common.
    private func head(_ writer: inout ByteWriter, _ method: UInt16, _ checksum: UInt32, _ isWide: Bool, _ packed: Int, _ size: Int,
                      _ name: String, _ extra: Int) {
        writer.append(UInt16(isWide ? 45 : 20))
        // Names are UTF-8.
        writer.append(UInt16(1 << 11))
        writer.append(method)
        // Midnight of January 1st, 1980: the earliest date there is.
        writer.append(UInt16(0))
        writer.append(UInt16(0x21))
        writer.append(checksum)
        writer.append(isWide ? .max : UInt32(packed))
        writer.append(isWide ? .max : UInt32(size))
        writer.append(UInt16(name.utf8.count))
        writer.append(UInt16(extra))
    }

    private mutating func entry(_ name: String, _ method: UInt16, _ checksum: UInt32, _ packed: Int, _ size: Int, _ place: Int) {
        let sizesAreWide = packed >= limit || size >= limit
        let placeIsWide = place >= limit
        var field = ByteWriter()
        if sizesAreWide || placeIsWide {
            field.append(UInt16(1))
            field.append(UInt16((sizesAreWide ? 16 : 0) + (placeIsWide ? 8 : 0)))
            if sizesAreWide {
                field.append(UInt64(size))
                field.append(UInt64(packed))
            }
            if placeIsWide { field.append(UInt64(place)) }
        }
        directory.append(UInt32(0x0201_4B50))
        directory.append(UInt16(45))
        head(&directory, method, checksum, sizesAreWide, packed, size, name, field.bytes.count)
        directory.append(UInt16(0))
        directory.append(UInt16(0))
        directory.append(UInt16(0))
        directory.append(UInt32(0))
        directory.append(placeIsWide ? .max : UInt32(place))
        directory.append(name)
        directory.bytes += field.bytes
    }

    /// The whole archive.
    func finish() -> [UInt8] {
        var result = writer
        let place = writer.bytes.count
        let size = directory.bytes.count
        let isWide = place >= limit || size >= limit || count >= 0xFFFF
        result.bytes += directory.bytes
        if isWide {
            let record = result.bytes.count
            result.append(UInt32(0x0606_4B50))
            result.append(UInt64(44))
            result.append(UInt16(45))
            result.append(UInt16(45))
            result.append(UInt32(0))
            result.append(UInt32(0))
            result.append(UInt64(count))
            result.append(UInt64(count))
            result.append(UInt64(size))
            result.append(UInt64(place))
            result.append(UInt32(0x0706_4B50))
            result.append(UInt32(0))
            result.append(UInt64(record))
            result.append(UInt32(1))
        }
        result.append(UInt32(0x0605_4B50))
        result.append(UInt32(0))
        for _ in 0..<2 { result.append(isWide ? .max : UInt16(count)) }
        result.append(isWide ? .max : UInt32(size))
        result.append(isWide ? .max : UInt32(place))
        result.append(UInt16(0))
        return result.bytes
    }
}
