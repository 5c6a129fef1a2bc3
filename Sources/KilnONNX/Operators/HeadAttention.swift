// Attention as models ask for it, beyond what one op of Kiln's says: masks that are composed of lengths, windows and biases, caps on
// the scores, and the scores themselves as results. In come queries, keys and values by heads; out go the values' weighted sums.

import KilnIR
import KilnOps

/// One attention over queries [batch, heads, rows, size], keys [batch, groups, keys, size] and values [batch, groups, keys, value size].
struct HeadAttention {
    let queries: Value
    let keys: Value
    let values: Value
    /// 1 / √size where there is none.
    var scale: Double?
    /// The scores are kept between minus and plus this; 0 leaves them alone.
    var cap = 0.0
    /// Row `i` sees keys `0...i + offset`, where there is an offset.
    var causalOffset: Dim?
    /// What is added to the scores; broadcasts to them.
    var bias: Value?
    /// Bools that broadcast to the scores: a key counts where all are true.
    var conditions: [Value] = []
    /// A score that each row has beside those of the keys, and that takes part of the weight: broadcasts to [batch, heads, rows, 1].
    var sinks: Value?
    /// The dtype of the softmax, where it must be wider than the operands'.
    var precision: DType?

    init(_ queries: Value, _ keys: Value, _ values: Value) {
        (self.queries, self.keys, self.values) = (queries, keys, values)
    }

    /// The steps of the way that models may ask for, in the queries' dtype.
    struct Steps {
        var products: Value
        var capped: Value
        var masked: Value
        var weights: Value
        var result: Value
    }

    private var rows: Dim { queries.size(axis: 2) }
    private var count: Dim { keys.size(axis: 2) }
    private var scoresShape: Shape { [queries.size(axis: 0), queries.size(axis: 1), rows, count] }

    /// The positions of rows, [rows, 1], and of keys, [1, keys].
    var rowPositions: Value { queries.iota(.i64, [rows, 1], axis: 0) }
    var keyPositions: Value { queries.iota(.i64, [1, count], axis: 1) }

    private func scaling() throws -> Double {
        if let scale { return scale }
        guard let size = queries.size(axis: 3).constant else { throw Unsupported(reason: "no scale, and heads whose size is not fixed") }
        return 1 / Double(max(size, 1)).squareRoot()
    }

    private func all(_ conditions: [Value]) -> Value? {
        guard let first = conditions.first else { return nil }
        return conditions.dropFirst().reduce(first) { $0 & $1 }
    }

    /// As one op where that says it all, so that no matrix of scores is made.
    func result() throws -> Value {
        if cap > 0 || sinks != nil || precision.map({ $0 != queries.dtype && $0 == .f64 }) ?? false { return try steps().result }
        var mask = bias
        if let condition = all(conditions) {
            mask = bias.map { condition.select($0, -Double.infinity) } ?? condition
        }
        let common = DType.promotion(queries.dtype, values.dtype) ?? queries.dtype
        return queries.cast(to: common).scaledDotProductAttention(
            keys.cast(to: common), values.cast(to: common), mask: mask, isCausal: causalOffset != nil, causalOffset: causalOffset ?? 0,
            scale: try scaling(), enableGQA: true).cast(to: queries.dtype)
    }

    /// Written out, with all scores in memory. A row that sees no key has weights of 0.
    func steps() throws -> Steps {
        let dtype = queries.dtype, wide: DType = dtype == .f64 ? .f64 : .f32
        let products = (queries.cast(to: wide) * (try scaling())).matmul(repeated(keys).cast(to: wide).transpose(2, 3))
        let capped = cap > 0 ? (products / cap).tanh() * cap : products
        var masked = capped
        if let bias { masked = masked + bias.cast(to: wide) }
        var conditions = conditions
        if let causalOffset {
            conditions.append(keyPositions .<= rowPositions + queries.builder.sizes([causalOffset]))
        }
        if let condition = all(conditions) { masked = condition.expand(scoresShape).select(masked, -Double.infinity) }
        let scores = masked.cast(to: precision ?? wide)
        var greatest = scores.max(3, keepDims: true)
        if let sinks { greatest = greatest.maximum(sinks.cast(to: scores.dtype)) }
        let shift = (greatest .== -Double.infinity).select(0.0, greatest)
        let powers = (scores - shift).exp()
        var sums = powers.sum(3, keepDims: true)
        if let sinks { sums = sums + (sinks.cast(to: scores.dtype) - shift).exp() }
        let weights = (powers / (sums .== 0.0).select(1.0, sums)).cast(to: wide)
        let result = weights.matmul(repeated(values).cast(to: wide)).cast(to: dtype)
        return Steps(products: products.cast(to: dtype), capped: capped.cast(to: dtype), masked: masked.cast(to: dtype), weights: weights.cast(to: dtype),
                     result: result)
    }

