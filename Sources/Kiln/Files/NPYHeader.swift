// The head of a .npy file: bytes come in, the array's type and layout go out; and raw data of that layout becomes a literal.
import KilnIR

/// What a .npy file says of its array.
struct NPYHeader {
    static let magic: [UInt8] = [0x93] + Array("NUMPY".utf8)
    /// Longer headers are nobody's; NumPy itself stops at 10,000 characters.
    static let longest = 1 << 20
    static let greatestRank = 64

    /// The type of the numbers; of texts that of their bytes or, in u32, of their code points.
    var dtype: DType
    /// How many of them make up a text, where the elements are texts.
    var textLength: Int?
    var isBigEndian: Bool
    var isFortranOrder: Bool
    var shape: [Int]
    var dataOffset: Int
    var byteCount: Int

    /// Bytes from the file's start to the array's, from its first 12 bytes.
    static func length(_ reader: ByteReader) throws -> Int {
        guard reader.bytes.count >= 10, reader.bytes.starts(with: magic) else {
            throw reader.error("this is no .npy array: it does not begin with \\x93NUMPY", at: 0, fix: "write it with numpy.save")
        }
        let version = reader.bytes[6]
        guard version >= 1, version <= 3 else {
            throw reader.error("version \(version) of the .npy format is not known", at: 6, fix: "write version 1, 2 or 3")
        }
        let length = version == 1 ? 10 + Int(try reader.integer(UInt16.self, at: 8, "the header's length"))
            : 12 + Int(try reader.integer(UInt32.self, at: 8, "the header's length"))
        guard length <= longest else { throw reader.error("the header takes \(length) bytes; at most \(longest) are read", at: 8) }
        return length
    }

    init(_ reader: ByteReader) throws {
        let length = try Self.length(reader)
        let start = reader.bytes[6] == 1 ? 10 : 12
        let text = try reader.slice(at: start, count: length - start, "the header")
        var parser = NPYHeaderParser(reader: ByteReader(bytes: text, file: reader.file, base: reader.base + start))
        let fields = try parser.fields()
        (dtype, textLength, isBigEndian) = try Self.element(fields.descriptor, parser)
        isFortranOrder = fields.isFortranOrder
        shape = fields.shape
        dataOffset = length
        guard let bytes = arrayByteCount(dtype.byteCount, shape + (textLength.map { [$0] } ?? [])) else {
            throw parser.reader.error("an array of shape \(shape) has more bytes than can be counted", at: 0)
        }
        byteCount = bytes
    }

    /// The element type of a descriptor such as `<f4`.
    private static func element(_ descriptor: String, _ parser: NPYHeaderParser) throws -> (DType, textLength: Int?, isBigEndian: Bool) {
        let names: [String: DType] = ["b1": .bool, "i1": .i8, "i2": .i16, "i4": .i32, "i8": .i64, "u1": .u8, "u2": .u16, "u4": .u32,
                                      "u8": .u64, "f2": .f16, "f4": .f32, "f8": .f64]
        let order = descriptor.utf8.first ?? 0
        if let kind = descriptor.dropFirst().first, "SU".contains(kind), [UInt8](("<>=|").utf8).contains(order),
            let length = Int(descriptor.dropFirst(2)), length > 0 {
            return (kind == "S" ? .u8 : .u32, length, order == UInt8(ascii: ">") && kind == "U")
        }
        guard [UInt8](("<>=|").utf8).contains(order), let dtype = names[String(descriptor.dropFirst())] else {
            let kinds: [Character: String] = ["c": "complex numbers", "U": "texts of no length", "S": "texts of no length", "O": "Python objects", "M": "dates",
                                              "m": "durations", "V": "raw or structured records"]
            let kind = descriptor.dropFirst().first.flatMap { kinds[$0] }
            throw parser.reader.error("its elements are '\(descriptor.prefix(40))'\(kind.map { " (\($0))" } ?? ""), which Kiln has no type for", at: 0,
                                      fix: "convert it first, for example with array.astype('float32')")
        }
        return (dtype, nil, order == UInt8(ascii: ">") && dtype.byteCount > 1)
    }

    func wrongSize(_ actual: Int, _ reader: ByteReader) -> FileError {
        let shapeText = shape.map(String.init).joined(separator: ", ")
        return reader.error("\(dtype)[\(shapeText)] takes \(byteCount) bytes, but there are \(actual)", at: dataOffset)
    }

    /// The array from data of this layout that begins at `offset`. What is laid out as literals are shares the region.
    func literal(_ region: ByteRegion, at offset: Int) -> Literal {
        if isBigEndian || isTransposed || textLength != nil && dtype == .u32 { return literal([UInt8](region.bytes[offset..<offset + byteCount])) }
        return Literal(dtype, shape + (textLength.map { [$0] } ?? []), region: region, offset: offset)
    }

    private var isTransposed: Bool { isFortranOrder && shape.count { $0 > 1 } > 1 }

    /// The array from data of this layout, `byteCount` bytes.
    func literal(_ data: [UInt8]) -> Literal {
        var data = data
        if isBigEndian { Self.swapBytes(&data, dtype.byteCount) }
        if dtype == .bool { for position in data.indices where data[position] > 1 { data[position] = 1 } }
        if isTransposed { data = rowMajor(data) }
        guard let textLength else { return Literal(dtype, shape, bytes: data) }
        let rows = Literal(dtype, shape + [textLength], bytes: data)
        return dtype == .u32 ? Self.encoded(rows) : rows
    }

