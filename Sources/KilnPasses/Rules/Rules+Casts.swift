// Rules about conversions: a cast of a cast is one where the first loses nothing, or where both only cut bits off.

import KilnIR
import KilnOps

extension Rules {
    static let casts = rules {
        Rule("cast to the same dtype", roots: [Elementwise.cast, Elementwise.bitcast], examples: {
            try DType.all.map { dtype in
                try example([TensorType(dtype, [16])]) { $0.apply(Elementwise.cast, $1, ["dtype": .dtype(dtype)]) }
            }
        }, rewrite: { site in
            site.type.dtype == site.operands[0].dtype ? [site.operands[0]] : nil
        })
        Rule("cast of cast", roots: [Elementwise.cast], examples: {
            var graphs: [Graph] = []
            for (from, between, to) in allTriples() where canSkip(from, between, to) {
                graphs.append(try example([TensorType(from, [16])]) {
                    let first = $0.apply(Elementwise.cast, $1, ["dtype": .dtype(between)])
                    return $0.apply(Elementwise.cast, [first], ["dtype": .dtype(to)])
                })
            }
            return graphs
        }, rewrite: { site in
            guard let inner = site.operand(0, madeBy: Elementwise.cast), let to = site.attributes.dtype("dtype") else { return nil }
            let source = site.value(inner.operands[0])
            guard canSkip(source.dtype, site.operands[0].dtype, to) else { return nil }
            return [site.apply(Elementwise.cast, [source], ["dtype": .dtype(to)])]
        })
        Rule("bitcast of bitcast", roots: [Elementwise.bitcast], examples: {
            [try example([TensorType(.f32, [16])]) {
                let first = $0.apply(Elementwise.bitcast, $1, ["dtype": .dtype(.u32)])
                return $0.apply(Elementwise.bitcast, [first], ["dtype": .dtype(.i32)])
            }]
        }, rewrite: { site in
            guard let inner = site.operand(0, madeBy: Elementwise.bitcast) else { return nil }
            return [site.apply(Elementwise.bitcast, [site.value(inner.operands[0])], site.attributes)]
        })
    }

    private static func allTriples() -> [(DType, DType, DType)] {
        DType.all.flatMap { a in DType.all.flatMap { b in a == b ? [] : DType.all.filter { $0 != b }.map { (a, b, $0) } } }
    }

    /// Whether going from one dtype to another by way of a third is going there directly.
    static func canSkip(_ from: DType, _ between: DType, _ to: DType) -> Bool {
        if isLossless(from, between) {
            // Integers wrap into narrower ones; by way of a float they would saturate.
            if !from.isFloat, between.isFloat, to.isInteger { return isLossless(from, to) }
            // 64-bit integers reach the narrow floats by way of f64, whatever they came from.
            return !to.isNarrowFloat || from.isFloat || from.byteCount <= 4
        }
        return from.isInteger && between.isInteger && to.isInteger && to.byteCount <= between.byteCount && to.byteCount <= from.byteCount
    }

    /// Whether every value of one dtype is a value of the other.
    static func isLossless(_ from: DType, _ to: DType) -> Bool {
        if from == to || from == .bool { return true }
        if to == .bool { return false }
        if from.isFloat {
            return to.isFloat && from.precision <= to.precision && (to == .f32 || to == .f64)
        }
        let bits = from.bitWidth - (from.isSigned ? 1 : 0)
        if to.isFloat { return bits <= to.precision && !(to == .f16 && bits > 11) }
        return from.isSigned ? to.isSigned && to.bitWidth >= from.bitWidth : to.bitWidth - (to.isSigned ? 1 : 0) >= bits
    }

    /// A graph of one output over inputs of the given types.
    static func example(_ types: [TensorType], _ body: (GraphBuilder, [Value]) -> Value) throws -> Graph {
        let builder = GraphBuilder("example")
        let inputs = types.enumerated().map { builder.input("v\($0)", $1) }
        let result = body(builder, inputs)
        return try builder.finish([("left", result)])
    }
}

extension DType {
    /// Bits of a float's significand, with the one that is not stored.
    fileprivate var precision: Int { format?.precision ?? 0 }
}

extension GraphBuilder {
    /// Applies an op with one result.
    func apply(_ op: OpDefinition, _ operands: [Value], _ attributes: Attributes = .none) -> Value { append(op, operands, attributes)[0] }
}
