// Finds attention that is written out: contraction → scale, mask → softmax → contraction becomes one op that streams.
// A graph of any front end comes in. The op rounds once where the ops written out round each result, and a key that a causal mask
// hides has no part in the result even where its value is NaN or infinite; otherwise nothing changes, rows without a key included: they
// are NaN where masks fill in -∞, and the mean of all values where they fill in a number.

import KilnIR
import KilnOps

/// The pass that finds attention.
public enum FindAttention {
    public static func apply(to graph: Graph) throws -> Graph {
        // Without a softmax there is none, and the graph need not be gone through rule by rule.
        guard graph.operations.contains(where: { $0.op === Elementwise.exp || !$0.regions.isEmpty }) else { return graph }
        let (result, count) = try RewriteDriver([rule]).applyCounting(graph)
        return count == 0 ? graph : try DeadCode.apply(to: result)
    }

    private static let rule = Rule("attention", .fastMath, roots: [Structural.contract], examples: { [] }) { site in
        for side in 0..<2 { if let found = WrittenAttention(site, weights: side) { return [found.value(at: site)] } }
        return nil
    }
}

/// The parts of an attention that ends in a contraction of weights and values.
private struct WrittenAttention {
    private var queries: ValueID, keys: ValueID
    private let values: ValueID
    /// The product of queries and keys, and that of weights and values.
    private let scores: Operation
    private let weightsSide: Int
    private var scale = 1.0
    private var added: ValueID?
    private var hidden: HiddenScores?
    private var causal: Int?
    /// Whether weights that are NaN, as those of a row without a key are, are made 0.
    private var isGuarded = false

    /// - Parameter side: the number of the last contraction's operand that is the softmax.
    init?(_ site: RewriteSite, weights side: Int) {
        let unguarded = Self.unguarded(site, site.operation.operands[side])
        isGuarded = unguarded != site.operation.operands[side]
        guard site.isOnlyUse(ofOperand: side), let softmax = Self.softmax(site, unguarded) else { return nil }
        weightsSide = side
        values = site.operation.operands[1 - side]
        var value = softmax
        var found: (scale: Double, added: ValueID?, hidden: HiddenScores?, causal: Int?) = (1, nil, nil, nil)
        /// The innermost operation is the product of queries and keys; on the way to it are its scale and masks.
        walk: while true {
            guard let made = site.definition(of: value) else { return nil }
            switch made.op {
            case Structural.contract:
                break walk
            case Structural.reshape:
                value = made.operands[0]
            case Elementwise.cast where site.type(of: made.operands[0]).dtype.isFloat:
                value = made.operands[0]
            case Elementwise.mul:
                guard let number = made.operands.indices.first(where: { site.uniform(made.operands[$0]) != nil }) else { return nil }
                found.scale *= site.uniform(made.operands[number])!.double
                value = made.operands[1 - number]
            case Elementwise.div:
                guard let divisor = site.uniform(made.operands[1]) else { return nil }
                found.scale /= divisor.double
                value = made.operands[0]
            case Elementwise.add:
                // What is scaled after the sum scales the mask too.
                guard found.added == nil, found.scale == 1,
                    let inner = made.operands.indices.first(where: { Self.leadsToProduct(site, made.operands[$0]) }) else { return nil }
                found.added = made.operands[1 - inner]
                value = made.operands[inner]
            case Elementwise.select:
                // What is added to the fill would make it anything else, so it is added to what the mask leaves.
                guard found.hidden == nil, found.causal == nil, found.scale > 0, found.added == nil,
                    let (hidden, scores) = HiddenScores.found(site, made, scale: found.scale) else { return nil }
                if let offset = Self.causalOffset(site, hidden.condition, hides: hidden.isHiding), hidden.isInfinite || offset >= 0 && hidden.isBelowAllScores {
                    found.causal = offset
                } else { found.hidden = hidden }
                value = scores
            default: return nil
            }
        }
        guard let product = site.definition(of: value), found.scale.isFinite else { return nil }
        scores = product
        (queries, keys) = (product.operands[0], product.operands[1])
        (scale, added, hidden, causal) = found
        // One mask can't do both, but for rows that see a key.
        if added != nil, let hidden, !hidden.isInfinite, !hidden.isBelowAllScores { return nil }
        guard fits(site) else { return nil }
    }

    /// What a value is before its NaNs are made 0, where that is done.
    private static func unguarded(_ site: RewriteSite, _ weights: ValueID) -> ValueID {
        var value = weights
        while let made = site.definition(of: value), made.op === Structural.reshape || made.op === Elementwise.cast { value = made.operands[0] }
        guard let choice = site.definition(of: value), choice.op === Elementwise.select, site.uniform(choice.operands[1])?.double == 0,
            let test = site.definition(of: choice.operands[0]), test.op === Elementwise.isNaN, test.operands[0] == choice.operands[2] else { return weights }
        return choice.operands[2]
    }

