// Attention and its gradients as ops, so that kernels can stream: [batch…, heads, tokens, size] come in, and no matrix of scores is made.
// (A. Vaswani et al., "Attention Is All You Need", 2017; T. Dao, "FlashAttention-2", 2023.)

import KilnIR

extension Structural {
    static let attentions = [attention, attentionBackward]

    /// Those of the gradients; forward, scores that a mask of bools hides may be another number than -∞.
    private static let attributes = ["scale", "causal", "empty_is_zero"]

    /// `softmax(scale · q · kᵀ + mask) · v`, and the logarithm of each row's sum of exponentials, in f32 (f64 for f64).
    ///
    /// Operands: queries [batch…, heads, rows, size], keys [batch…, groups, keys, size], values [batch…, groups, keys, value size], and
    /// perhaps a mask [batch…, heads, rows, keys] that is added or, of dtype bool, says which scores are kept; the others become `fill`, or -∞. `groups` divides `heads`.
    /// With `causal`, a list of one number, row i sees keys up to i plus that number. A row that sees no key is NaN, or 0 with `empty_is_zero`.
    public static let attention = OpDefinition(
        "attention", operandCount: nil, attributes: attributes + ["fill"], dtypes: [.f16, .bf16, .f32, .f64],
        rule: { rule in
            let shapes = try AttentionShapes(&rule, operands: 3)
            return [TensorType(rule.operand.dtype, shapes.result), TensorType(accumulator(rule.operand.dtype, result: rule.operand.dtype), shapes.rows)]
        },
        form: { .attention(attentionForm(.forward, $0)) },
        pullback: { attentionPullback($0) },
        samples: { attentionSamples($0, .forward) })

    /// The gradients of `attention` with respect to queries, keys and values. Operands: those three, the logarithms that `attention` gave,
    /// the result's cotangent, the sum over each row of the products of result and cotangent (less the logarithms' cotangent), the mask.
    public static let attentionBackward = OpDefinition(
        "attention_backward", operandCount: nil, attributes: attributes, dtypes: [.f16, .bf16, .f32, .f64],
        rule: { rule in
            let shapes = try AttentionShapes(&rule, operands: 6)
            let kept = accumulator(rule.operand.dtype, result: rule.operand.dtype)
            for (number, name, type) in [(3, "logarithms", TensorType(kept, shapes.rows)), (4, "cotangent", TensorType(rule.operand.dtype, shapes.result)),
                                         (5, "sums", TensorType(kept, shapes.rows))] {
                try rule.demand(rule.operands[number].dtype == type.dtype && rule.operands[number].rank == type.rank,
                                "the \(name) are a \(rule.operands[number])", fix: "pass a \(type)")
                for (a, b) in zip(rule.operands[number].shape, type.shape) {
                    try rule.requireEqual(a, b, "the \(name) have a size \(a) that should be \(b)", fix: "pass a \(type)")
                }
            }
            return Array(rule.operands.prefix(3))
        },
        form: { .attention(attentionForm(.backward, $0)) },
        pullback: { AttentionGradient($0.context, $0.operands).pullback($0.cotangents) },
        samples: { attentionSamples($0, .backward) })

    private static func attentionForm(_ direction: Attention.Direction, _ context: OpContext) -> Attention {
        let operands = context.operands
        let count = direction == .forward ? 3 : 6
        let mask: Attention.Mask = operands.count == count ? .none : operands[count].dtype == .bool ? .chosen : .added
        return Attention(direction: direction, scale: context.attributes.scalar("scale")?.double ?? 1,
                         causalOffset: context.attributes.dims("causal").first, mask: mask, fill: context.attributes.scalar("fill")?.double ?? -.infinity,
                         emptyRowsAreZero: context.attributes.bool("empty_is_zero"), accumulator: accumulator(operands[0].dtype, result: operands[0].dtype))
    }

    /// The streaming op gives the gradients of queries, keys and values; the mask's, which has the scores' size, is composed of plain ops
    /// and left out by dead code where nobody wants it.
    private static func attentionPullback(_ pull: PullbackContext) -> [Value?] {
        let (q, result, logarithms) = (pull.operands[0], pull.results[0], pull.results[1])
        let cotangent = pull.cotangents[0] ?? result.filled(0)
        let rows = [result.rank - 1]
        var sums = result.casting(to: logarithms.dtype).multiplied(by: cotangent.casting(to: logarithms.dtype)).reducing(reduceSum, rows)
        if let direct = pull.cotangents[1] { sums = sums.subtracted(direct) }
        let operands = Array(pull.operands.prefix(3)) + [logarithms, cotangent, sums] + pull.operands.dropFirst(3)
        // Hidden scores have weights then, and no gradients: the streaming op knows hidden ones as those without a weight.
        if pull.attributes.scalar("fill").map({ $0.double > -.infinity }) ?? false, pull.operands.count == 4, pull.operands[3].dtype == .bool {
            return AttentionGradient(OpContext(op: attentionBackward, operands: operands.map(\.type), attributes: pull.attributes), operands).gradients + [nil]
        }
        let gradients = q.builder.append(attentionBackward, operands, pull.attributes)
        guard gradients.count == 3 else { return pull.operands.map { _ in gradients[0] } }
        if pull.operands.count == 3 { return gradients }
        let mask = pull.operands[3]
        let context = OpContext(op: attentionBackward, operands: operands.map(\.type), attributes: pull.attributes)
        return gradients + [mask.dtype.isFloat ? AttentionGradient(context, operands).maskGradient(as: mask.type) : nil]
    }

