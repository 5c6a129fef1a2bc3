// NumPy's .npz files, zip archives of .npy arrays: bytes come in, named literals go out, and the other way round.
import KilnIR

/// Files of named arrays, as `numpy.savez` and `numpy.savez_compressed` write them.
public enum NPZ {
    /// A file's arrays, which map the file: see `FileSystem.map` for what must not happen to it while they are in use.
    public static func read(_ path: String) throws -> [(name: String, value: Literal)] {
        try parse(FileSystem.map(path), file: path)
    }

    /// - Parameters:
    ///   - texts: the names of those whose last axis holds texts (see `NPY`).
    ///   - isCompressed: deflates members, as `savez_compressed` does.
    public static func write(_ arrays: [(name: String, value: Literal)], to path: String, texts: Set<String> = [], isCompressed: Bool = true) throws {
        try FileSystem.write(encode(arrays, file: path, texts: texts, isCompressed: isCompressed), to: path)
    }

    /// Reads all arrays, in the archive's order. Throws `FileError` where anything in it is not whole or not an array; memory
    /// is reserved only for sizes that the archive, the array's header and the packed data agree on.
    public static func parse(_ bytes: [UInt8], file: String = "<bytes>") throws -> [(name: String, value: Literal)] {
        try parse(ByteRegion(copying: bytes), file: file)
    }

    private static func parse(_ region: ByteRegion, file: String) throws -> [(name: String, value: Literal)] {
        try withExtendedLifetime(region) {
            let archive = try ZipArchive(ByteReader(bytes: region.bytes, file: file))
            var arrays: [(name: String, value: Literal)] = []
            var names: Set<String> = []
            for member in archive.members {
                // Folders are nothing of their own.
                if member.name.hasSuffix("/"), member.size == 0 { continue }
                guard member.name.hasSuffix(".npy") else {
                    throw archive.reader.error("'\(member.name)' is no .npy array", at: member.entryOffset, fix: "keep nothing but arrays in the archive")
                }
                let name = String(member.name.dropLast(4))
                guard names.insert(name).inserted else {
                    throw archive.reader.error("there are two arrays named '\(name)'", at: member.entryOffset, fix: "give each a name of its own")
                }
                arrays.append((name, try literal(member, in: archive, region)))
            }
            return arrays
        }
    }

    private static func literal(_ member: ZipArchive.Member, in archive: ZipArchive, _ region: ByteRegion) throws -> Literal {
        let data = try archive.data(of: member)
        if member.method == 0 {
            guard Deflate.checksum(of: data.bytes) == member.checksum else { throw data.error("the checksum does not fit", at: 0) }
            let header = try NPYHeader(data)
            let rest = member.size - header.dataOffset
            guard rest == header.byteCount else { throw header.wrongSize(rest, data) }
            return header.literal(region, at: data.base + header.dataOffset)
        }
        let inflater = try Inflater(data)
        let (header, text) = try header(inflater, data)
        let rest = member.size - text.count
        guard rest == header.byteCount else { throw header.wrongSize(rest, data) }
        let elements = try inflater.read(rest)
        guard elements.count == rest, try inflater.isFinished() else {
            throw data.error("the packed data is not the \(member.size) bytes that the directory says", at: 0)
        }
        guard inflater.checksum == member.checksum else { throw data.error("the checksum does not fit", at: 0) }
        return header.literal(elements)
    }

    /// Unpacks an array's header and no more.
    private static func header(_ inflater: Inflater, _ data: ByteReader) throws -> (NPYHeader, text: [UInt8]) {
        var text = try inflater.read(12)
        let length = try text.withUnsafeBytes { try NPYHeader.length(ByteReader(bytes: $0, file: data.file)) }
        // The shortest header that is one has more than these 12 bytes.
        text += try inflater.read(max(0, length - text.count))
        return (try text.withUnsafeBytes { try NPYHeader(ByteReader(bytes: $0, file: data.file)) }, text)
    }

    /// The arrays as an archive; the same arrays give the same bytes. Throws where two have one name.
    public static func encode(_ arrays: [(name: String, value: Literal)], file: String = "<bytes>", texts: Set<String> = [],
                              isCompressed: Bool = true) throws -> [UInt8] {
        try encode(arrays, file: file, texts: texts, isCompressed: isCompressed, zip64From: 0xFFFF_FFFF)
    }

    /// What a member is called that holds an array of this name: the name itself, unless whoever unpacks the archive would write outside of
    /// the folder. A leading slash is left out, and two dots for the folder above become underscores, as do characters that no name needs.
    public static func memberName(_ name: String) -> String {
        let clean = String(String.UnicodeScalarView(name.unicodeScalars.map { $0.value < 0x20 || $0.value == 0x7F || $0 == "\\" ? "_" : $0 }))
        let parts = clean.split(separator: "/", omittingEmptySubsequences: true).map { $0 == ".." ? "__" : $0 == "." ? "_" : String($0) }
        return parts.isEmpty ? "_" : parts.joined(separator: "/")
    }

    /// - Parameter limit: from which on sizes are written in 64 bits.
    package static func encode(_ arrays: [(name: String, value: Literal)], file: String = "<bytes>", texts: Set<String> = [], isCompressed: Bool,
                               zip64From limit: Int) throws -> [UInt8] {
        var writer = ZipWriter(limit: limit)
        var names: Set<String> = []
        for (name, value) in arrays {
            let member = memberName(name)
            guard member.utf8.count <= 0xFFFF - 4, names.insert(member).inserted else {
                throw FileError(file, "the name '\(name.prefix(80))' is given twice or is too long", fix: "give each array a short name of its own")
            }
            try writer.append(member + ".npy", NPY.encode(value, areTexts: texts.contains(name)), isCompressed: isCompressed)
        }
        return writer.finish()
    }
}
