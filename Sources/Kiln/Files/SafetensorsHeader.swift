// The head of a safetensors file: bytes come in, the tensors' names, types and places go out, checked against the file's size.
import KilnIR

/// What a safetensors file says of its tensors.
struct SafetensorsHeader: Sendable {
    struct Entry: Sendable {
        var name: String
        var dtype: DType
        var shape: [Int]
        /// In the file.
        var start: Int
        var byteCount: Int
    }

    static let metadataKey = "__metadata__"
    static let greatestRank = 64
    /// The format's own limit.
    static let longest = 100_000_000

    /// In the order of their data.
    private(set) var entries: [Entry] = []
    private(set) var metadata: [String: String] = [:]

    private static let dtypes: [String: DType] = [
        "BOOL": .bool, "I8": .i8, "I16": .i16, "I32": .i32, "I64": .i64, "U8": .u8, "U16": .u16, "U32": .u32, "U64": .u64,
        "F16": .f16, "BF16": .bf16, "F32": .f32, "F64": .f64, "F8_E4M3": .f8e4m3, "F8_E5M2": .f8e5m2,
    ]

    static func name(of dtype: DType) -> String {
        let name = dtype.name.uppercased()
        return DType.floats8.contains(dtype) ? "F8_" + name.dropFirst(2) : name
    }

    init(_ reader: ByteReader) throws {
        let length = try reader.size(UInt64.self, at: 0, "the header's length")
        guard length <= Self.longest else {
            throw reader.error("the header would take \(length) bytes; this is no safetensors file", at: 0, fix: "check that the file is what its name says")
        }
        let text = try reader.slice(at: 8, count: length, "the header")
        var scanner = JSONText(ByteReader(bytes: text, file: reader.file, base: reader.base + 8))
        let dataStart = 8 + length
        let room = reader.bytes.count - dataStart
        var names: Set<String> = []
        try scanner.object { scanner, key in
            guard names.insert(key).inserted else { throw scanner.error("'\(key.prefix(80))' is there twice") }
            if key == Self.metadataKey {
                try scanner.object { scanner, key in self.metadata[key] = try scanner.string() }
            } else {
                self.entries.append(try Self.entry(key, &scanner, dataStart, room))
            }
        }
        try scanner.end()
        // Empty tensors come before those that begin at the same place.
        entries.sort { ($0.start, $0.byteCount, $0.name) < ($1.start, $1.byteCount, $1.name) }
        var next = dataStart
        for entry in entries {
            guard entry.start == next else {
                throw reader.error("'\(entry.name)' begins at byte \(entry.start), where the tensors before it end at \(next)", at: entry.start)
            }
            next += entry.byteCount
        }
        guard next == reader.bytes.count else { throw reader.error("\(reader.bytes.count - next) bytes belong to no tensor", at: next) }
    }

    private static func entry(_ name: String, _ scanner: inout JSONText, _ dataStart: Int, _ room: Int) throws -> Entry {
        var dtype: DType?
        var shape: [Int]?
        var offsets: [Int]?
        let start = scanner
        try scanner.object { scanner, key in
            switch key {
            case "dtype" where dtype == nil:
                let text = try scanner.string()
                guard let known = dtypes[text] else {
                    throw scanner.error("'\(name.prefix(80))' has elements of type '\(text.prefix(40))', which Kiln has no type for",
                                        fix: "convert the tensor first, to F32 for example")
                }
                dtype = known
            case "shape" where shape == nil: shape = try scanner.sizes(atMost: greatestRank)
            case "data_offsets" where offsets == nil: offsets = try scanner.sizes(atMost: 2)
            default: throw scanner.error("'\(name.prefix(80))' has an unknown or repeated field '\(key.prefix(40))'")
            }
        }
        guard let dtype, let shape, let offsets, offsets.count == 2 else {
            throw start.error("'\(name.prefix(80))' lacks its dtype, shape or two data_offsets")
        }
        guard let byteCount = arrayByteCount(dtype.byteCount, shape) else {
            throw start.error("'\(name.prefix(80))' has a shape with more elements than can be counted")
        }
        guard offsets[0] <= offsets[1], offsets[1] <= room, offsets[1] - offsets[0] == byteCount else {
            throw start.error("'\(name.prefix(80))', \(dtype)[\(shape.map(String.init).joined(separator: ", "))], takes \(byteCount) bytes; "
                + "its data_offsets are \(offsets[0]) to \(offsets[1]), of \(room)")
        }
        return Entry(name: name, dtype: dtype, shape: shape, start: dataStart + offsets[0], byteCount: byteCount)
    }
}