    /// Written out in a dtype, with functions that change scores and weights.
    func result(_ dtype: DType, scores change: (Value) throws -> Value, weights reweigh: (Value) throws -> Value) throws -> Value {
        let products = (queries.cast(to: dtype) * (try scaling())).matmul(repeated(keys).cast(to: dtype).transpose(2, 3))
        let weights = try reweigh(try change(products).softmax(3))
        return weights.matmul(repeated(values).cast(to: dtype)).cast(to: queries.dtype)
    }

    /// Each head of keys or values as often as the queries' heads use it.
    private func repeated(_ x: Value) -> Value {
        let heads = queries.size(axis: 1)
        guard heads != x.size(axis: 1) else { return x }
        let ratio = heads / x.size(axis: 1)
        let spread = [x.size(axis: 0), x.size(axis: 1), ratio, x.size(axis: 2), x.size(axis: 3)]
        return x.broadcasting(to: spread, axes: [0, 1, 3, 4]).reshaping(to: [x.size(axis: 0), heads, x.size(axis: 2), x.size(axis: 3)])
    }
}

extension HeadAttention {
    /// Hides keys from a length on, one length for each member of the batch.
    mutating func hideKeys(from lengths: Value) {
        conditions.append(keyPositions .< perBatch(lengths))
    }

    /// Lets a row see keys only within a window around its own position, which is its number plus an offset for each member of the batch.
    mutating func see(left: Int?, right: Int?, offset: Offset) {
        let rows: Value
        switch offset {
        case .same(let offset):
            if let right { causalOffset = causalOffset.map { Dim.minimum($0, offset + .constant(right)) } ?? offset + .constant(right) }
            rows = rowPositions + queries.builder.sizes([offset])
        case .perBatch(let offsets):
            rows = rowPositions + perBatch(offsets)
            if let right { conditions.append(keyPositions .<= rows + Scalar.integer(Int64(right))) }
        }
        if let left { conditions.append(keyPositions .>= rows - Scalar.integer(Int64(left))) }
    }

    /// How many positions lie before the first row's.
    enum Offset {
        case same(Dim)
        /// i64, [batch].
        case perBatch(Value)
    }

    private func perBatch(_ x: Value) -> Value { x.cast(to: .i64).reshaping(to: [x.type.elementCount, 1, 1, 1]) }

    /// A mask as one over these scores: its last axis may be shorter than the keys, and the rest is hidden.
    mutating func mask(_ mask: Value) {
        var low: [Dim] = [], high: [Dim] = []
        let target = [Dim](repeating: 1, count: max(mask.rank - scoresShape.count, 0)) + scoresShape.suffix(mask.rank)
        for (axis, size) in mask.dims.enumerated() {
            low.append(0)
            high.append(axis == mask.rank - 1 ? target[axis] - size : 0)
        }
        let isBool = mask.dtype == .bool
        let full = mask.padding(low: low, high: high, value: isBool ? .bool(false) : .real(-.infinity))
        // Sizes that go by different names are the same when the model runs, or it is an error.
        let fitting = full.slicing(starts: low, ends: zip(full.dims, target).map { $0 == 1 || $0.constant != nil && $1.constant != nil ? $0 : $1 })
        if isBool { conditions.append(fitting) } else { bias = fitting }
    }
}

extension Value {
    /// [batch, tokens, heads · size] as [batch, heads, tokens, size].
    func splitHeads(_ count: Int) -> Value {
        reshaping(to: [size(axis: 0), size(axis: 1), .constant(count), size(axis: 2) / .constant(Swift.max(count, 1))]).permuting([0, 2, 1, 3])
    }

    /// [batch, heads, tokens, size] as [batch, tokens, heads · size].
    func mergedHeads() -> Value {
        permuting([0, 2, 1, 3]).reshaping(to: [size(axis: 0), size(axis: 2), size(axis: 1) * size(axis: 3)])
    }
}
