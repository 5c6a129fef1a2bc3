// What language models do along a sequence beside attention: rotary positions, causal convolutions, attention that is linear.

import KilnIR
import KilnOps

extension Operators {
    static let sequenceModels: [Operator] = [
        Operator("RotaryEmbedding") { node in
            let x = try node.tensor(0), positions = try node.tensorIfPresent(3)
            var (cos, sin) = (try node.tensor(1), try node.tensor(2))
            if let positions { (cos, sin) = (cos.take(positions, axis: 0), sin.take(positions, axis: 0)) }
            return try rotated(node, x, cos, sin, heads: node.integer("num_heads", 0), size: node.integer("rotary_embedding_dim", 0))
        },
        Operator("CausalConvWithState", items: { node in
            let x = try node.tensor(0), weight = try node.tensor(1)
            guard x.rank == 3, weight.rank == 3 else { throw node.mistake("takes an input and a weight of 3 axes") }
            guard let channels = weight.size(axis: 0).constant else { throw Unsupported(reason: "channels whose number is not fixed") }
            let kept = weight.size(axis: 2) - 1
            let padded = try node.tensorIfPresent(3).map { Value.concatenate([$0, x], axis: 2) } ?? x.padding(low: [0, 0, kept], high: [0, 0, 0])
            var y = padded.conv1d(weight, bias: try node.tensorIfPresent(2), groups: channels)
            switch node.text("activation", "none") {
            case "none": break
            case "silu", "swish": y = y.cast(to: y.dtype == .f64 ? .f64 : .f32).silu().cast(to: x.dtype)
            case let name: throw node.mistake("has the activation '\(name)'")
            }
            let state = padded.narrow(2, start: padded.size(axis: 2) - kept, length: kept)
            return [.tensor(y), .tensor(state)]
        }),
    ]

    /// Turns pairs of features by angles whose cosines and sines are [batch, tokens, size / 2]. `x` is [batch, heads, tokens, size], or
    /// [batch, tokens, heads · size].
    static func rotated(_ node: NodeContext, _ x: Value, _ cos: Value, _ sin: Value, heads: Int, size: Int,
                        isInterleaved: Bool? = nil) throws -> Value {
        guard x.rank == 4 || x.rank == 3 && heads > 0 else { throw node.mistake("takes an input of 4 axes, or of 3 and the number of heads") }
        let byHeads = x.rank == 4 ? x : x.reshaping(to: [x.size(axis: 0), x.size(axis: 1), .constant(heads), x.size(axis: 2) / .constant(heads)])
        let total = byHeads.size(axis: 3), turned = size > 0 ? Dim.constant(size) : total
        let part = byHeads.narrow(3, start: 0, length: turned), half = turned / 2
        let (c, s) = (cos.unsqueezed(x.rank == 4 ? 1 : 2), sin.unsqueezed(x.rank == 4 ? 1 : 2))
        func turn(_ a: Value, _ b: Value) -> (Value, Value) { (c * a - s * b, s * a + c * b) }
        var result: Value
        if isInterleaved ?? node.flag("interleaved") {
            let pairs = part.reshaping(to: Array(part.dims.dropLast()) + [half, 2])
            let (a, b) = turn(pairs.select(axis: 4, index: 0), pairs.select(axis: 4, index: 1))
            result = Value.stack([a, b], axis: 4).reshaping(to: part.dims)
        } else {
            let (a, b) = turn(part.narrow(3, start: 0, length: half), part.narrow(3, start: half, length: half))
            result = .concatenate([a, b], axis: 3)
        }
        if turned != total { result = .concatenate([result, byHeads.narrow(3, start: turned, length: total - turned)], axis: 3) }
        return result.reshaping(to: x.dims)
    }
}
