// Attention as ONNX Runtime's own operators say it, which its optimizer and its model builder write: packed projections, masks of
// numbers, caches whose filling differs from sequence to sequence.

import KilnIR
import KilnOps

extension Operators {
    static let microsoftAttention: [Operator] = [
        Operator("MultiHeadAttention", .microsoft, items: { try multiHead($0) }),
        Operator("Attention", .microsoft, items: { try projected($0) }),
        Operator("GroupQueryAttention", .microsoft, items: { try GroupedQueries($0).items() }),
        Operator("RotaryEmbedding", .microsoft) { node in
            let x = try node.tensor(0), positions = try node.tensor(1), cos = try node.tensor(2), sin = try node.tensor(3)
            if node.flag("is_packed_batching") { throw Unsupported(reason: "batches packed one after another") }
            let (batch, tokens) = (x.size(axis: 0), x.rank == 4 ? x.size(axis: 2) : x.size(axis: 1))
            var places = positions.cast(to: .i64)
            if positions.rank == 1 { places = (places + positions.iota(.i64, [tokens], axis: 0)).unsqueezed(0).expand([batch, tokens]) }
            let size = node.integer("rotary_embedding_dim", 0)
            // Without a number of heads, heads are as large as the angles say.
            var heads = node.integer("num_heads", 0)
            if x.rank == 3, heads == 0 {
                guard let width = x.size(axis: 2).constant, let half = cos.size(axis: 1).constant, half > 0 else { throw Unsupported(reason: "heads whose size is not fixed") }
                heads = width / (2 * half)
            }
            let scale = node.real("scale", 1)
            let result = try rotated(node, x, cos.take(places, axis: 0), sin.take(places, axis: 0), heads: heads, size: size)
            return scale == 1 ? result : result * scale
        },
    ]

    /// Queries, keys and values that are projected already.
    private static func multiHead(_ node: NodeContext) throws -> [Item] {
        let heads = try node.count("num_heads"), query = try node.tensor(0)
        var (q, k, v): (Value, Value, Value)
        let bias = try node.tensorIfPresent(3)
        /// [batch, tokens, heads · size], with its part of the bias, by heads.
        func split(_ x: Value, from start: Dim) -> Value {
            (bias.map { x + $0.narrow(0, start: start, length: x.size(axis: 2)) } ?? x).splitHeads(heads)
        }
        if let key = try node.tensorIfPresent(1) {
            q = split(query, from: 0)
            if key.rank == 5 {
                guard bias == nil else { throw Unsupported(reason: "a bias on keys and values that are packed") }
                (k, v) = (key.select(axis: 3, index: 0).permuting([0, 2, 1, 3]), key.select(axis: 3, index: 1).permuting([0, 2, 1, 3]))
            } else {
                let value = try node.tensor(2)
                k = key.rank == 4 ? key : split(key, from: query.size(axis: 2))
                v = value.rank == 4 ? value : split(value, from: query.size(axis: 2) * 2)
            }
        } else {
            guard query.rank == 5, bias == nil else { throw node.mistake("has no keys, and queries that are not packed with them") }
            let parts = (0..<3).map { query.select(axis: 3, index: $0).permuting([0, 2, 1, 3]) }
            (q, k, v) = (parts[0], parts[1], parts[2])
        }
        if node.has(8) || node.has(9) { throw Unsupported(reason: "a cache that is shared between inputs and outputs") }
        var past: Dim = 0
        if let keys = try node.tensorIfPresent(6), let values = try node.tensorIfPresent(7) {
            past = keys.size(axis: 2)
            k = .concatenate([keys, k], axis: 2)
            v = .concatenate([values, v], axis: 2)
        }
        var attention = HeadAttention(q, k, v)
        attention.scale = node.real("scale").flatMap { $0 == 0 ? nil : $0 }
        if let mask = try node.tensorIfPresent(4) { try attention.addMask(mask, of: node) }
        if let bias = try node.tensorIfPresent(5) { attention.mask(bias) }
        if node.flag("unidirectional") { attention.see(left: nil, right: 0, offset: .same(past)) }
        return [.tensor(try attention.result().mergedHeads()), .tensor(k), .tensor(v)]
    }

