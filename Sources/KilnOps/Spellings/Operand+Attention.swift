// Attention as PyTorch spells it: leading axes broadcast, the mask too, and few heads of keys may serve many of queries.

import KilnIR

extension Operand {
    /// `softmax(scale · self · keyᵀ + mask) · value` over the last two axes, as `torch.nn.functional.scaled_dot_product_attention`:
    /// a row that sees no key gives zeros.
    ///
    /// - Parameters:
    ///   - key: [batch…, heads, keys, size], for these queries [batch…, heads, rows, size]; axes before the last two broadcast.
    ///   - value: [batch…, heads, keys, value size]
    ///   - mask: what is added to the products, or, where it holds bools, which of them count; broadcast to [batch…, heads, rows, keys].
    ///   - isCausal: whether a row sees only keys up to its own position, and `causalOffset` more.
    ///   - scale: 1 / √size where there is none; the size is then a fixed number.
    ///   - enableGQA: whether keys and values may have fewer heads, a divisor of the queries', each of which serves as many in turn.
    public func scaledDotProductAttention(_ key: Self, _ value: Self, mask: Self? = nil, isCausal: Bool = false, causalOffset: Dim = 0,
                                          scale: Double? = nil, enableGQA: Bool = false, file: StaticString = #fileID, line: UInt = #line) -> Self {
        let location = SourceLocation(file, line)
        let name = Structural.attention.name
        guard rank >= 2, key.rank >= 2, value.rank >= 2 else {
            return mistaken(name, "takes tensors [batch…, heads, tokens, size]", with: [key, value], fix: "add the axes that are missing", at: location)
        }
        guard let scale = scale ?? dims[rank - 1].constant.map({ 1 / Double(Swift.max($0, 1)).squareRoot() }) else {
            return mistaken(name, "can't take the root of the size \(dims[rank - 1])", with: [key, value], fix: "give a scale", at: location)
        }
        // Without an axis for heads there is one head.
        let wanted = Swift.max(rank, key.rank, value.rank, 3)
        let (q, k, v) = (widened(to: wanted, at: location), key.widened(to: wanted, at: location), value.widened(to: wanted, at: location))
        let kept = enableGQA ? 3 : 2
        var batch: Shape? = Array(q.dims.dropLast(kept))
        for operand in [k, v] { batch = batch.flatMap { Shape.broadcast($0, Array(operand.dims.dropLast(kept))) } }
        guard let batch else {
            return mistaken(name, "can't broadcast the leading axes of \(type), \(key.type) and \(value.type)", with: [key, value],
                            fix: enableGQA ? "make them equal or 1" : "make them equal or 1, or enable GQA for fewer heads of keys", at: location)
        }
        func spread(_ operand: Self) -> Self { operand.broadcast(to: batch + operand.dims.suffix(kept), at: location) }
        let operands = [spread(q), spread(k), spread(v)]
        var scores = operands[0].dims
        scores[wanted - 1] = k.dims[wanted - 2]
        var all = operands
        if let mask {
            let fitting = mask.dtype == .bool ? mask : mask.casting(to: dtype, at: location)
            guard Shape.broadcast(fitting.dims, scores) == scores else {
                return mistaken(name, "can't broadcast the mask \(mask.type) to \(scores.text)", with: [key, value, mask],
                                fix: "give a mask whose sizes are those or 1", at: location)
            }
            all.append(fitting.broadcast(to: scores, at: location))
        }
        var attributes: Attributes = ["scale": .scalar(.real(scale))]
        if isCausal { attributes["causal"] = .dims([causalOffset]) }
        attributes["empty_is_zero"] = .bool(true)
        let result = Self.apply(Structural.attention, all, attributes, regions: [], at: location)[0]
        let most = Swift.max(rank, key.rank, value.rank)
        return result.rank == most ? result : result.reshaping(to: Array(result.dims.dropFirst()), at: location)
    }

    /// With as many axes: new ones of size 1 come first.
    private func widened(to rank: Int, at location: SourceLocation) -> Self {
        reshaping(to: Array(repeating: 1, count: rank - self.rank) + dims, at: location)
    }
}
