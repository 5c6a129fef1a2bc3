// Attention as a form: what a kernel must know to stream over keys, without the matrix of scores.

/// Attention or its gradients, over tensors [batch…, heads, tokens, size].
///
///     scores = scale · queries · keysᵀ + mask        [batch…, heads, rows, keys]
///     result = softmax(scores) · values              [batch…, heads, rows, value size]
///
/// Several heads of the queries share one of the keys and values where those have fewer: head `h` uses head `h / ratio`.
/// Operands forward: queries, keys, values, and the mask where there is one; results: the result and, of the rows' scores,
/// the logarithm of the sum of exponentials (in the accumulator's dtype).
/// Operands backward: queries, keys, values, those logarithms, the result's cotangent, for each row the sum of the products of
/// result and cotangent, and the mask; results: the gradients of queries, keys and values.
public struct Attention: Hashable, Sendable {
    public enum Direction: Hashable, Sendable { case forward, backward }

    /// What the mask, which has the scores' shape, does to them.
    public enum Mask: Hashable, Sendable {
        case none
        /// It is added.
        case added
        /// It holds bools: where one is false, the key's score is the fill.
        case chosen
    }

    public var direction: Direction
    public var scale: Double
    /// Row `i` sees keys `0...i + offset` where there is an offset, otherwise all. A key that is not seen counts as a score of -∞;
    /// what its value is does not matter, as long as it is finite.
    public var causalOffset: Dim?
    public var mask: Mask
    /// The score of a key that a mask of bools does not choose: -∞, or a number, with which a row without any chosen key is the mean of all values.
    public var fill: Double
    /// Whether a row without any score above -∞ gives zeros; it gives NaN otherwise, as a softmax by itself does.
    public var emptyRowsAreZero: Bool
    /// The dtype in which everything is computed.
    public var accumulator: DType

    public init(direction: Direction, scale: Double, causalOffset: Dim?, mask: Mask, fill: Double = -.infinity, emptyRowsAreZero: Bool, accumulator: DType) {
        self.direction = direction
        self.scale = scale
        self.causalOffset = causalOffset
        self.mask = mask
        self.fill = fill
        self.emptyRowsAreZero = emptyRowsAreZero
        self.accumulator = accumulator
    }

    /// The number of the mask among the operands.
    public var maskOperand: Int? { mask == .none ? nil : direction == .forward ? 3 : 6 }
}