    /// What goes into a softmax along the last axis, where the value is one, perhaps reshaped or cast.
    private static func softmax(_ site: RewriteSite, _ weights: ValueID) -> ValueID? {
        var value = weights
        while let made = site.definition(of: value), made.op === Structural.reshape || made.op === Elementwise.cast { value = made.operands[0] }
        guard let quotient = site.definition(of: value), quotient.op === Elementwise.div, site.type(of: value).dtype.isFloat,
            let exponential = site.definition(of: quotient.operands[0]), exponential.op === Elementwise.exp,
            let total = reduced(site, quotient.operands[1], Structural.reduceSum), total == quotient.operands[0],
            let difference = site.definition(of: exponential.operands[0]), difference.op === Elementwise.sub,
            let greatest = reduced(site, difference.operands[1], Structural.reduceMax), greatest == difference.operands[0] else { return nil }
        return greatest
    }

    /// The value of which this is a reduction along the last axis, repeated along it.
    private static func reduced(_ site: RewriteSite, _ value: ValueID, _ op: OpDefinition) -> ValueID? {
        var value = value
        while let made = site.definition(of: value), made.op === Structural.broadcast || made.op === Structural.reshape { value = made.operands[0] }
        guard let made = site.definition(of: value), made.op === op, made.attributes.ints("axes") == [site.type(of: made.operands[0]).rank - 1] else { return nil }
        return made.operands[0]
    }

    private static func leadsToProduct(_ site: RewriteSite, _ value: ValueID) -> Bool {
        var value = value
        while let made = site.definition(of: value) {
            if made.op === Structural.contract { return true }
            guard [Structural.reshape, Elementwise.cast, Elementwise.mul, Elementwise.div].contains(where: { $0 === made.op }) else { return false }
            value = made.operands.first { site.uniform($0) == nil } ?? made.operands[0]
        }
        return false
    }

    /// The offset of a condition that says that a key's position is at most the row's and so much more; or of one that says that it is not.
    private static func causalOffset(_ site: RewriteSite, _ condition: ValueID, hides: Bool) -> Int? {
        var value = condition
        while let made = site.definition(of: value), made.op === Structural.broadcast {
            // The last two axes stay the last two.
            let rank = site.type(of: value).rank, axes = made.attributes.ints("axes")
            guard axes.suffix(2) == [rank - 2, rank - 1], site.type(of: made.operands[0]).shape.suffix(2) == site.type(of: value).shape.suffix(2) else { return nil }
            value = made.operands[0]
        }
        guard let made = site.definition(of: value), made.operands.count == 2 else { return nil }
        func axis(_ operand: ValueID) -> Int? {
            guard let iota = site.definition(of: operand), iota.op === Elementwise.iota else { return nil }
            return iota.attributes.int("axis") - site.type(of: operand).rank
        }
        let order = (axis(made.operands[0]), axis(made.operands[1]))
        guard order == (-1, -2) || order == (-2, -1) else { return nil }
        // As if the key stood first.
        let isFirst = order == (-1, -2)
        switch made.op {
        case Elementwise.le where isFirst, Elementwise.ge where !isFirst: return hides ? nil : 0
        case Elementwise.lt where isFirst, Elementwise.gt where !isFirst: return hides ? nil : -1
        case Elementwise.gt where isFirst, Elementwise.lt where !isFirst: return hides ? 0 : nil
        case Elementwise.ge where isFirst, Elementwise.le where !isFirst: return hides ? -1 : nil
        default: return nil
        }
    }

    /// Whether axes and dtypes are an attention's: one axis summed and one free in each operand, batch axes in one order.
    private func fits(_ site: RewriteSite) -> Bool {
        let last = site.operation
        let name = weightsSide == 0 ? "left" : "right"
        let count = last.attributes.ints("left_batch").count
        let shape = site.type(of: scores.results[0]).shape
        let dtype = site.type(of: queries).dtype
        let masks = [added, hidden?.condition].compactMap { $0 }
        return scores.attributes.ints("left_reduce").count == 1 && last.attributes.ints("left_reduce").count == 1
            && scores.attributes.ints("left_batch").count == count && shape.count == count + 2 && site.type.rank == count + 2
            && site.type(of: last.operands[weightsSide]).shape == shape && last.attributes.ints("\(name)_batch") == Array(0..<count)
            && last.attributes.ints("\(name)_reduce") == [count + 1] && [keys, values].allSatisfy { site.type(of: $0).dtype == dtype }
            && [DType.f16, .bf16, .f32, .f64].contains(dtype) && site.type.dtype == dtype
            && masks.allSatisfy { mask in
                let type = site.type(of: mask)
                return (type.dtype == .bool || type.dtype == dtype) && type.elementCount == shape.reduce(1, *)
            }
    }

