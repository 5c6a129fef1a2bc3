// Reads zip archives: bytes come in, the list of members goes out, each with where its data lies. Nothing is unpacked here.
// The format: PKWARE's APPNOTE.TXT 6.3, without encryption and several disks; zip64 is read.

/// A zip archive's directory.
struct ZipArchive {
    struct Member {
        var name: String
        /// 0 stored, 8 deflated.
        var method: Int
        var checksum: UInt32
        var compressedSize: Int
        var size: Int
        /// Where its local header begins.
        var headerOffset: Int
        /// Where its entry in the directory begins, for messages.
        var entryOffset: Int
    }

    let reader: ByteReader
    private(set) var members: [Member] = []

    private static let localSignature: UInt32 = 0x0403_4B50
    private static let entrySignature: UInt32 = 0x0201_4B50
    private static let endSignature: UInt32 = 0x0605_4B50
    private static let locatorSignature: UInt32 = 0x0706_4B50
    private static let end64Signature: UInt32 = 0x0606_4B50
    private static let deflateRatio = 1032

    init(_ reader: ByteReader) throws {
        self.reader = reader
        let directory = try Self.directory(reader)
        var offset = directory.offset
        var total = 0
        for _ in 0..<directory.count {
            let (member, next) = try member(at: offset)
            guard next <= directory.end else { throw reader.error("the directory has fewer members than it says", at: offset) }
            // Members that share their data would unpack to more than any honest file of this size.
            total += member.compressedSize
            guard total <= reader.bytes.count else { throw reader.error("the members overlap", at: offset) }
            members.append(member)
            offset = next
        }
    }

    /// Finds the directory through the record at the archive's end.
    private static func directory(_ reader: ByteReader) throws -> (offset: Int, end: Int, count: Int) {
        let end = try endRecord(reader)
        var count = Int(try reader.integer(UInt16.self, at: end + 10, "the number of members"))
        var size = Int(try reader.integer(UInt32.self, at: end + 12, "the directory's size"))
        var offset = Int(try reader.integer(UInt32.self, at: end + 16, "the directory's place"))
        if count == 0xFFFF || size == 0xFFFF_FFFF || offset == 0xFFFF_FFFF, end >= 20,
            try reader.integer(UInt32.self, at: end - 20, "the zip64 record's place") == locatorSignature {
            let end64 = try reader.size(UInt64.self, at: end - 12, "the zip64 record's place")
            guard try reader.integer(UInt32.self, at: end64, "the zip64 record") == end64Signature else {
                throw reader.error("there is no zip64 record here", at: end64)
            }
            // Every field of the record lies behind its start, which is in the file: these sums don't overflow.
            count = try reader.size(UInt64.self, at: end64 + 32, "the number of members")
            size = try reader.size(UInt64.self, at: end64 + 40, "the directory's size")
            offset = try reader.size(UInt64.self, at: end64 + 48, "the directory's place")
        }
        _ = try reader.slice(at: offset, count: size, "the directory")
        guard count <= size / 46 else { throw reader.error("\(count) members don't fit into a directory of \(size) bytes", at: offset) }
        return (offset, offset + size, count)
    }

    private static func endRecord(_ reader: ByteReader) throws -> Int {
        let last = reader.bytes.count - 22
        var place = last
        while place >= 0, place >= last - 0xFFFF {
            if try reader.integer(UInt32.self, at: place, "the end record") == endSignature,
                place + 22 + Int(try reader.integer(UInt16.self, at: place + 20, "the comment")) == reader.bytes.count { return place }
            place -= 1
        }
        throw reader.error("this is no zip archive: its end record is missing", at: max(0, last), fix: "write it with numpy.savez; " + FileError.again)
    }

