// NumPy's .npy files: bytes come in, a literal goes out, and the other way round.
// The format: numpy.org/doc/stable/reference/generated/numpy.lib.format.html, versions 1 to 3.
import KilnIR

/// Files of one array, as `numpy.save` writes them.
///
/// Texts, of NumPy's types 'S' and 'U', are read as u8 with one axis more, the last: their UTF-8, filled up with zeros (`Literal.texts`).
public enum NPY {
    /// A file's array, which maps the file: see `FileSystem.map` for what must not happen to it while the literal is in use.
    public static func read(_ path: String) throws -> Literal { try parse(FileSystem.map(path), file: path) }

    /// - Parameter areTexts: whether the last axis holds texts, which become elements of NumPy's type 'S'.
    public static func write(_ value: Literal, to path: String, areTexts: Bool = false) throws {
        try FileSystem.write(encode(value, areTexts: areTexts), to: path)
    }

    /// Reads an array. Throws `FileError` for whatever is not one whole array of a type that Kiln has.
    /// - Parameter file: what errors call the bytes.
    public static func parse(_ bytes: [UInt8], file: String = "<bytes>") throws -> Literal { try parse(ByteRegion(copying: bytes), file: file) }

    private static func parse(_ region: ByteRegion, file: String) throws -> Literal {
        try withExtendedLifetime(region) {
            let reader = ByteReader(bytes: region.bytes, file: file)
            let header = try NPYHeader(reader)
            let rest = region.count - header.dataOffset
            guard rest == header.byteCount else { throw header.wrongSize(rest, reader) }
            return header.literal(region, at: header.dataOffset)
        }
    }

    /// An array's bytes as a file. bf16 and the 8-bit floats, which NumPy does not have, are written as f32.
    /// - Parameter areTexts: as for `write`; such a literal is u8 and has an axis.
    public static func encode(_ value: Literal, areTexts: Bool = false) -> [UInt8] {
        let value = value.dtype.isNarrowFloat && value.dtype != .f16 ? Literal(.f32, value.shape, scalars: value.scalars) : value
        let width = areTexts && value.dtype == .u8 ? value.shape.last : nil, shape = width == nil ? value.shape : value.shape.dropLast()
        let sizes = shape.map(String.init).joined(separator: ", ") + (shape.count == 1 ? "," : "")
        var header = "{'descr': '\(width.map { "|S\($0)" } ?? descriptor(value.dtype))', 'fortran_order': False, 'shape': (\(sizes)), }"
        // Data begins at a multiple of 64 bytes, after a line end.
        header += String(repeating: " ", count: 63 - (10 + header.utf8.count) % 64) + "\n"
        var writer = ByteWriter(bytes: NPYHeader.magic + [1, 0])
        writer.bytes.reserveCapacity(writer.bytes.count + 2 + header.utf8.count + value.byteCount)
        writer.append(UInt16(header.utf8.count))
        writer.append(header)
        value.withUnsafeBytes { writer.bytes.append(contentsOf: $0) }
        return writer.bytes
    }

    private static func descriptor(_ dtype: DType) -> String {
        let kind = dtype == .bool ? "b" : dtype.isFloat ? "f" : dtype.isSigned ? "i" : "u"
        return "\(dtype.byteCount == 1 ? "|" : "<")\(kind)\(dtype.byteCount)"
    }
}
