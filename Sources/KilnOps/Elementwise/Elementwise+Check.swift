// The type rule of elementwise ops: how many operands, which dtypes, one dtype, one shape; the errors say what to do.

import KilnIR

extension Elementwise {
    /// The operands' types where they fit an elementwise op. Throws the user's error.
    static func check(_ context: OpContext, _ count: Int, _ dtypes: [DType], condition: Bool = false) throws -> [TensorType] {
        let types = context.operands
        guard types.count == count else {
            throw context.error("takes \(count) operand\(count == 1 ? "" : "s"), was given \(types.count)", fix: "pass \(count)")
        }
        if condition, types[0].dtype != .bool {
            throw context.error("operand 0 chooses and must be bool, but is \(types[0].dtype)", fix: "compare it with something, as in `x .!= 0`")
        }
        let values = condition ? types.dropFirst() : types[...]
        for (number, type) in zip(values.indices, values) where !dtypes.contains(type.dtype) {
            throw context.error("operand \(number) is \(type.dtype), which \(context.op.name) does not take",
                                fix: "cast it to one of \(dtypes.map(\.name).joined(separator: ", "))")
        }
        for type in values.dropFirst() where type.dtype != values.first!.dtype {
            throw context.error("the operands' dtypes \(values.first!.dtype) and \(type.dtype) differ",
                                fix: "cast one of them, as in `x.cast(to: .\(values.first!.dtype))`")
        }
        for type in types.dropFirst() where type.shape != types[0].shape { throw mismatch(context, types[0].shape, type.shape) }
        return types
    }

    private static func mismatch(_ context: OpContext, _ a: Shape, _ b: Shape) -> ShapeError {
        guard let (axis, x, y) = Shape.firstMismatch(a, b) else {
            return context.error("the operands' shapes \(text(a)) and \(text(b)) differ", fix: "put a `broadcast` before the op")
        }
        let isOpen = x.constant == nil || y.constant == nil
        return context.error("shapes \(text(a)) and \(text(b)) do not broadcast: axis \(axis) has sizes \(x) and \(y)"
                                + (isOpen ? ", which are not known to be equal" : ""),
                             fix: isOpen ? "name equal sizes by the same symbol, or reshape one operand"
                                 : "make the sizes equal, or one of them 1 (reshape or unsqueeze)", unequal: isOpen ? (x, y) : nil)
    }

    private static func text(_ shape: Shape) -> String { "[\(shape.map(\.description).joined(separator: ", "))]" }
}

extension [Dim] {
    /// The shape that two shapes broadcast to as NumPy's do: aligned at the last axis, sizes equal or 1. Sizes are equal when their
    /// expressions are, or may be where none is a symbol that could be named as the other: a broadcast then checks each call. Nil where
    /// they do not fit.
    public static func broadcast(_ a: Shape, _ b: Shape) -> Shape? {
        if a == b { return a }
        guard firstMismatch(a, b) == nil else { return nil }
        let (long, short) = a.count >= b.count ? (a, b) : (b, a)
        let lead = long.count - short.count
        return long.indices.map { axis in axis >= lead ? Dim.meet(long[axis], short[axis - lead]) ?? long[axis] : long[axis] }
    }

    /// The first axis of the longer shape on which two shapes do not broadcast, with the sizes of both.
    public static func firstMismatch(_ a: Shape, _ b: Shape) -> (axis: Int, Dim, Dim)? {
        let rank = Swift.max(a.count, b.count)
        for axis in 0..<rank {
            let (i, j) = (axis - rank + a.count, axis - rank + b.count)
            guard i >= 0, j >= 0, Dim.meet(a[i], b[j]) == nil else { continue }
            return (axis, a[i], b[j])
        }
        return nil
    }
}

extension Dim {
    /// The size that two sizes broadcast to; nil where they don't, or where a symbol of one could be named by the other.
    fileprivate static func meet(_ a: Dim, _ b: Dim) -> Dim? {
        if a == b || b == 1 { return a }
        if a == 1 { return b }
        let difference = a - b
        guard IndexCondition.isZero(difference).isKnown == nil else { return nil }
        for term in difference.terms where term.atoms.count == 1 { if case .symbol = term.atoms[0] { return nil } }
        // A number is the best name of a size, then the shorter expression.
        if a.constant != nil || b.constant != nil { return a.constant != nil ? a : b }
        return a.description.count <= b.description.count ? a : b
    }
}

extension Scalar {
    /// An integer or bool as a mathematical number.
    var whole: Int128 {
        switch self {
        case .bool(let b): b ? 1 : 0
        case .integer(let i): Int128(i)
        case .unsigned(let u): Int128(u)
        case .real: Int128(int64)
        }
    }

    /// The number modulo what an integer dtype can hold; a bool takes the lowest bit.
    init(wrapping number: Int128, _ dtype: DType) {
        self.init(bits: UInt64(truncatingIfNeeded: number), dtype)
    }
}