    private func member(at offset: Int) throws -> (Member, next: Int) {
        let entry = try reader.slice(at: offset, count: 46, "an entry of the directory")
        let fixed = ByteReader(bytes: entry, file: reader.file, base: reader.base + offset)
        guard try fixed.integer(UInt32.self, at: 0, "the entry") == Self.entrySignature else {
            throw reader.error("there is no entry of the directory here", at: offset)
        }
        let lengths = try [28, 30, 32].map { Int(try fixed.integer(UInt16.self, at: $0, "a length")) }
        let rest = try reader.slice(at: offset + 46, count: lengths[0] + lengths[1], "the member's name")
        var member = Member(name: String(decoding: rest[..<lengths[0]], as: UTF8.self),
                            method: Int(try fixed.integer(UInt16.self, at: 10, "the method")),
                            checksum: try fixed.integer(UInt32.self, at: 16, "the checksum"),
                            compressedSize: Int(try fixed.integer(UInt32.self, at: 20, "the compressed size")),
                            size: Int(try fixed.integer(UInt32.self, at: 24, "the size")),
                            headerOffset: Int(try fixed.integer(UInt32.self, at: 42, "the place")), entryOffset: offset)
        let extra = UnsafeRawBufferPointer(rebasing: rest[lengths[0]...])
        try widen(&member, ByteReader(bytes: extra, file: reader.file, base: reader.base + offset + 46 + lengths[0]))
        if try fixed.integer(UInt16.self, at: 8, "the flags") & 1 != 0 {
            throw reader.error("'\(member.name)' is encrypted", at: offset, fix: "write the archive without a password")
        }
        try check(member)
        return (member, offset + 46 + lengths[0] + lengths[1] + lengths[2])
    }

    /// Takes sizes that don't fit 32 bits from the zip64 field among the extra fields.
    private func widen(_ member: inout Member, _ extra: ByteReader) throws {
        var place = 0
        while place + 4 <= extra.bytes.count {
            let kind = try extra.integer(UInt16.self, at: place, "an extra field")
            let length = Int(try extra.integer(UInt16.self, at: place + 2, "an extra field"))
            if kind == 1 {
                let field = ByteReader(bytes: try extra.slice(at: place + 4, count: length, "the zip64 field"), file: extra.file,
                                       base: extra.base + place + 4)
                var next = 0
                for part in [\Member.size, \.compressedSize, \.headerOffset] where member[keyPath: part] == 0xFFFF_FFFF {
                    member[keyPath: part] = try field.size(UInt64.self, at: next, "a size of the zip64 field")
                    next += 8
                }
                return
            }
            place += 4 + length
        }
    }

    private func check(_ member: Member) throws {
        switch member.method {
        case 0:
            guard member.size == member.compressedSize else {
                throw reader.error("'\(member.name)' is stored, but its two sizes differ", at: member.entryOffset)
            }
        case 8:
            // Deflate can't pack tighter; a size beyond it is a lie that nobody should reserve memory for.
            let most = member.compressedSize.multipliedReportingOverflow(by: Self.deflateRatio)
            guard most.overflow || member.size <= most.partialValue else {
                throw reader.error("'\(member.name)' can't be \(member.size) bytes: it is packed into \(member.compressedSize)", at: member.entryOffset)
            }
        default:
            throw reader.error("'\(member.name)' is packed by method \(member.method); only stored and deflated members are read",
                               at: member.entryOffset, fix: "write the archive with numpy.savez or numpy.savez_compressed")
        }
        guard member.compressedSize <= reader.bytes.count else {
            throw reader.error("'\(member.name)' is said to take \(member.compressedSize) bytes, more than the file has", at: member.entryOffset)
        }
    }

    /// A member's data as it lies in the file, and where.
    func data(of member: Member) throws -> ByteReader {
        guard try reader.integer(UInt32.self, at: member.headerOffset, "'\(member.name)'") == Self.localSignature else {
            throw reader.error("there is no header of '\(member.name)' here", at: member.headerOffset)
        }
        let header = try reader.slice(at: member.headerOffset, count: 30, "the header of '\(member.name)'")
        let lengths = Int(header.loadUnaligned(fromByteOffset: 26, as: UInt16.self).littleEndian)
            + Int(header.loadUnaligned(fromByteOffset: 28, as: UInt16.self).littleEndian)
        let start = member.headerOffset + 30 + lengths
        return ByteReader(bytes: try reader.slice(at: start, count: member.compressedSize, "'\(member.name)'"),
                          file: "\(reader.file)/\(member.name)", base: reader.base + start)
    }
}
