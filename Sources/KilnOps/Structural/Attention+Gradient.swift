// What attention's gradients are made of, in plain ops: for the mask's gradient, and for gradients of gradients.
//
//     S = scale q kᵀ + mask,  P = exp(S - log),  D = P ∘ (dout vᵀ - sums)
//     dq = scale D k,  dk = scale Dᵀ q,  dv = Pᵀ dout,  dmask = D

import KilnIR

/// The formula of `attention_backward` on values: heads that share keys are an axis of their own, [batch…, groups, ratio, rows, …].
struct AttentionGradient {
    private let context: OpContext
    private let form: Attention
    private let types: [TensorType]
    private let q, k, v, logarithms, cotangent, sums, scores: Value
    /// Which scores a mask of bools keeps.
    private let chosen: Value?
    /// Axes before the rows of the queries, and before those of the keys.
    private let outer: Int
    private var batch: [Int] { Array(0..<outer - 1) }

    /// - Precondition: the operands were checked.
    init(_ context: OpContext, _ operands: [Value]) {
        guard case .attention(let form)? = try? context.op.form(context) else { preconditionFailure("attention has another form") }
        self.context = context
        self.form = form
        types = context.operands
        let dtype = form.accumulator
        let rank = types[0].rank
        outer = rank - 1
        let groups = types[1].shape[rank - 3]
        let ratio: Dim = types[0].shape[rank - 3] == groups ? 1 : .constant(types[0].shape[rank - 3].constant! / groups.constant!)
        func grouped(_ value: Value) -> Value {
            var shape = value.dims
            shape.replaceSubrange(rank - 3...rank - 3, with: [groups, ratio])
            return value.casting(to: dtype == value.dtype || value.dtype == .bool ? value.dtype : dtype).reshaping(to: shape)
        }
        q = grouped(operands[0])
        k = operands[1].casting(to: dtype)
        v = operands[2].casting(to: dtype)
        logarithms = grouped(operands[3])
        cotangent = grouped(operands[4])
        sums = grouped(operands[5])
        var scores = q.contracting(k, batch: (Array(0..<outer - 1), Array(0..<outer - 1)), reduce: ([outer + 1], [outer]))
        scores = scores.multiplied(by: scores.filled(.real(form.scale)))
        if form.mask == .added { scores = scores.added(grouped(operands[6])) }
        let nothing = scores.filled(.real(-.infinity))
        chosen = form.mask == .chosen ? grouped(operands[6]) : nil
        if let chosen { scores = scores.chosen(where: chosen, else: scores.filled(.real(form.fill))) }
        if let offset = form.causalOffset {
            let row = scores.iota(.i64, scores.dims, axis: outer), key = scores.iota(.i64, scores.dims, axis: outer + 1)
            // The offset is the difference of two sizes, for only those are values; one below minus the rows hides all keys as well.
            let rows = scores.dims[outer]
            let bound = row.added(row.extent(Dim.maximum(rows + offset, 0))).subtracted(row.extent(rows))
            scores = scores.chosen(where: key.compared(Elementwise.le, bound), else: nothing)
        }
        self.scores = scores
    }

    /// P and D.
    private var weights: (p: Value, excess: Value) {
        var logarithms = self.logarithms
        if form.emptyRowsAreZero {
            let isEmpty = logarithms.compared(Elementwise.eq, logarithms.filled(.real(-.infinity)))
            logarithms = logarithms.filled(0).chosen(where: isEmpty, else: logarithms)
        }
        let p = Value.apply(Elementwise.exp, scores.subtracted(along(logarithms)), at: .unknown)
        let products = cotangent.contracting(v, batch: (batch, batch), reduce: ([outer + 1], [outer]))
        return (p, products.subtracted(along(sums)))
    }

    /// A number for each row, repeated along the keys.
    private func along(_ rows: Value) -> Value { rows.repeating(over: [outer + 1], of: scores.dims) }

    /// The sum over the keys of scores times keys or values: [batch…, groups, ratio, rows, size].
    private func overKeys(_ scores: Value, _ other: Value) -> Value {
        scores.contracting(other, batch: (batch, batch), reduce: ([outer + 1], [outer - 1]))
    }

    /// The sum over the rows, of all heads that share a key: [batch…, groups, keys, size].
    private func overRows(_ scores: Value, _ other: Value) -> Value {
        scores.contracting(other, batch: (batch, batch), reduce: ([outer - 1, outer], [outer - 1, outer]))
    }

    private func result(_ value: Value, _ number: Int) -> Value { value.casting(to: types[number].dtype).reshaping(to: types[number].shape) }

    /// The gradients of queries, keys and values; a score that the mask replaces has none.
    var gradients: [Value] {
        let (p, excess) = weights
        var d = p.multiplied(by: excess)
        if let chosen { d = d.chosen(where: chosen, else: d.filled(0)) }
        let scaled = d.multiplied(by: d.filled(.real(form.scale)))
        return [overKeys(scaled, k), overRows(scaled, q), overRows(p, cotangent)].enumerated().map { result($1, $0) }
    }

    /// The mask's gradient.
    func maskGradient(as type: TensorType) -> Value {
        let (p, excess) = weights
        return p.multiplied(by: excess).casting(to: type.dtype).reshaping(to: type.shape)
    }

    /// The gradients of `attention_backward`'s operands, given those of its results.
    func pullback(_ cotangents: [Value?]) -> [Value?] {
        let (p, excess) = weights
        let d = p.multiplied(by: excess)
        let scale = p.filled(.real(form.scale))
        let grouped = { (value: Value?, like: Value) in value?.casting(to: form.accumulator).reshaping(to: like.dims) }
        let (a, b, c) = (grouped(cotangents[0], q), grouped(cotangents[1], k), grouped(cotangents[2], v))
        func scores(_ left: Value, _ right: Value) -> Value { left.contracting(right, batch: (batch, batch), reduce: ([outer + 1], [outer])) }
        func sum(_ values: [Value?]) -> Value? {
            values.compactMap { $0 }.reduce(nil) { (sum: Value?, next: Value) in sum.map { $0.added(next) } ?? next }
        }
        let towardsD = sum([a.map { scores($0, k) }, b.map { scores(q, $0) }])?.multiplied(by: scale)
        let towardsP = sum([towardsD.map { $0.multiplied(by: excess) }, c.map { scores(cotangent, $0) }])
        let towardsProducts = towardsD.map { $0.multiplied(by: p) }
        let towardsScores = towardsP.map { $0.multiplied(by: p) }
        let (scaledScores, scaledD) = (towardsScores.map { $0.multiplied(by: scale) }, d.multiplied(by: scale))
        let gradients = [
            sum([scaledScores.map { overKeys($0, k) }, b.map { overKeys(scaledD, $0) }]),
            sum([scaledScores.map { overRows($0, q) }, a.map { overRows(scaledD, $0) }]),
            towardsProducts.map { overRows($0, cotangent) },
            towardsScores.map { negated($0.reducing(Structural.reduceSum, [outer + 1])) },
            sum([towardsProducts.map { overKeys($0, v) }, c.map { overKeys(p, $0) }]),
            towardsProducts.map { negated($0.reducing(Structural.reduceSum, [outer + 1])) },
        ]
        let all = gradients.enumerated().map { number, gradient in gradient.map { result($0, number) } }
        if types.count == 6 { return all }
        return all + [types[6].dtype.isFloat ? towardsScores.map { result($0, 6) } : nil]
    }

    private func negated(_ value: Value) -> Value { .apply(Elementwise.neg, value, at: .unknown) }
}
