// Texts cut into pieces: at a delimiter, or where there is white space. Texts come in; out go the pieces, as many for each text as the text
// with the most has, the rest empty, and their numbers. How many there are and how wide they are, a run measures.

import KilnIR
import KilnOps

/// One way of cutting.
struct TextSplitting {
    let node: NodeContext
    /// Nil for white space, of which any amount is one delimiter, and which pieces neither begin nor end with.
    let delimiter: [UInt8]?
    /// How many cuts are made at most; what is behind the last stays in one piece. Nil where there is no limit.
    let mostCuts: Int?

    /// The pieces, u8 of the texts' shape, their number and their width; and how many each text has, i64 of the texts' shape.
    func split(_ texts: Value) throws -> (pieces: Value, counts: Value) {
        let rows = texts.textRows
        let found = try delimiter.map { try cuts(rows, $0) } ?? words(rows)
        // One number more, for where there are no texts.
        func greatest(_ numbers: Value, atLeast least: Scalar) -> Value {
            Value.concatenate([numbers.reshaping(to: [numbers.type.elementCount]), node.full(least, TensorType(.i64, [1]))]).max(0)
        }
        let numbers = rows.iota(.i64, [mostPieces(rows.width)], axis: 0).prefix(greatest(found.counts, atLeast: 0))
        let shape = [rows.size(axis: 0)] + numbers.dims

        let starts = found.starts.put(into: node.full(0, TensorType(.i64, shape)))
        let ends = found.ends.put(into: found.last.broadcasting(to: shape, axes: [0]))
        let isThere = starts.iota(.i64, shape, axis: 1) .< found.counts.unsqueezed(1)
        let lengths = isThere.select(ends - starts, 0)
        let width = rows.iota(.i64, [rows.width], axis: 0).prefix(greatest(lengths, atLeast: 1)).size(axis: 0)
        return (rows.bytes(from: starts, lengths, width: width).inShape(of: texts), found.counts.inShape(of: texts))
    }

    /// How many pieces a text of so many bytes can have.
    private func mostPieces(_ width: Dim) -> Dim {
        let count = delimiter.map { width / .constant($0.count) + 1 } ?? (width + 1) / 2
        return mostCuts.map { .minimum(count, .constant($0) + 1) } ?? count
    }

    /// Where pieces start or end.
    private struct Places {
        /// [rows, width]
        var isHere: Value
        /// The number of the piece, and the place.
        var numbers: Value, places: Value

        /// The places by the pieces' numbers, in rows of what stands where there is none.
        func put(into rows: Value) -> Value {
            // What is past the end is dropped.
            rows.scatter(1, isHere.select(numbers, 1 << 40), places)
        }
    }

    /// `last` is where each text's last piece ends.
    private typealias Pieces = (starts: Places, ends: Places, last: Value, counts: Value)

    // MARK: Delimiters

    private func cuts(_ rows: Value, _ delimiter: [UInt8]) throws -> Pieces {
        let size = delimiter.count
        var isCut = rows.begins(delimiter.map { $0...$0 })
        if (1..<size).contains(where: { delimiter[$0...].elementsEqual(delimiter.prefix(size - $0)) }) { isCut = try apart(isCut, size) }
        let numbers = isCut.cast(to: .i64).cumsum(1, exclusive: true), place = rows.iota(.i64, rows.dims, axis: 1)
        if let mostCuts { isCut = isCut & (numbers .< mostCuts) }
        return (Places(isHere: isCut, numbers: numbers + 1, places: place + size), Places(isHere: isCut, numbers: numbers, places: place), rows.textLengths,
                isCut.cast(to: .i64).sum(1) + 1)
    }

    /// The places, from the left on, that are at least `size` from the one before: of a delimiter that overlaps itself.
    private func apart(_ isPlace: Value, _ size: Int) throws -> Value {
        let free = node.full(0, TensorType(.i64, [isPlace.size(axis: 0)]))
        let rounds = Repetition(node: node, count: node.sizes([isPlace.size(axis: 1)]), starts: nil, carried: [.tensor(free)],
                                stacking: [.init(axis: 1, isReversed: false)]) { scope, round, carried in
            let free = carried[0].value ?? free
            let isTaken = scope.using(isPlace).take(round, axis: 1) & (free .<= round)
            return .init(goesOn: nil, carried: [.tensor(isTaken.select(round + size, free))], stacked: [.tensor(isTaken)])
        }
        guard let taken = try rounds.run()[1].value else { throw Unavailable() }
        return taken
    }

    // MARK: White space

    /// What separates words: what Unicode calls white space, and ASCII's separators.
    private static let whiteSpace = ScalarSet([0x09...0x0D, 0x1C...0x20, 0x85...0x85, 0xA0...0xA0, 0x1680...0x1680, 0x2000...0x200A, 0x2028...0x2029,
                                               0x202F...0x202F, 0x205F...0x205F, 0x3000...0x3000])

    private func words(_ texts: Value) -> Pieces {
        // With a place behind the end.
        let rows = texts.widened(to: texts.width + 1), place = rows.iota(.i64, rows.dims, axis: 1)
        let isWord = .!rows.isPart(of: Self.whiteSpace) & (place .< rows.textLengths.unsqueezed(1)), before = isWord.shifted(by: 1)
        func places(_ isHere: Value) -> Places { Places(isHere: isHere, numbers: isHere.cast(to: .i64).cumsum(1, exclusive: true), places: place) }
        let starts = places(isWord & .!before)
        var ends = places(before & .!isWord), counts = starts.isHere.cast(to: .i64).sum(1)
        if let mostCuts {
            ends.isHere = ends.isHere & (ends.numbers .< mostCuts)
            counts = counts.minimum(mostCuts + 1)
        }
        return (starts, ends, isWord.select(place + 1, 0).max(1), counts)
    }
}

extension Value {
    /// Each row moved to the right, or to the left where the amount is negative; zeros move in. For [rows, width].
    func shifted(by amount: Int) -> Value { padding(low: [0, .constant(amount)], high: [0, .constant(-amount)]) }

    /// Whether bytes of these ranges stand in the row from each place on. For [rows, width].
    func begins(_ sequence: [ClosedRange<UInt8>]) -> Value {
        var begins: Value?
        for (offset, range) in sequence.enumerated() {
            let byte = shifted(by: -offset), low = Int(range.lowerBound), high = Int(range.upperBound)
            let fits = low == high ? byte .== low : (byte .>= low) & (byte .<= high)
            begins = begins.map { $0 & fits } ?? fits
        }
        return begins!
    }

    /// Whether each byte is part of a character of the set. For [rows, width].
    func isPart(of set: ScalarSet) -> Value {
        var isPart: Value?
        for sequence in UTF8Ranges.sequences(of: set) {
            let begins = begins(sequence)
            for offset in sequence.indices {
                let here = begins.shifted(by: offset)
                isPart = isPart.map { $0 | here } ?? here
            }
        }
        return isPart ?? full(.bool(false), type.with(dtype: .bool), at: .unknown)
    }
}