    /// Queries, keys and values from one product.
    private static func projected(_ node: NodeContext) throws -> [Item] {
        let heads = try node.count("num_heads"), x = try node.tensor(0)
        if node.flag("do_rotary") || node.flag("past_present_share_buffer") { throw Unsupported(reason: "rotary positions or a shared cache within it") }
        var all = x.matmul(try node.tensor(1))
        if let bias = try node.tensorIfPresent(2) { all = all + bias }
        let sizes = node.integers("qkv_hidden_sizes")?.map { Dim.constant($0) } ?? Array(repeating: all.size(axis: 2) / 3, count: 3)
        guard sizes.count == 3 else { throw node.mistake("has \(sizes.count) sizes of queries, keys and values") }
        let q = all.narrow(2, start: 0, length: sizes[0]).splitHeads(heads)
        var k = all.narrow(2, start: sizes[0], length: sizes[1]).splitHeads(heads)
        var v = all.narrow(2, start: sizes[0] + sizes[1], length: sizes[2]).splitHeads(heads)
        var past: Dim = 0
        if let cache = try node.tensorIfPresent(4) {
            past = cache.size(axis: 3)
            k = .concatenate([cache.select(axis: 0, index: 0), k], axis: 2)
            v = .concatenate([cache.select(axis: 0, index: 1), v], axis: 2)
        }
        var attention = HeadAttention(q, k, v)
        attention.scale = node.real("scale").flatMap { $0 == 0 ? nil : $0 }
        if let mask = try node.tensorIfPresent(3) { try attention.addMask(mask, of: node) }
        if let bias = try node.tensorIfPresent(5) { attention.mask(bias) }
        if node.flag("unidirectional") { attention.see(left: nil, right: 0, offset: .same(past)) }
        let present = node.wants(1) ? Item.tensor(Value.stack([k, v], axis: 0)) : .absent
        return [.tensor(try attention.result().mergedHeads()), present]
    }
}

extension HeadAttention {
    /// A mask of integers: lengths [batch], or ends and starts [2 · batch]; or, where it is 0, what is hidden: [batch, keys],
    /// [batch, rows, keys] or [batch, 1, most, most]. What is hidden gets a great negative number added.
    fileprivate mutating func addMask(_ mask: Value, of node: NodeContext) throws {
        let (batch, count) = (queries.size(axis: 0), keys.size(axis: 2))
        let isSeen: Value
        switch mask.rank {
        case 1:
            let limits = mask.cast(to: .i64)
            func part(_ number: Dim) -> Value { limits.narrow(0, start: number * batch, length: batch).reshaping(to: [batch, 1, 1, 1]) }
            if mask.size(axis: 0) == batch * 2 { isSeen = (keyPositions .< part(0)) & (keyPositions .>= part(1)) } else {
                guard mask.size(axis: 0).constant == nil || mask.size(axis: 0) == batch else { throw Unsupported(reason: "a mask of \(mask.size(axis: 0)) numbers") }
                isSeen = keyPositions .< part(0)
            }
        case 2: isSeen = mask.unsqueezed(1).unsqueezed(1) .!= 0
        case 3: isSeen = mask.unsqueezed(1) .!= 0
        case 4: isSeen = mask.narrow(2, start: count - queries.size(axis: 2), length: queries.size(axis: 2)).narrow(3, start: 0, length: count) .!= 0
        default: throw node.mistake("has a mask of \(mask.rank) axes")
        }
        let filter = node.real("mask_filter_value", -10000)
        self.mask(isSeen.select(queries.full(0, isSeen.type.with(dtype: queries.dtype), at: .unknown), filter))
    }
}

/// A node of GroupQueryAttention: a cache of a certain length, of which each sequence of the batch has filled so much.
private struct GroupedQueries {
    let node: NodeContext
    private var q: Value, k: Value, v: Value
    /// i64, [batch, 1]: how many tokens each sequence had before these.
    private let before: Value
    private let total: Dim

