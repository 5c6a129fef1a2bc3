// How a view's elements are found in its operands: index expressions, with conditions where there may be no such element.

/// A condition on an index expression.
public enum IndexCondition: Hashable, Sendable {
    case isNonNegative(Dim)
    case isZero(Dim)

    public var expression: Dim {
        switch self {
        case .isNonNegative(let d), .isZero(let d): d
        }
    }

    public func mapping(_ transform: (Dim) -> Dim) -> IndexCondition {
        switch self {
        case .isNonNegative(let d): .isNonNegative(transform(d))
        case .isZero(let d): .isZero(transform(d))
        }
    }
}

/// For each element of the result, the element of an operand that it is.
///
/// Index variable `i` (`Dim.index(i)`) is the position along axis `i` of the result. The first piece whose conditions all hold
/// gives the element; where none does, the element is `fill`.
public struct IndexMap: Hashable, Sendable {
    public struct Piece: Hashable, Sendable {
        /// The number of the operand.
        public var operand: Int
        /// One index for each of the operand's axes. Where the conditions hold, they are within the operand's shape.
        public var indices: [Dim]
        public var conditions: [IndexCondition]

        public init(operand: Int = 0, indices: [Dim], conditions: [IndexCondition] = []) {
            self.operand = operand
            self.indices = indices
            self.conditions = conditions
        }
    }

    public var pieces: [Piece]
    public var fill: Scalar

    public init(pieces: [Piece], fill: Scalar = .integer(0)) {
        self.pieces = pieces
        self.fill = fill
    }

    /// A map with an element everywhere.
    public init(_ indices: [Dim]) { self.init(pieces: [Piece(indices: indices)]) }

    /// The map of a reshape from one shape to another with as many elements, both row-major.
    public static func reshape(from source: Shape, to target: Shape) -> IndexMap {
        if source == target, !source.contains(0) { return IndexMap(source.indices.map { source[$0] == 1 ? 0 : .index($0) }) }
        let ranges = IndexRanges(shape: target)
        let targetStrides = TensorType(.f32, target).strides
        let sourceStrides = TensorType(.f32, source).strides
        var position: Dim = 0
        for axis in target.indices where target[axis] != 1 { position += .index(axis) * targetStrides[axis] }
        let indices = source.indices.map { axis -> Dim in
            if source[axis] == 1 { return 0 }
            let outer = position.dividedDown(by: sourceStrides[axis], ranges: ranges)
            // The outermost axis with more than one element needs no remainder.
            if source[..<axis].allSatisfy({ $0 == 1 }) { return outer }
            return outer - source[axis] * position.dividedDown(by: sourceStrides[axis] * source[axis], ranges: ranges)
        }
        return IndexMap(indices)
    }
}