    private static func attentionSamples(_ dtype: DType, _ direction: Attention.Direction) -> [OpSample] {
        func sample(_ batch: Shape, heads: (Int, Int), rows: Dim, keys: Dim, sizes: (Int, Int), causal: Dim? = nil, mask: DType? = nil,
                    zero: Bool = true, fill: Double? = nil) -> OpSample {
            let q = batch + [.constant(heads.0), rows], k = batch + [.constant(heads.1), keys]
            var types = [TensorType(dtype, q + [.constant(sizes.0)]), TensorType(dtype, k + [.constant(sizes.0)]), TensorType(dtype, k + [.constant(sizes.1)])]
            let kept = accumulator(dtype, result: dtype)
            if direction == .backward { types += [TensorType(kept, q), TensorType(dtype, q + [.constant(sizes.1)]), TensorType(kept, q)] }
            if let mask { types.append(TensorType(mask, q + [keys])) }
            var attributes: Attributes = ["scale": .scalar(.real(0.5))]
            if let causal { attributes["causal"] = .dims([causal]) }
            attributes["empty_is_zero"] = .bool(zero)
            if let fill, direction == .forward { attributes["fill"] = .scalar(.real(fill)) }
            return OpSample(types, attributes, domain: -1...1)
        }
        return [sample([2], heads: (2, 2), rows: 3, keys: 5, sizes: (4, 4)),
                sample([], heads: (4, 2), rows: 5, keys: 3, sizes: (3, 7), causal: 0),
                sample([1, 2], heads: (1, 1), rows: 4, keys: 6, sizes: (8, 2), causal: 2, mask: dtype),
                sample([2], heads: (3, 1), rows: 3, keys: 4, sizes: (4, 5), mask: .bool),
                sample([1], heads: (2, 1), rows: 5, keys: 3, sizes: (4, 2), mask: .bool, zero: false, fill: -10_000),
                sample(["n"], heads: (2, 1), rows: "n", keys: 7, sizes: (2, 3), causal: 7 - "n"),
                sample([], heads: (1, 1), rows: 1, keys: 1, sizes: (1, 1), zero: false),
                sample([2], heads: (2, 2), rows: 0, keys: 3, sizes: (2, 2))]
    }
}

/// The shapes of one attention, found from its operands.
struct AttentionShapes {
    /// [batch…, heads, rows], and with the values' size.
    var rows: Shape
    var result: Shape

    /// Checks queries, keys, values and the mask that may follow `operands` operands.
    init(_ rule: inout ShapeRule, operands count: Int) throws {
        try rule.demand(rule.operands.count == count || rule.operands.count == count + 1, "takes \(count) operands and perhaps a mask",
                        fix: "pass queries, keys, values\(count == 3 ? "" : ", logarithms, a cotangent, sums") and at most one mask")
        try rule.demandDType(in: [.f16, .bf16, .f32, .f64])
        let (q, k, v) = (rule.operands[0], rule.operands[1], rule.operands[2])
        try rule.demand(k.dtype == q.dtype && v.dtype == q.dtype, "queries, keys and values are of dtypes \(q.dtype), \(k.dtype), \(v.dtype)",
                        fix: "cast them to one")
        try rule.demand(q.rank >= 3 && k.rank == q.rank && v.rank == q.rank, "takes queries, keys and values of equal rank, at least 3",
                        fix: "give each the shape [batch…, heads, tokens, size]")
        let batch = q.rank - 3
        for (number, operand) in [(1, k), (2, v)] {
            for axis in 0..<batch {
                try rule.requireEqual(q.shape[axis], operand.shape[axis], "axis \(axis) is \(q.shape[axis]) for queries, \(operand.shape[axis]) for operand \(number)",
                                      fix: "make the batch sizes equal")
            }
        }
        let (heads, groups) = (q.shape[batch], k.shape[batch])
        try rule.requireEqual(groups, v.shape[batch], "keys have \(groups) heads, values \(v.shape[batch])", fix: "give values as many heads as keys")
        if heads != groups {
            guard let many = heads.constant, let few = groups.constant, few > 0, many % few == 0 else {
                throw rule.error("queries have \(heads) heads, keys \(groups)", fix: "give keys a fixed number of heads that divides the queries'")
            }
        }
        try rule.requireEqual(q.shape[batch + 2], k.shape[batch + 2], "queries are of size \(q.shape[batch + 2]), keys of \(k.shape[batch + 2])",
                              fix: "make the sizes equal")
        try rule.requireEqual(k.shape[batch + 1], v.shape[batch + 1], "there are \(k.shape[batch + 1]) keys and \(v.shape[batch + 1]) values",
                              fix: "give one value for each key")
        rows = Array(q.shape.prefix(batch + 2))
        result = rows + [v.shape[batch + 2]]
        if case .dims(let offsets)? = rule.attributes["causal"] {
            try rule.demand(offsets.count <= 1, "`causal` has \(offsets.count) numbers", fix: "give one offset")
        }
        guard rule.operands.count > count else { return }
        let (mask, scores) = (rule.operands[count], rows + [k.shape[batch + 1]])
        try rule.demand(mask.dtype == .bool || mask.dtype == q.dtype, "the mask is of dtype \(mask.dtype)", fix: "pass bool or \(q.dtype)")
        try rule.demand(mask.rank == scores.count, "the mask is a \(mask)", fix: "expand it to \(scores.text)")
        for (a, b) in zip(mask.shape, scores) {
            try rule.requireEqual(a, b, "the mask has a size \(a) that should be \(b)", fix: "expand it to \(scores.text)")
        }
    }
}
