// Counts of sequences of tokens: how often each of a model's n-grams occurs in a row, with tokens skipped between.

import KilnIR
import KilnOps

extension Operators {
    static let ngrams: [Operator] = [
        Operator("TfIdfVectorizer") { node in
            let x = try node.stored(0), texts = node.texts("pool_strings")
            guard [1, 2].contains(x.value.rank), texts != nil ? x.element == .string : x.element.isNative else {
                throw node.mistake("takes rows of tokens, was given \(x.value.type)")
            }
            // Texts are told apart as far as the pool does: each is its position in it, the last of those that are equal.
            let rows = try texts.map { try node.position(of: node.text(0), among: $0) } ?? x.value
            let tokens = rows.rank == 1 ? rows.unsqueezed(0) : rows
            let pool = texts.map { texts in texts.map { text in Int64(texts.lastIndex { $0.utf8.elementsEqual(text.utf8) }!) } }
                ?? node.integers("pool_int64s")?.map { Int64($0) } ?? []
            let places = node.integers("ngram_indexes") ?? [], width = (places.max() ?? -1) &+ 1
            var counts = node.full(0, TensorType(.i64, [tokens.size(axis: 0), .constant(places.count)]))
            var parts: [Value] = []
            for grams in try lengths(node, pool) { parts.append(try occurrences(of: grams, in: tokens.cast(to: .i64), node)) }
            if !parts.isEmpty { counts = .concatenate(parts, axis: 1) }
            guard counts.size(axis: 1) == .constant(places.count), places.allSatisfy({ $0 >= 0 && $0 < 1 << 31 }) else { throw node.mistake("has \(places.count) indices for its n-grams") }
            let numbers = node.reals("weights") ?? places.map { _ in 1 }
            guard numbers.count == places.count else { throw node.mistake("has \(numbers.count) weights for \(places.count) n-grams") }
            let weights = node.literal(Literal(.f32, [places.count], doubles: numbers))
            let values = switch node.text("mode", "TF") {
            case "TF": counts.cast(to: .f32)
            case "IDF": (counts .> 0).select(weights, 0)
            case "TFIDF": counts.cast(to: .f32) * weights
            case let other: throw node.mistake("knows no mode '\(other)'")
            }
            let indices = node.literal(Literal(.i64, [places.count], scalars: places.map { .integer(Int64($0)) }))
            let result = node.full(0, TensorType(.f32, [tokens.size(axis: 0), .constant(width)])).put(indices, values, axis: 1, .add)
            return x.value.rank == 1 ? result.reshaping(to: [.constant(width)]) : result
        },
    ]

    /// The n-grams of one length, and whether it is one that is looked for.
    private struct Grams {
        var length: Int
        var tokens: [Int64]
        var isWanted: Bool
    }

    private static func lengths(_ node: NodeContext, _ pool: [Int64]) throws -> [Grams] {
        let starts = (node.integers("ngram_counts") ?? []) + [pool.count]
        let (least, most) = (node.integer("min_gram_length", 1), node.integer("max_gram_length", 1))
        return try starts.indices.dropLast().compactMap { number in
            guard 0 <= starts[number], starts[number] <= starts[number + 1], starts[number + 1] <= pool.count, (starts[number + 1] - starts[number]) % (number + 1) == 0 else {
                throw node.mistake("has n-grams that do not fill their lengths")
            }
            let tokens = Array(pool[starts[number]..<starts[number + 1]])
            return tokens.isEmpty ? nil : Grams(length: number + 1, tokens: tokens, isWanted: least <= number + 1 && number < most)
        }
    }

    /// How often each occurs in each row: [rows, n-grams]. Single tokens have nothing between them that could be skipped.
    private static func occurrences(of grams: Grams, in tokens: Value, _ node: NodeContext) throws -> Value {
        let count = grams.tokens.count / grams.length
        let pool = node.literal(Literal(.i64, [count, grams.length], scalars: grams.tokens.map { .integer($0) }))
        var total = node.full(0, TensorType(.i64, [tokens.size(axis: 0), .constant(count)]))
        guard grams.isWanted else { return total }
        let skips = grams.length == 1 ? 0 : max(node.integer("max_skip_count", 0), 0)
        guard skips < 1 << 10 else { throw node.mistake("skips up to \(skips) tokens") }
        for skip in 0...skips {
            let last = (grams.length - 1) * (skip + 1), isOpen = tokens.size(axis: 1).constant == nil
            if let size = tokens.size(axis: 1).constant, size <= last { break }
            // Rows that may be too short have a window for each token, of which those that reach past the end don't count.
            let padded = isOpen ? tokens.padding(low: [0, 0], high: [0, .constant(last)]) : tokens
            // [rows, windows, 1, length] against [n-grams, length].
            let windows = padded.windowing([1], sizes: [grams.length], strides: [1], dilations: [skip + 1]).unsqueezed(2)
            var matches = (windows .== pool).all(3)
            if isOpen { matches = matches & (tokens.iota(.i64, matches.dims, axis: 1) + last .< node.sizes([tokens.size(axis: 1)])) }
            total = total + matches.sum(1)
        }
        return total
    }
}
