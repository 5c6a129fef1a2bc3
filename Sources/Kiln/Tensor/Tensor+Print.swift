// The text of a tensor: its elements in nested brackets with aligned columns, shortened in the middle where there are many.
import KilnIR

#if canImport(Glibc)
import Glibc
#elseif canImport(Musl)
import Musl
#else
import Darwin
#endif

extension Tensor: CustomStringConvertible, CustomDebugStringConvertible {
    /// Computes the value; a tensor that carries a mistake prints the mistake.
    public var description: String {
        if node.isAbstract { return "Tensor(\(type), captured)" }
        do {
            let text = TensorText(try literal()).text
            let suffix = (dtype == .f32 || dtype == .i64 || dtype == .bool ? "" : ", dtype: \(dtype)")
                + (device == .cpu ? "" : ", device: \(device)")
                + (requiresGrad ? node.slot != nil ? ", requiresGrad: true" : ", tracksGrad: true" : "")
            return "Tensor(\(text)\(suffix))"
        } catch { return "Tensor(error: \(error))" }
    }

    public var debugDescription: String { description }
}

/// Writes a literal.
struct TensorText {
    private let literal: Literal
    /// More elements than this are summarized, with so many at each end of an axis.
    private let threshold = 1000
    private let edge = 3
    private var width = 0
    private var style = Style.plain

    private enum Style {
        case plain, whole, fixed, scientific
    }

    init(_ literal: Literal) {
        self.literal = literal
        let shown = shownPositions(axis: 0, offset: 0)
        if literal.dtype.isFloat { style = Self.style(shown.map { literal[$0].double }) }
        width = shown.map { text($0).utf8.count }.max() ?? 0
    }

    var text: String { literal.shape.contains(0) ? emptyText : block(axis: 0, offset: 0) }

    private var emptyText: String { literal.shape.count == 1 ? "[]" : "[], shape: \(literal.shape)" }
    private var isSummarized: Bool { literal.count > threshold }

    /// The positions along an axis that are shown; nil stands for dots.
    private func shownIndices(_ size: Int) -> [Int?] {
        if !isSummarized || size <= 2 * edge { return Array(0..<size) }
        return Array(0..<edge) + [nil] + Array(size - edge..<size)
    }

    private func shownPositions(axis: Int, offset: Int) -> [Int] {
        if literal.shape.contains(0) { return [] }
        if axis == literal.shape.count { return [offset] }
        return shownIndices(literal.shape[axis]).compactMap { $0 }
            .flatMap { shownPositions(axis: axis + 1, offset: offset * literal.shape[axis] + $0) }
    }

    private func block(axis: Int, offset: Int) -> String {
        let rank = literal.shape.count
        if axis == rank { return padded(text(offset)) }
        let parts = shownIndices(literal.shape[axis]).map { index in
            index.map { block(axis: axis + 1, offset: offset * literal.shape[axis] + $0) } ?? "..."
        }
        if axis == rank - 1 { return "[" + wrapped(parts, indent: axis + 8) + "]" }
        let gap = ",\n" + String(repeating: "\n", count: rank - axis - 2) + String(repeating: " ", count: axis + 8)
        return "[" + parts.joined(separator: gap) + "]"
    }

    /// A row, broken into lines of at most 80 columns.
    private func wrapped(_ parts: [String], indent: Int) -> String {
        let perLine = max(1, (80 - indent) / (width + 2))
        if parts.count <= perLine { return parts.joined(separator: ", ") }
        return stride(from: 0, to: parts.count, by: perLine)
            .map { parts[$0..<min($0 + perLine, parts.count)].joined(separator: ", ") }
            .joined(separator: ",\n" + String(repeating: " ", count: indent))
    }

    private func padded(_ text: String) -> String {
        literal.shape.isEmpty ? text : String(repeating: " ", count: max(0, width - text.utf8.count)) + text
    }

    /// As PyTorch does: scientific where numbers differ by much, whole numbers with a point, else four decimals.
    private static func style(_ values: [Double]) -> Style {
        let finite = values.filter { $0.isFinite && $0 != 0 }.map { abs($0) }
        guard let least = finite.min(), let most = finite.max() else { return .whole }
        if finite.allSatisfy({ $0 == $0.rounded() }) { return most >= 1e8 || most / least > 1000 && most >= 1e5 ? .scientific : .whole }
        return most / least > 1000 || most >= 1e8 || least < 1e-4 ? .scientific : .fixed
    }

    private func text(_ position: Int) -> String {
        switch literal[position] {
        case .bool(let value): return value ? "true" : "false"
        case .integer(let value): return String(value)
        case .unsigned(let value): return String(value)
        case .real(let value):
            if value.isNaN { return "nan" }
            if value.isInfinite { return value < 0 ? "-inf" : "inf" }
            switch style {
            case .whole: return formatted(value, "%.0f.")
            case .scientific: return formatted(value, "%.4e")
            default: return formatted(value, "%.4f")
            }
        }
    }

    private func formatted(_ value: Double, _ format: String) -> String {
        var buffer = [CChar](repeating: 0, count: 400)
        let length = withVaList([value]) { vsnprintf(&buffer, 400, format, $0) }
        return String(decoding: buffer.prefix(Int(max(0, min(length, 399)))).map { UInt8(bitPattern: $0) }, as: UTF8.self)
    }
}