    /// The op in place of the last contraction.
    func value(at site: RewriteSite) -> Value {
        let last = site.attributes
        let count = last.ints("left_batch").count
        /// [batch…, tokens, size], with an axis for heads where there is none.
        func arranged(_ value: ValueID, _ batch: [Int], size: Int) -> Value {
            let tokens = (0..<count + 2).first { !batch.contains($0) && $0 != size }!
            let moved = site.value(value).permuting(batch + [tokens, size])
            return count > 0 ? moved : moved.reshaping(to: [1] + moved.dims)
        }
        let q = arranged(queries, scores.attributes.ints("left_batch"), size: scores.attributes.ints("left_reduce")[0])
        let k = arranged(keys, scores.attributes.ints("right_batch"), size: scores.attributes.ints("right_reduce")[0])
        let side = weightsSide == 0 ? "right" : "left"
        let (batch, tokens) = (last.ints("\(side)_batch"), last.ints("\(side)_reduce")[0])
        let size = (0..<count + 2).first { !batch.contains($0) && $0 != tokens }!
        let v = arranged(values, batch, size: size)
        let shape = Array(q.dims.dropLast()) + [k.dims[k.rank - 2]]
        var attributes: Attributes = ["scale": .scalar(.real(scale))]
        if let causal { attributes["causal"] = .dims([.constant(causal)]) }
        attributes["empty_is_zero"] = .bool(isGuarded)
        func attending(_ mask: Value?) -> Value {
            site.builder.append(Structural.attention, [q, k, v] + (mask.map { [$0] } ?? []), attributes, at: site.operation.location)[0]
        }
        let bias = added.map { site.value($0).reshaping(to: shape) }, chosen = hidden?.chosen(site).reshaping(to: shape)
        var result: Value
        switch (bias, chosen) {
        case (nil, nil): result = attending(nil)
        case (let mask?, nil): result = attending(mask)
        case (nil, let chosen?):
            if let fill = hidden?.fill, fill.isFinite { attributes["fill"] = .scalar(.real(fill)) }
            result = attending(chosen)
        case (let bias?, let chosen?):
            result = attending(site.apply(Elementwise.select, [chosen, bias, bias.full(.real(-.infinity), bias.type, at: site.operation.location)]))
            if hidden?.isInfinite == false {
                let axis = v.rank - 2, means = v.mean([axis], keepDims: true).expand(result.dims)
                result = site.apply(Elementwise.select, [chosen.any(chosen.rank - 1, keepDims: true).expand(result.dims), result, means])
            }
        }
        let flat = count > 0 ? result : result.reshaping(to: Array(result.dims.dropFirst()))
        return weightsSide == 0 ? flat : flat.permuting(Array(0..<count) + [count + 1, count])
    }
}

/// A choice between scores and a number that stands in their place.
private struct HiddenScores {
    let condition: ValueID
    /// Whether the condition is true where scores are hidden, not where they are kept.
    let isHiding: Bool
    /// What hidden scores are when the softmax sees them.
    let fill: Double
    private let dtype: DType

    /// A choice that leads to scores on one side; they and the number are multiplied by the scale afterwards.
    static func found(_ site: RewriteSite, _ choice: Operation, scale: Double) -> (hidden: HiddenScores, scores: ValueID)? {
        for (filled, kept) in [(2, 1), (1, 2)] {
            guard let number = site.uniform(choice.operands[filled])?.double, !number.isNaN else { continue }
            let dtype = site.type(of: choice.operands[filled]).dtype
            let fill = Literal(dtype, [], doubles: [number * scale])[0].double
            guard fill < .infinity else { return nil }
            return (HiddenScores(condition: choice.operands[0], isHiding: filled == 1, fill: fill, dtype: dtype), choice.operands[kept])
        }
        return nil
    }

    var isInfinite: Bool { fill == -.infinity }

    /// Whether a hidden key has no weight beside any that is seen: the fill is less than scores of the dtype are.
    /// What models write as -1e9 is -0.998e9 in bf16.
    var isBelowAllScores: Bool { fill <= (dtype == .f16 ? -60_000 : -0.99e9) }

    /// True where a score is kept.
    func chosen(_ site: RewriteSite) -> Value { isHiding ? site.apply(Elementwise.not, [site.value(condition)]) : site.value(condition) }
}