    /// Rows of code points as rows of UTF-8; what is no character is replaced.
    private static func encoded(_ rows: Literal) -> Literal {
        let length = rows.shape.last!, shape = Array(rows.shape.dropLast())
        let texts = (0..<shape.reduce(1, *)).map { number -> [UInt8] in
            let codes = (number * length..<(number + 1) * length).map { UInt32(truncatingIfNeeded: rows[$0].int64) }
            let end = codes.lastIndex { $0 != 0 }.map { $0 + 1 } ?? 0
            return codes[..<end].flatMap { String(Unicode.Scalar($0) ?? "\u{FFFD}").utf8 }
        }
        return Literal(utf8: texts, shape)
    }

    private static func swapBytes(_ data: inout [UInt8], _ width: Int) {
        for start in stride(from: 0, to: data.count, by: width) { data[start..<start + width].reverse() }
    }

    /// The elements in row-major order, from column-major.
    private func rowMajor(_ data: [UInt8]) -> [UInt8] {
        guard !data.isEmpty else { return data }
        let width = dtype.byteCount * (textLength ?? 1)
        var strides = [Int](repeating: width, count: shape.count)
        for axis in 1..<shape.count { strides[axis] = strides[axis - 1] * shape[axis - 1] }
        return [UInt8](unsafeUninitializedCapacity: data.count) { target, count in
            var index = [Int](repeating: 0, count: shape.count)
            var source = 0
            for place in stride(from: 0, to: data.count, by: width) {
                for byte in 0..<width { target[place + byte] = data[source + byte] }
                var axis = shape.count - 1
                while axis >= 0 {
                    index[axis] += 1
                    source += strides[axis]
                    if index[axis] < shape[axis] { break }
                    source -= strides[axis] * shape[axis]
                    index[axis] = 0
                    axis -= 1
                }
            }
            count = data.count
        }
    }
}

/// Parses the header's text, a Python dictionary with three known keys.
struct NPYHeaderParser {
    let reader: ByteReader
    private var position = 0

    init(reader: ByteReader) { self.reader = reader }

    mutating func fields() throws -> (descriptor: String, isFortranOrder: Bool, shape: [Int]) {
        var descriptor: String?
        var isFortranOrder: Bool?
        var shape: [Int]?
        try expect("{")
        while !take("}") {
            let start = position
            let key = try string()
            try expect(":")
            switch key {
            case "descr" where descriptor == nil: descriptor = try string()
            case "fortran_order" where isFortranOrder == nil: isFortranOrder = try truth()
            case "shape" where shape == nil: shape = try tuple()
            default: throw reader.error("the header has an unknown or repeated key '\(key.prefix(40))'", at: start)
            }
            if !take(",") {
                try expect("}")
                break
            }
        }
        skipSpace()
        guard position == reader.bytes.count else { throw reader.error("something follows the header's dictionary", at: position) }
        guard let descriptor, let isFortranOrder, let shape else {
            throw reader.error("the header lacks 'descr', 'fortran_order' or 'shape'", at: 0)
        }
        return (descriptor, isFortranOrder, shape)
    }

    private var current: UInt8? { position < reader.bytes.count ? reader.bytes[position] : nil }

    private mutating func skipSpace() {
        while let byte = current, byte == 0x20 || byte == 0x0A || byte == 0x0D || byte == 0x09 { position += 1 }
    }

    private mutating func take(_ text: StaticString) -> Bool {
        skipSpace()
        let word = UnsafeRawBufferPointer(start: text.utf8Start, count: text.utf8CodeUnitCount)
        guard reader.bytes[position...].starts(with: word) else { return false }
        position += word.count
        return true
    }

    private mutating func expect(_ text: StaticString) throws {
        guard take(text) else { throw reader.error("the header has no `\(text)` where one must be", at: position) }
    }

    private mutating func string() throws -> String {
        skipSpace()
        if current == UInt8(ascii: "[") {
            throw reader.error("its elements are structured records, which Kiln has no type for", at: position,
                               fix: "save each field as an array of its own")
        }
        guard let quote = current, quote == UInt8(ascii: "'") || quote == UInt8(ascii: "\"") else {
            throw reader.error("the header has no text where one must be", at: position)
        }
        let start = position + 1
        guard let end = reader.bytes[start...].firstIndex(of: quote) else { throw reader.error("a text in the header has no end", at: position) }
        position = end + 1
        return String(decoding: reader.bytes[start..<end], as: UTF8.self)
    }

    private mutating func truth() throws -> Bool {
        if take("True") { return true }
        try expect("False")
        return false
    }

    private mutating func tuple() throws -> [Int] {
        var sizes: [Int] = []
        try expect("(")
        while !take(")") {
            guard sizes.count < NPYHeader.greatestRank else {
                throw reader.error("the array has more than \(NPYHeader.greatestRank) dimensions", at: position)
            }
            sizes.append(try size())
            if !take(",") {
                try expect(")")
                break
            }
        }
        return sizes
    }

    private mutating func size() throws -> Int {
        skipSpace()
        let start = position
        var size = 0
        while let byte = current, byte >= UInt8(ascii: "0"), byte <= UInt8(ascii: "9") {
            let (tens, overflow) = size.multipliedReportingOverflow(by: 10)
            let (next, carry) = tens.addingReportingOverflow(Int(byte - UInt8(ascii: "0")))
            guard !overflow, !carry else { throw reader.error("a size in the shape is more than can be counted", at: start) }
            size = next
            position += 1
        }
        guard position > start else { throw reader.error("the shape has no size where one must be", at: start) }
        // Python 2 wrote its long integers so.
        if current == UInt8(ascii: "L") { position += 1 }
        return size
    }
}
