// Files of named tensors in the safetensors format: bytes come in, named literals go out, and the other way round.
// The format: github.com/huggingface/safetensors, 8 bytes of length, a JSON header, then the tensors' data without gaps.
import KilnIR

/// Files of named tensors, as models' weights are kept.
public enum Safetensors {
    /// All tensors of a file, in the order of their data. They map the file: see `FileSystem.map` for what must not happen to it meanwhile.
    public static func read(_ path: String) throws -> [(name: String, value: Literal)] { try map(path).all }

    /// A file's tensors by name, without reading them.
    public static func map(_ path: String) throws -> SafetensorsFile { try SafetensorsFile(FileSystem.map(path), path) }

    /// - Parameter metadata: texts kept in the file beside the tensors.
    public static func write(_ tensors: [(name: String, value: Literal)], metadata: [String: String] = [:], to path: String) throws {
        try FileSystem.write(encode(tensors, metadata: metadata, file: path), to: path)
    }

    /// All tensors, in the order of their data. Throws `FileError` for whatever the format forbids.
    public static func parse(_ bytes: [UInt8], file: String = "<bytes>") throws -> [(name: String, value: Literal)] {
        try SafetensorsFile(ByteRegion(copying: bytes), file).all
    }

    /// The order of data that the format's own library writes: by this rank of the type, last first, then by name.
    private static let order: [DType] = [.bool, .u8, .i8, .f8e5m2, .f8e4m3, .i16, .u16, .f16, .bf16, .i32, .u32, .f32, .f64, .i64, .u64]

    /// The tensors as a file; the same tensors give the same bytes, in whatever order they come. Throws where two have one name.
    public static func encode(_ tensors: [(name: String, value: Literal)], metadata: [String: String] = [:],
                              file: String = "<bytes>") throws -> [UInt8] {
        var names: Set<String> = [SafetensorsHeader.metadataKey]
        for (name, _) in tensors where !names.insert(name).inserted {
            throw FileError(file, "the name '\(name)' is given twice or is the format's own", fix: "give each tensor a name of its own")
        }
        func rank(_ dtype: DType) -> Int { order.firstIndex(of: dtype) ?? 0 }
        let sorted = tensors.sorted { a, b in
            let (x, y) = (rank(a.value.dtype), rank(b.value.dtype))
            return x == y ? a.name.utf8.lexicographicallyPrecedes(b.name.utf8) : x > y
        }
        var members: [String] = []
        if !metadata.isEmpty {
            let texts = metadata.sorted { $0.key.utf8.lexicographicallyPrecedes($1.key.utf8) }
                .map { "\(JSONText.quoted($0.key)):\(JSONText.quoted($0.value))" }
            members.append("\(JSONText.quoted(SafetensorsHeader.metadataKey)):{\(texts.joined(separator: ","))}")
        }
        var offset = 0
        for (name, value) in sorted {
            let shape = value.shape.map(String.init).joined(separator: ",")
            members.append("\(JSONText.quoted(name)):{\"dtype\":\"\(SafetensorsHeader.name(of: value.dtype))\",\"shape\":[\(shape)],"
                + "\"data_offsets\":[\(offset),\(offset + value.byteCount)]}")
            offset += value.byteCount
        }
        var header = "{\(members.joined(separator: ","))}"
        header += String(repeating: " ", count: (8 - header.utf8.count % 8) % 8)
        var writer = ByteWriter()
        writer.bytes.reserveCapacity(8 + header.utf8.count + offset)
        writer.append(UInt64(header.utf8.count))
        writer.append(header)
        for (_, value) in sorted { value.withUnsafeBytes { writer.bytes.append(contentsOf: $0) } }
        return writer.bytes
    }
}

/// A mapped file of named tensors. May be used from several threads at once.
public final class SafetensorsFile: Sendable {
    private let region: ByteRegion
    private let path: String
    private let header: SafetensorsHeader
    private let positions: [String: Int]

    init(_ region: ByteRegion, _ path: String) throws {
        (self.region, self.path) = (region, path)
        header = try SafetensorsHeader(ByteReader(bytes: region.bytes, file: path))
        positions = Dictionary(uniqueKeysWithValues: header.entries.enumerated().map { ($0.element.name, $0.offset) })
    }

    /// In the order of their data.
    public var names: [String] { header.entries.map(\.name) }
    public var metadata: [String: String] { header.metadata }

    /// A tensor's type; nil where the file has none of this name.
    public func type(of name: String) -> TensorType? {
        positions[name].map { TensorType(header.entries[$0].dtype, header.entries[$0].shape.map { .constant($0) }) }
    }

    /// A tensor, whose bytes are the file's.
    public func literal(_ name: String) throws -> Literal {
        guard let position = positions[name] else {
            let known = names.prefix(8).joined(separator: ", ") + (names.count > 8 ? ", …" : "")
            throw FileError(path, "there is no tensor '\(name)'", fix: "ask for one of \(known)")
        }
        return literal(header.entries[position])
    }

    var all: [(name: String, value: Literal)] { header.entries.map { ($0.name, literal($0)) } }

    private func literal(_ entry: SafetensorsHeader.Entry) -> Literal { Literal(entry.dtype, entry.shape, region: region, offset: entry.start) }
}
