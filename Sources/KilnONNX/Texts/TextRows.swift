// The texts that one node moves. In come its inputs' texts; out go the numbers of rows of one table, which every operator moves like other
// numbers, and the texts again that such numbers stand for.

import KilnIR
import KilnOps

/// The texts of a node's inputs as rows of one table. Row 0 is the empty text, which zeros then are. Not thread-safe.
final class TextRows {
    /// Texts as [count, width], each with the number of its first row.
    private var parts: [(texts: Value, start: Dim)] = []
    private var numbers: [ValueID: Value] = [:]
    private var count: Dim = 1

    /// The row of each text, i64 of the texts' shape.
    func numbers(of texts: Value) -> Value {
        if let known = numbers[texts.id] { return known }
        let shape = Array(texts.dims.dropLast()), size = shape.reduce(1, *)
        let places = texts.iota(.i64, [size], axis: 0) + texts.builder.sizes([count])
        parts.append((texts.reshaping(to: [size, texts.size(axis: texts.rank - 1)]), count))
        count += size
        let result = places.reshaping(to: shape)
        numbers[texts.id] = result
        return result
    }

    /// The texts that numbers stand for.
    func texts(_ numbers: Value) -> Value {
        let width = parts.dropFirst().reduce(parts.first?.texts.width ?? 1) { Dim.maximum($0, $1.texts.width) }
        let table = parts.map { $0.texts.widened(to: width) }
        let empty = numbers.full(.unsigned(0), TensorType(.u8, [1, width]), at: .unknown)
        return Value.concatenate([empty] + table).take(numbers, axis: 0)
    }

    /// An item whose texts, if there are any, are no numbers.
    func restored(_ item: Item) -> Item {
        switch item {
        case .tensor(let tensor): .tensor(restored(tensor))
        case .sequence(let items): .sequence(items.map(restored))
        case .optional(let item): .optional(item.map(restored))
        case .absent, .unavailable: item
        }
    }

    func restored(_ tensor: ImportedTensor) -> ImportedTensor {
        tensor.element == .string && tensor.value.dtype == .i64 ? ImportedTensor(texts(tensor.value), .string) : tensor
    }
}