    init(_ node: NodeContext) throws {
        self.node = node
        let heads = try node.count("num_heads"), groups = try node.count("kv_num_heads")
        let query = try node.tensor(0)
        if let key = try node.tensorIfPresent(1) {
            (q, k, v) = (query.splitHeads(heads), key.splitHeads(groups), try node.tensor(2).splitHeads(groups))
        } else {
            let all = query.splitHeads(heads + 2 * groups)
            q = all.narrow(1, start: 0, length: .constant(heads))
            k = all.narrow(1, start: .constant(heads), length: .constant(groups))
            v = all.narrow(1, start: .constant(heads + groups), length: .constant(groups))
        }
        let (batch, tokens) = (q.size(axis: 0), q.size(axis: 2))
        guard let total = try node.sizes(6, "the length with the cache").first else { throw node.mistake("does not say how long its sequences are") }
        self.total = total
        let filled = try node.tensor(5).cast(to: .i64).reshaping(to: [batch, 1]) + Scalar.integer(1) - node.sizes([tokens])
        // The first tokens of all have nothing before them, even where a sequence is shorter than the others.
        before = total == tokens ? node.full(0, filled.type) : (node.sizes([total]) .== node.sizes([tokens])).select(0, filled)
    }

    func items() throws -> [Item] {
        var (q, k) = (q, k)
        let tokens = q.size(axis: 2)
        if node.flag("do_rotary") {
            let positions = try node.tensorIfPresent(9)?.cast(to: .i64) ?? before + q.iota(.i64, [1, tokens], axis: 1)
            let cos = try node.tensor(7).take(positions, axis: 0), sin = try node.tensor(8).take(positions, axis: 0)
            let (size, name) = (Dim.constant(2) * cos.size(axis: 2), "rotary_interleaved")
            q = try Operators.rotated(node, q, cos, sin, heads: 0, size: size.constant ?? 0, isInterleaved: node.flag(name))
            k = try Operators.rotated(node, k, cos, sin, heads: 0, size: size.constant ?? 0, isInterleaved: node.flag(name))
        }
        let keys = try filled(node.tensorIfPresent(3), k), values = try filled(node.tensorIfPresent(4), v)
        var attention = HeadAttention(q, keys, values)
        attention.scale = node.real("scale").flatMap { $0 == 0 ? nil : $0 }
        attention.cap = node.real("softcap", 0)
        if let bias = try node.tensorIfPresent(10) { attention.mask(bias) }
        let window = node.integer("local_window_size", -1)
        let offset: HeadAttention.Offset = node.has(3) && total != tokens ? .perBatch(before) : .same(0)
        attention.see(left: window > 0 ? window - 1 : nil, right: 0, offset: offset)
        if let sinks = try node.tensorIfPresent(11) { attention.sinks = sinks.reshaping(to: [1, q.size(axis: 1), 1, 1]) }
        if node.flag("smooth_softmax"), attention.sinks == nil { attention.sinks = node.full(0, TensorType(q.dtype, [1, 1, 1, 1])) }
        return [.tensor(try attention.result().mergedHeads()), .tensor(keys), .tensor(values)]
    }

    /// The cache with the new tokens behind what each sequence has filled, then zeros.
    private func filled(_ past: Value?, _ new: Value) -> Value {
        guard let past, past.size(axis: 2) != 0, total != new.size(axis: 2) else { return new }
        let length = Dim.maximum(past.size(axis: 2), total), tokens = new.size(axis: 2)
        let positions = new.iota(.i64, [1, length], axis: 1)
        let since = positions - before
        let places = (since .< Scalar.integer(0)).select(positions, since + node.sizes([past.size(axis: 2)]))
        let shape = [new.size(axis: 0), new.size(axis: 1), length, new.size(axis: 3)]
        func spread(_ x: Value) -> Value { x.reshaping(to: [new.size(axis: 0), 1, length, 1]).expand(shape) }
        let found = Value.concatenate([past, new], axis: 2).gather(2, spread(places))
        return spread(since .< node.sizes([tokens])).select(found, 0.0)
    }
}
