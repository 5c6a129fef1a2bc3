// What all operators of texts are made of. Texts are u8 of [shape…, width], filled up with zeros; in they come, and out go their lengths,
// whether they are equal, and texts of other widths.

import KilnIR
import KilnOps

extension Value {
    /// The most bytes that a text may have.
    var width: Dim { size(axis: -1) }

    /// Texts with room for more bytes.
    func widened(to width: Dim) -> Value {
        if width == self.width { return self }
        let zeros = dims.map { _ in Dim.constant(0) }
        return padding(low: zeros, high: zeros.dropLast() + [width - self.width])
    }

    /// The number of bytes of each text: i64 of the texts' shape. A zero within a text counts.
    var textLengths: Value {
        let end = iota(.i64, dims, axis: rank - 1) + 1
        return (self .!= 0).select(end, 0).max(rank - 1)
    }

    /// Whether texts are equal; shapes meet as NumPy's do.
    func isText(_ other: Value) -> Value {
        let width = Dim.maximum(width, other.width)
        let same = widened(to: width) .== other.widened(to: width)
        return same.all(same.rank - 1)
    }

    /// Texts one after the other; shapes meet as NumPy's do.
    func followed(by other: Value) -> Value {
        let width = width + other.width, shape = Shape.broadcast(Array(dims.dropLast()), Array(other.dims.dropLast()))
        func wide(_ texts: Value) -> Value {
            let texts = texts.widened(to: width), target = (shape ?? Array(texts.dims.dropLast())) + [width]
            return texts.broadcasting(to: target, axes: Array(target.count - texts.rank..<target.count))
        }
        let (first, second) = (wide(self), wide(other))
        let place = first.iota(.i64, first.dims, axis: first.rank - 1)
        let length = textLengths.unsqueezed(rank - 1)
        let rest = place - length
        return (rest .< 0).select(first, second.gather(first.rank - 1, rest.maximum(0)))
    }

    /// The bytes from `starts` on, as many as `lengths` say, which are at most `width`: both i64 of the result's shape but the last axis. Each row
    /// of starts reads the text of the same row.
    func bytes(from starts: Value, _ lengths: Value, width: Dim) -> Value {
        let target = starts.dims + [width], place = starts.iota(.i64, target, axis: starts.rank)
        let source = place + starts.unsqueezed(starts.rank)
        // [rows, pieces, width] from [rows, text].
        let flat = source.reshaping(to: [starts.size(axis: 0), target[1...].reduce(1, *)])
        let read = gather(1, flat).reshaping(to: target)
        return (place .< lengths.unsqueezed(starts.rank)).select(read, 0)
    }

    /// Texts as rows: [count, width].
    var textRows: Value { reshaping(to: [dims.dropLast().reduce(1, *), width]) }

    /// What is there for each row, in the texts' shape; what more axes there are stay behind it.
    func inShape(of texts: Value) -> Value { reshaping(to: Array(texts.dims.dropLast()) + Array(dims.dropFirst())) }
}

extension NodeContext {
    /// Constant texts, [count, width].
    func literal(texts: [String]) -> Value { literal(Literal(texts: texts, [texts.count])) }

    /// Input `number`, which holds texts: u8 of [shape…, width].
    func text(_ number: Int) throws -> Value {
        guard case .tensor(let tensor) = try item(number).held else { throw mistake("needs texts as input \(number)") }
        guard tensor.element == .string else { throw mistake("takes texts as input \(number), was given elements of type \(tensor.element)") }
        return tensor.value
    }

    /// For each text its position among some, -1 where it is none of them: i64 of the texts' shape. Of equal ones the last counts.
    func position(of texts: Value, among known: [String]) -> Value {
        let shape = Array(texts.dims.dropLast())
        if known.isEmpty { return full(-1, TensorType(.i64, shape)) }
        let matches = texts.unsqueezed(texts.rank - 1).isText(literal(texts: known))
        let places = matches.iota(.i64, [.constant(known.count)], axis: 0)
        return matches.select(places, -1).max(shape.count)
    }
}
