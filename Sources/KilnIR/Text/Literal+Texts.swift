// Texts as literals: strings come in, and out goes a tensor of bytes with one axis more, along which each text's UTF-8 is filled up with
// zeros, as in NumPy's type 'S'; and the other way round.

extension Literal {
    /// Texts as u8 of `shape` and the longest text's size, at least 1. Zeros at a text's end are not told from what it is filled up with.
    /// - Precondition: there are as many texts as the shape has elements.
    public init(texts: [String], _ shape: [Int]) { self.init(utf8: texts.map { Array($0.utf8) }, shape) }

    /// The same, from the texts' bytes.
    public init(utf8 texts: [[UInt8]], _ shape: [Int]) {
        precondition(texts.count == shape.reduce(1, *), "a literal's texts must fit its shape")
        let width = texts.reduce(1) { Swift.max($0, $1.count) }
        var bytes: [UInt8] = []
        bytes.reserveCapacity(texts.count * width)
        for text in texts { bytes += text + [UInt8](repeating: 0, count: width - text.count) }
        self.init(.u8, shape + [width], bytes: bytes)
    }

    /// The texts that the last axis holds, in row-major order. What is no UTF-8 is replaced.
    /// - Precondition: the elements are u8, and there is an axis.
    public var texts: [String] {
        precondition(dtype == .u8 && !shape.isEmpty, "texts are bytes along an axis")
        let width = shape.last!, count = shape.dropLast().reduce(1, *)
        return withUnsafeBytes { bytes in
            (0..<count).map { number in
                let row = bytes[number * width..<(number + 1) * width]
                return String(decoding: row[..<((row.lastIndex { $0 != 0 }).map { $0 + 1 } ?? row.startIndex)], as: UTF8.self)
            }
        }
    }
}
