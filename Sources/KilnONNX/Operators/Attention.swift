// ONNX's attention: over queries, keys and values by heads, with caches, masks and windows, and with graphs that change the scores.

import KilnIR
import KilnOps

extension Operators {
    static let attention: [Operator] = [
        Operator("Attention", items: { try attention($0) }),
        Operator("FlexAttention", .preview, items: { [.tensor(try flexAttention($0))] }),
    ]

    private static func attention(_ node: NodeContext) throws -> [Item] {
        var (q, k, v) = (try node.tensor(0), try node.tensor(1), try node.tensor(2))
        let isPacked = q.rank == 3
        if isPacked {
            guard let heads = node.integer("q_num_heads"), let groups = node.integer("kv_num_heads"), heads > 0, groups > 0 else {
                throw node.mistake("takes inputs of 3 axes, and does not say how many heads they hold")
            }
            (q, k, v) = (q.splitHeads(heads), k.splitHeads(groups), v.splitHeads(groups))
        }
        guard q.rank == 4, k.rank == 4, v.rank == 4 else { throw node.mistake("takes inputs of 3 or 4 axes, all alike") }
        var offset = HeadAttention.Offset.same(0)
        if let pastKeys = try node.tensorIfPresent(4), let pastValues = try node.tensorIfPresent(5) {
            offset = .same(pastKeys.size(axis: 2))
            k = .concatenate([pastKeys, k], axis: 2)
            v = .concatenate([pastValues, v], axis: 2)
        }
        var attention = HeadAttention(q, k, v)
        attention.scale = node.real("scale")
        attention.cap = node.real("softcap", 0)
        attention.precision = try node.element("softmax_precision")?.dtype
        if let mask = try node.tensorIfPresent(3) { attention.mask(mask) }
        if let lengths = try node.tensorIfPresent(6) {
            attention.hideKeys(from: lengths)
            if case .same(0) = offset { offset = .perBatch(lengths - node.sizes([q.size(axis: 2)])) }
        }
        if node.flag("is_causal") { attention.see(left: nil, right: 0, offset: offset) }
        let windows = ["left_window_size", "right_window_size"].map { node.integer($0).flatMap { $0 < 0 ? nil : $0 } }
        if windows.contains(where: { $0 != nil }) { attention.see(left: windows[0], right: windows[1], offset: offset) }

        var scores = Item.absent
        let result: Value
        if node.wants(3) {
            let steps = try attention.steps()
            result = steps.result
            switch node.integer("qk_matmul_output_mode", 0) {
            case 0: scores = .tensor(steps.products)
            case 1: scores = .tensor(steps.capped)
            case 2: scores = .tensor(steps.masked)
            case 3: scores = .tensor(steps.weights)
            case let mode: throw node.mistake("asks for the scores in the mode \(mode)")
            }
        } else { result = try attention.result() }
        return [.tensor(isPacked ? result.mergedHeads() : result), .tensor(k), .tensor(v), scores]
    }

    /// Without graphs it is one op; with them everything is written out, and fusion finds what it can.
    private static func flexAttention(_ node: NodeContext) throws -> Value {
        let (q, k, v) = (try node.tensor(0), try node.tensor(1), try node.tensor(2))
        guard q.rank == 4, k.rank == 4, v.rank == 4 else { throw node.mistake("takes inputs of 4 axes") }
        let precision = try node.element("softmax_precision")?.dtype ?? (q.dtype == .f64 ? .f64 : .f32)
        var attention = HeadAttention(q, k, v)
        attention.scale = node.real("scale")
        attention.precision = precision
        let names = ["score_mod", "prob_mod"]
        guard names.contains(where: { node.attribute($0) != nil }) else { return try attention.result() }
        func changed(_ name: String, _ x: Value) throws -> Value {
            guard node.attribute(name) != nil else { return x }
            guard case .tensor(let result)? = try node.importer.run(node.graph(name), [.tensor(x)], in: Scope(in: node.scope)).first else { throw Unavailable() }
            return result.value
        }
        return try attention.result(precision, scores: { try changed("score_mod", $0) }, weights: { try changed("prob_mod", $0) })
    }
}
