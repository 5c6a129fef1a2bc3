// Texts in capitals or small letters. In come texts of any width, in UTF-8; out go the same with every character mapped as Unicode's full
// mappings say that depend neither on the language nor on what stands around it, so that texts may become longer or shorter.

import KilnIR
import KilnOps

/// One of the two mappings.
enum CaseMapping {
    case upper, lower

    /// What a character becomes.
    private func callAsFunction(_ scalar: Unicode.Scalar) -> String {
        self == .upper ? scalar.properties.uppercaseMapping : scalar.properties.lowercaseMapping
    }

    func callAsFunction(_ text: String) -> String { text.unicodeScalars.map { self($0) }.joined() }

    // MARK: Tables

    /// What all code points become, in pages of 64 of which those without change are one.
    private struct Table {
        /// The page of each 64 code points, up to the last that changes.
        var pages: [Int32] = []
        /// For each code point of each page the number of bytes that it becomes, 0 where it stays.
        var lengths: [UInt8] = Array(repeating: 0, count: 64)
        var texts: [[UInt8]] = Array(repeating: [], count: 64)
        /// The most bytes that a character becomes, and how often more than it was.
        var most = 1, growth = 1

        init(_ mapping: CaseMapping) {
            for first in stride(from: UInt32(0), to: 0x20000, by: 64) {
                let mapped = (first..<first + 64).map { value -> [UInt8] in
                    guard let scalar = Unicode.Scalar(value) else { return [] }
                    let text = Array(mapping(scalar).utf8)
                    return text == Array(String(scalar).utf8) ? [] : text
                }
                guard mapped.contains(where: { !$0.isEmpty }) else {
                    pages.append(0)
                    continue
                }
                pages.append(Int32(texts.count / 64))
                texts += mapped
                lengths += mapped.map { UInt8($0.count) }
                for (offset, text) in mapped.enumerated() where !text.isEmpty {
                    let size = String(Unicode.Scalar(first + UInt32(offset))!).utf8.count
                    most = max(most, text.count)
                    growth = max(growth, (text.count + size - 1) / size)
                }
            }
            // What lies behind the last page stays.
            pages.removeLast(pages.reversed().prefix { $0 == 0 }.count)
            pages.append(0)
        }
    }

    private static let tables: [CaseMapping: Table] = [.upper: Table(.upper), .lower: Table(.lower)]

    // MARK: Values

    /// The characters that begin at each byte: their code points and their numbers of bytes, 0 where none begins.
    private func characters(_ rows: Value) -> (codes: Value, sizes: Value) {
        let bytes = (0..<4).map { rows.shifted(by: -$0).cast(to: .i32) }
        let leads: [(range: ClosedRange<Int>, bits: Int)] = [(0...0x7F, 0x7F), (0xC2...0xDF, 0x1F), (0xE0...0xEF, 0x0F), (0xF0...0xF4, 0x07)]
        var codes = bytes[0].full(0, bytes[0].type, at: .unknown), sizes = codes
        for (number, lead) in leads.enumerated() {
            var begins = (bytes[0] .>= lead.range.lowerBound) & (bytes[0] .<= lead.range.upperBound)
            var code = bytes[0] & lead.bits
            for next in bytes[1..<number + 1] {
                begins = begins & ((next & 0xC0) .== 0x80)
                code = (code << 6) | (next & 0x3F)
            }
            codes = begins.select(code, codes)
            sizes = begins.select(number + 1, sizes)
        }
        return (codes, sizes)
    }

    /// Rows of texts, [count, width], mapped; as wide as they could become.
    func mapped(_ rows: Value, _ node: NodeContext) -> Value {
        let table = Self.tables[self]!, (codes, sizes) = characters(rows)
        let pages = node.literal(Literal(.i32, [table.pages.count], scalars: table.pages.map { .integer(Int64($0)) }))
        // A page that is not there is the last, which changes nothing.
        let entry = pages.take((codes >> 6).minimum(table.pages.count - 1), axis: 0) * 64 + (codes & 63)
        let length = node.literal(Literal(.u8, [table.lengths.count], bytes: table.lengths)).take(entry, axis: 0).cast(to: .i32)
        let isMapped = (length .> 0) & (sizes .> 0)
        // Bytes behind the first of a character that is mapped are gone; all others up to the text's end stay.
        let mappedSizes = isMapped.select(sizes, 0)
        let isGone = (2..<4).reduce(mappedSizes.shifted(by: 1) .> 1) { $0 | (mappedSizes.shifted(by: $1) .> $1) }
        let place = rows.iota(.i64, rows.dims, axis: 1), isInside = place .< rows.textLengths.unsqueezed(1)
        let counts = isMapped.select(length, (isInside & .!isGone).cast(to: .i32)).cast(to: .i64)
        // [count, width, most]
        let most = table.most, wide = rows.dims + [.constant(most)]
        let texts = node.literal(Literal(.u8, [table.texts.count, most], bytes: table.texts.flatMap { $0 + [UInt8](repeating: 0, count: most - $0.count) }))
        let bytes = isMapped.unsqueezed(2).select(texts.take(entry, axis: 0), rows.unsqueezed(2))
        let number = rows.iota(.i64, wide, axis: 2)
        let target = (number .< counts.unsqueezed(2)).select(number + counts.cumsum(1, exclusive: true).unsqueezed(2), 1 << 40)
        let flat = [rows.size(axis: 0), rows.width * .constant(most)]
        return node.full(.unsigned(0), TensorType(.u8, [rows.size(axis: 0), rows.width * .constant(table.growth)]))
            .scatter(1, target.reshaping(to: flat), bytes.reshaping(to: flat))
    }
}

extension Value {
    /// Rows of texts no wider than the longest of them, which a run measures.
    var trimmed: Value {
        let longest = Value.concatenate([textLengths, full(1, TensorType(.i64, [1]), at: .unknown)]).max(0)
        return narrow(1, start: 0, length: iota(.i64, [width], axis: 0).prefix(longest).size(axis: 0))
    }
}
