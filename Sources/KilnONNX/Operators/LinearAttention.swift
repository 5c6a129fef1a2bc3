// Attention without a softmax: each token writes into a state, a matrix for each head, and reads from it.
// Queries, keys, values and gates come in, with the state so far; out go what was read and the state after the last token.

import KilnIR
import KilnOps

extension Operators {
    static let recurrences: [Operator] = [
        Operator("LinearAttention", items: { node in
            let rule = node.text("update_rule", "gated_delta")
            guard ["linear", "gated", "delta", "gated_delta"].contains(rule) else { throw node.mistake("has the update rule '\(rule)'") }
            let (isGated, isDelta) = (rule.hasPrefix("gated"), rule.hasSuffix("delta"))
            guard let heads = node.integer("q_num_heads"), let groups = node.integer("kv_num_heads"), heads > 0, groups > 0, heads % groups == 0 else {
                throw node.mistake("needs a number of heads that the number of keys' heads divides")
            }
            let queries = try node.tensor(0), wide: DType = queries.dtype == .f64 ? .f64 : .f32
            guard queries.rank == 3 else { throw node.mistake("takes inputs of 3 axes") }
            /// [tokens, batch, heads, size].
            func byTime(_ number: Int, heads: Int) throws -> Value {
                let x = try node.tensor(number)
                guard x.rank == 3 else { throw node.mistake("takes inputs of 3 axes") }
                return x.reshaping(to: [x.size(axis: 0), x.size(axis: 1), .constant(heads), x.size(axis: 2) / .constant(heads)]).permuting([1, 0, 2, 3]).cast(to: wide)
            }
            let (k, v) = (try byTime(1, heads: groups), try byTime(2, heads: groups))
            var q = try byTime(0, heads: heads)
            q = q * (try scale(node, of: q))
            let batch = q.size(axis: 1)
            let past = try node.tensorIfPresent(3)
            let state = past?.cast(to: wide) ?? node.full(0, TensorType(wide, [batch, .constant(groups), k.size(axis: 3), v.size(axis: 3)]))
            var scanned = [q, k, v]
            if isGated { scanned.append(try byTime(4, heads: groups).exp()) }
            if isDelta { scanned.append(try byTime(5, heads: node.tensor(5).size(axis: 2) == 1 ? 1 : groups)) }
            let results = try Repetition(
                node: node, count: node.sizes([q.size(axis: 0)]), starts: nil, carried: [.tensor(state)], stacking: [.init(axis: 0, isReversed: false)]
            ) { scope, round, carried in
                guard case .tensor(var state)? = carried.first else { throw Unavailable() }
                let parts = try scanned.map { try token($0, round, scope, node) }
                var written = parts[2]
                if isGated { state.value = state.value * parts[3].unsqueezed(3) }
                if isDelta { written = parts[parts.count - 1] * (written - (state.value * parts[1].unsqueezed(3)).sum(2)) }
                state.value = state.value + parts[1].unsqueezed(3) * written.unsqueezed(2)
                // Each head of the keys serves several of the queries.
                let shared = parts[0].reshaping(to: [batch, .constant(groups), .constant(heads / groups), q.size(axis: 3)])
                let read = shared.matmul(state.value).reshaping(to: [batch, .constant(heads) * v.size(axis: 3)])
                return .init(goesOn: nil, carried: [.tensor(state)], stacked: [.tensor(read)])
            }.run()
            guard results.count == 2, case .tensor(let last) = results[0], case .tensor(let read) = results[1] else { throw Unavailable() }
            return [.tensor(read.value.permuting([1, 0, 2]).cast(to: queries.dtype)), .tensor(last.value.cast(to: past?.dtype ?? queries.dtype))]
        }),
    ]

    private static func scale(_ node: NodeContext, of queries: Value) throws -> Double {
        let scale = node.real("scale", 0)
        if scale != 0 { return scale }
        guard let size = queries.size(axis: 3).constant else { throw Unsupported(reason: "no scale, and heads whose size is not fixed") }
        return 1 / Double(max(size, 1)).squareRoot()
    }

    /// One token's part of what is scanned, in a round's scope.
    private static func token(_ x: Value, _ round: Value, _ scope: Scope, _ node: NodeContext) throws -> Value {
        guard scope.builder !== node.builder else {
            guard let number = scope.contents.elements(of: round)?.first?.size?.constant else { return x.take(round, axis: 0) }
            return x.select(axis: 0, index: number)
        }
        guard case .tensor(let inner) = scope.capture(.tensor(x)) else { throw Unavailable() }
        return inner.value.take(round, axis: 0)
    }
}
