// The bound for attention and its gradients: how far the roundings of scores, weights and sums may move each result.

import Foundation
import KilnIR
import KilnOps

extension Bound {
    /// A bound for each of an op's results.
    static func ofResults(_ op: OpDefinition, _ context: OpContext, _ operands: [Literal], _ expected: [Literal]) throws -> [Bound] {
        if case .attention(let form) = try op.form(context) { return try attention(form, op, context, operands, expected) }
        if expected.count == 1 { return [try of(op, context, operands, expected[0])] }
        return expected.map { _ in .exact }
    }

    /// Forward. A score is a sum of E products, scaled, and the mask: its error is at most δ = γ(E + 3) (scale Σ|q||k| + |mask|), and
    /// its weight's factor e^±δ; the exponential errs by 2 ulp, and each of the rescalings by a block's new maximum, of which there are
    /// at most as many as keys, by 3 more and the subtraction's rounding. Tensor cores take weights of short floats rounded to the operands'
    /// dtype: one more unit of that. With all weights off by a factor 1 ± ε, numerator and denominator each err by ε Σ p|v| at most,
    /// beside the rounding of their own sums over the keys.
    ///
    /// Backward: weights as before, without rescaling but with the logarithm's rounding; the products of cotangents and values err by
    /// γ(D + 1) Σ|dout||v|; the gradients are sums over keys (or rows and heads) of such, bounded by the same sums over magnitudes.
    private static func attention(_ form: Attention, _ op: OpDefinition, _ context: OpContext, _ operands: [Literal],
                                  _ expected: [Literal]) throws -> [Bound] {
        let unit = FloatFormat(form.accumulator).unitRoundoff
        let short = operands[0].dtype.byteCount == 2 ? FloatFormat(operands[0].dtype).unitRoundoff : 0
        let rank = operands[0].shape.count
        let (rows, keys) = (operands[0].shape[rank - 2], operands[1].shape[rank - 2])
        let (size, valueSize) = (operands[0].shape[rank - 1], operands[2].shape[rank - 1])
        let heads = max(1, operands[0].shape[rank - 3] / max(1, operands[1].shape[rank - 3]))
        func greatest(_ literal: Literal) -> Double { literal.doubles.reduce(0) { $1.isFinite ? max($0, abs($1)) : $0 } }
        let mask = form.mask == .added ? greatest(operands[form.maskOperand!]) : 0
        let score = abs(form.scale) * Double(size) * greatest(operands[0]) * greatest(operands[1]) + mask
        func result(_ number: Int, _ limits: [Double]) -> Bound {
            let format = FloatFormat(expected[number].dtype)
            return .absolute(zip(limits, expected[number].doubles).map { $0 + 2 * format.unitRoundoff * abs($1) + format.leastNonzero })
        }
        if form.direction == .forward {
            let blocks = Double(keys)
            let weight = expm1(3 * gamma(size + 3, unit) * score + blocks * (8 + score) * unit + short)
            let sums = gamma(keys + 2, unit)
            // The weighted mean of the values' magnitudes.
            var positive = operands
            positive[2] = Literal(.f64, operands[2].shape, doubles: operands[2].doubles.map { abs($0) })
            positive[0] = Literal(.f64, operands[0].shape, doubles: operands[0].doubles)
            positive[1] = Literal(.f64, operands[1].shape, doubles: operands[1].doubles)
            if form.mask == .added { positive[3] = Literal(.f64, operands[3].shape, doubles: operands[3].doubles) }
            let mean = try Interpreter.apply(op, positive, context.attributes, symbols: symbols(context, operands))[0].doubles
            let logarithm = 2 * weight + sums + 4 * unit * (score + Foundation.log(Double(max(keys, 2))))
            return [result(0, mean.map { $0 * 2 * (weight + sums) * 1.1 }), result(1, Array(repeating: logarithm, count: expected[1].count))]
        }
        let logs = greatest(operands[3])
        let weight = expm1(2 * gamma(size + 3, unit) * score + 8 * unit * (1 + score + logs))
        // What a weight can be at most, with logarithms that are what they are.
        let most = operands[3].doubles.reduce(1) { $1.isFinite ? max($0, exp(score - $1)) : max($0, exp(score)) }
        let product = Double(valueSize) * greatest(operands[4]) * greatest(operands[2]) + greatest(operands[5])
        let excess = abs(form.scale) * most * product * (weight + gamma(valueSize + 4, unit) + short)
        let total = abs(form.scale) * most * product
        /// The same limit for all of a result: a sum of terms, each a factor times a number of such a size and error.
        func sum(_ number: Int, _ terms: Int, _ error: Double, _ size: Double, _ factor: Literal) -> Bound {
            let limit = Double(terms) * greatest(factor) * (error + size * gamma(terms + 2, unit))
            return result(number, Array(repeating: limit, count: expected[number].count))
        }
        return [sum(0, keys, excess, total, operands[1]), sum(1, rows * heads, excess, total, operands[0]),
                sum(2, rows * heads, most * (weight + short), most, operands[4])]
    }

    /// The sizes that stand for themselves among the operands' dimensions.
    private static func symbols(_ context: OpContext, _ operands: [Literal]) -> [String: Int] {
        Dictionary(zip(context.operands.flatMap(\.shape), operands.flatMap(\.shape)).compactMap { dim, size in
            dim.symbols.count == 1 && dim == .symbol(dim.symbols[0]) ? (dim.symbols[0], size) : nil
        }, uniquingKeysWith: { first, _ in first })
    }

    private static func gamma(_ terms: Int, _ unit: Double) -> Double {
        let product = Double(terms) * unit
        return product < 1 ? product / (1 - product) : .infinity
    }
}
