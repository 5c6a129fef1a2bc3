// The closed set of things an op can be. Passes, schedules, the interpreter and the backends switch over these and never name an op.
//
// A new form is a case here. What else tells forms one by one, and so is touched with it:
//
//     KilnOps/Interpreter     Interpreter+Execution (what it means); KnownElements, KnownElements+Interpreted where shapes are computed with it
//     KilnPasses              Fuse+Form, Fuse+Check (what it groups with); Rules+Constants where it can be computed when compiling
//     KilnKernels/Schedules   a schedule for each target, and ScheduleTable
//
// ArchitectureTests holds this list against the sources.

/// How a reduction combines elements.
public enum ReductionKind: String, CaseIterable, Hashable, Sendable {
    case sum, product, maximum, minimum, any, all
    /// The position (i64) of the first greatest or least element, NaN counting as beyond every number; over one axis.
    case argmax, argmin
}

extension ReductionKind {
    /// The function of two elements that the reduction repeats; nil for those that give positions.
    public var combiner: ScalarFunction? {
        switch self {
        case .sum: .add
        case .product: .multiply
        case .maximum: .maximum
        case .minimum: .minimum
        case .any: .or
        case .all: .and
        case .argmax, .argmin: nil
        }
    }
}

/// How a scatter combines an update with what is there; updates apply in row-major order.
public enum ScatterKind: String, CaseIterable, Hashable, Sendable {
    case set, add, multiply, maximum, minimum
}

/// An index of a gather or scatter: an expression over the index variables, or a number looked up in an operand.
public enum Coordinate: Hashable, Sendable {
    case affine(Dim)
    /// The element of integer operand `operand` at `indices`. A negative number counts from the end, once.
    case lookup(operand: Int, indices: [Dim])
}

/// A sum of products over an iteration space: contractions, convolutions and matrix products of every kind.
///
/// Index variable `i` runs over `sizes[i]`. The first `outputRank` variables are the result's axes in order; the others are summed over.
/// Each operand is read through its map, and is zero where the map has no element.
public struct Contraction: Hashable, Sendable {
    public var sizes: [Dim]
    public var outputRank: Int
    public var left: IndexMap.Piece
    public var right: IndexMap.Piece
    /// The dtype in which products are accumulated.
    public var accumulator: DType

    public init(sizes: [Dim], outputRank: Int, left: IndexMap.Piece, right: IndexMap.Piece, accumulator: DType) {
        self.sizes = sizes
        self.outputRank = outputRank
        self.left = left
        self.right = right
        self.accumulator = accumulator
    }
}

/// What an op is, given its operands' types and its attributes.
public enum Form: Hashable, Sendable {
    /// A value of the graph itself.
    case constant(Literal)
    /// Each element of the result is an expression of the operands' elements at the same position; all shapes are equal.
    /// With no operands it is a function of the position alone: iota, or a number everywhere.
    case elementwise(ScalarExpr)
    /// Each element of the result is an element of an operand, or the fill.
    case view(IndexMap)
    /// Combines the elements along the axes, which the result lacks.
    case reduce(ReductionKind, axes: [Int])
    case contract(Contraction)
    /// Softmax of products of queries and keys, applied to values, or its gradients.
    case attention(Attention)
    /// `result[i…] = operand0[coordinates(i…)]`; numbers out of range are moved to the nearest element.
    case gather([Coordinate])
    /// The result is operand 0 with operand 1's elements combined in: the element at `i…` (over operand 1's shape) goes to
    /// `coordinates(i…)`; those out of range are dropped.
    case scatter(ScatterKind, [Coordinate])
    /// Combines each element with those before it along the axis.
    case scan(ReductionKind, axis: Int, reverse: Bool, exclusive: Bool)
    /// The positions (i64) that put the axis in order; equal elements keep theirs, NaN counting as beyond every number.
    case sort(axis: Int, descending: Bool)
    /// The first elements of operand 0 along axis 0, as many as operand 1 (i64 of rank 0) says, at least none and at most all.
    /// From then on the symbol is that number.
    case prefix(symbol: String)
    case control(Control)
    /// A fused group: the first region holds its ops; operands are the region's inputs.
    case group(GroupKind)
    /// Work of a library's; the name is the runtime's.
    case opaque(String)
}

/// What a fused group's kernel is; which schedules it is offered to.
public enum GroupKind: String, CaseIterable, Hashable, Sendable {
    /// Elements of one shape, each computed by itself.
    case pointwise
    /// Reductions over the same axes of one shape, with elementwise work before, between and after.
    case rows
    /// A contraction with elementwise work on its result.
    case contraction
    /// Attention or its gradients, alone.
    case attention
    case scan, scatter, sort
}

/// Control flow; regions are graphs whose inputs are the operands named here.
public enum Control: Hashable, Sendable {
    /// Operand 0 is the condition, a bool of rank 0; the rest are both regions' inputs (then, else).
    case `if`
    /// Region 0 gives the condition from all operands, region 1 the next carried values.
    /// The first `carried` operands change from round to round; the rest are captured.
    case `while`(carried: Int)
    /// Region 0 is run on the operands. Region 1, for differentiation alone, gives the gradients of the float operands from the
    /// operands, the results, and the cotangents of the float results.
    case call
}
