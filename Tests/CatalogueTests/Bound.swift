// How far a kernel's results may be from the interpreter's: an op on given operands comes in, a bound for each element goes out,
// derived from how the two compute and not from what was seen.

import KilnIR
import KilnOps

/// The agreement that is asked of a kernel.
enum Bound {
    /// Every bit, NaNs aside, which need only be NaNs.
    case exact
    /// Units in the last place of the exact value, which stands beside for each element.
    case ulp(Double, exact: [Double])
    /// Absolute distances.
    case absolute([Double])
}

extension Bound {
    /// The bound for an op's first result.
    ///
    /// Elementwise: f32 within the op's stated ulp of the reference meaning in Double; f64 within two ulp, or the statement where that is
    /// more; f16 and bf16, which are computed in f32 and rounded once, within one ulp and what the f32 was off. Ops that state
    /// 0 are correctly rounded on both sides, so every bit agrees.
    ///
    /// Sums of n terms t (reductions, scans, contractions, scattered additions): in any order, with a unit roundoff u in the accumulator,
    /// the error is at most γₙ Σ|t| with γₙ = n u / (1 - n u) (N. J. Higham, "Accuracy and Stability of Numerical Algorithms", 2002, §4.2);
    /// the interpreter's own is the same with u = 2⁻⁵³, and each side rounds to the result's dtype once more.
    /// Products of n factors: γₙ times the product, and one least number for each factor that underflowed.
    static func of(_ op: OpDefinition, _ context: OpContext, _ operands: [Literal], _ expected: Literal) throws -> Bound {
        guard expected.dtype.isFloat else { return .exact }
        switch try op.form(context) {
        case .elementwise:
            return elementwise(op, operands, expected)
        case .reduce(.sum, let axes):
            let terms = axes.reduce(1) { $0 * operands[0].shape[$1] }
            return .sum(terms, operands[0].dtype, try magnitudes(op, context, operands), expected)
        case .scan(.sum, let axis, _, _):
            return .sum(operands[0].shape[axis], operands[0].dtype, try magnitudes(op, context, operands), expected)
        case .contract(let contraction):
            let symbols = Dictionary(zip(context.operands.flatMap(\.shape), operands.flatMap(\.shape)).compactMap { dim, size in
                dim.symbols.count == 1 && dim == .symbol(dim.symbols[0]) ? (dim.symbols[0], size) : nil
            }, uniquingKeysWith: { first, _ in first })
            let terms = contraction.sizes.dropFirst(contraction.outputRank).reduce(1) { $0 * ($1.evaluate(symbols: symbols) ?? 0) }
            return .sum(terms + 1, contraction.accumulator, try magnitudes(op, context, operands), expected)
        case .scatter(.add, _):
            return .sum(operands[1].count + 1, expected.dtype, try magnitudes(op, context, operands), expected)
        case .reduce(.product, let axes):
            return .product(axes.reduce(1) { $0 * operands[0].shape[$1] }, expected)
        case .scan(.product, let axis, _, _):
            return .product(operands[0].shape[axis], expected)
        case .scatter(.multiply, _):
            return .product(operands[1].count + 1, expected, accumulator: expected.dtype)
        default:
            return .exact
        }
    }

    private static func elementwise(_ op: OpDefinition, _ operands: [Literal], _ expected: Literal) -> Bound {
        guard op.ulp > 0, let real = op.reference?.real else { return isRoundedTwice(op, expected.dtype) ? .within(1, expected) : .exact }
        let columns = operands.map(\.doubles)
        let exact = (0..<expected.count).map { position in real(columns.map { $0[position] }) }
        switch expected.dtype {
        case .f32: return .ulp(op.ulp, exact: exact)
        case .f64: return .ulp(max(2, op.ulp), exact: exact)
        default:
            // The f32's error is a small part of this dtype's unit.
            let part = op.ulp * FloatFormat(.f32).unitRoundoff / FloatFormat(expected.dtype).unitRoundoff
            return .ulp(0.5 + part, exact: exact)
        }
    }

    /// A product and a sum of short floats, rounded to f32 in between, is not always the nearest number.
    private static func isRoundedTwice(_ op: OpDefinition, _ dtype: DType) -> Bool {
        dtype.byteCount == 2 && op.operandCount == 3 && op.reference?.real != nil
    }

    private static func within(_ ulp: Double, _ expected: Literal) -> Bound { .ulp(ulp, exact: expected.doubles) }

    /// The op's result on the operands' magnitudes, in f64.
    private static func magnitudes(_ op: OpDefinition, _ context: OpContext, _ operands: [Literal]) throws -> [Double] {
        let positive = operands.map { operand in
            operand.dtype.isFloat ? Literal(.f64, operand.shape, doubles: operand.doubles.map { abs($0) }) : operand
        }
        var attributes = context.attributes
        if attributes.dtype("dtype") != nil { attributes["dtype"] = .dtype(.f64) }
        return try Interpreter.apply(op, positive, attributes)[0].doubles
    }

    private static func gamma(_ terms: Int, _ unit: Double) -> Double {
        let product = Double(terms) * unit
        return product < 1 ? product / (1 - product) : .infinity
    }

    private static func sum(_ terms: Int, _ dtype: DType, _ magnitudes: [Double], _ expected: Literal) -> Bound {
        let result = FloatFormat(expected.dtype)
        let accumulator = FloatFormat(dtype == .f64 ? .f64 : .f32)
        let factor = gamma(terms, accumulator.unitRoundoff) + gamma(terms, 0x1p-53)
        return .absolute(zip(magnitudes, expected.doubles).map { $0 * factor + 2 * result.unitRoundoff * abs($1) + result.leastNonzero })
    }

    private static func product(_ factors: Int, _ expected: Literal, accumulator dtype: DType? = nil) -> Bound {
        let result = FloatFormat(expected.dtype)
        let accumulator = FloatFormat(dtype ?? (expected.dtype == .f64 ? .f64 : .f32))
        let factor = gamma(factors, accumulator.unitRoundoff) + gamma(factors, 0x1p-53) + 2 * result.unitRoundoff
        return .absolute(expected.doubles.map { abs($0) * factor + result.leastNonzero * Double(factors + 1) })
    }
}

extension Bound {
    /// What is wrong with a kernel's result, or nil.
    func disagreement(_ got: Literal, _ expected: Literal) -> String? {
        guard got.dtype == expected.dtype, got.shape == expected.shape else { return "is \(got.type), and should be \(expected.type)" }
        if case .exact = self, got.bytes == expected.bytes { return nil }
        let format = FloatFormat(expected.dtype)
        for position in 0..<expected.count {
            let (x, y) = (got[position], expected[position])
            switch self {
            case .exact:
                if x != y, !(x.double.isNaN && y.double.isNaN) { return "element \(position) is \(x), and should be \(y)" }
            case .ulp(let limit, let exact):
                let error = format.error(x.double, exact: exact[position])
                if !(error <= limit) { return "element \(position) is \(x), \(error) ulp from \(exact[position]); \(limit) are allowed" }
            case .absolute(let limits):
                if x.double == y.double || x.double.isNaN && y.double.isNaN { continue }
                let distance = abs(x.double - y.double)
                if !(distance <= limits[position]) { return "element \(position) is \(x), \(distance) from \(y); \(limits[position]) is allowed" }
            }
        }
        return nil
    }
}
