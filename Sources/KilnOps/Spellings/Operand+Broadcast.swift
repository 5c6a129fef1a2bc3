// How operands of different shapes and dtypes meet: NumPy's broadcasting through explicit `broadcast` ops, and PyTorch's promotion.
// What does not fit reaches the op's own rule, whose error says what to change.

import KilnIR

extension DType {
    /// The dtype in which a tensor of this dtype meets a number of Swift's: its own, unless the number is of a higher kind. Integers
    /// meet reals in f32; bools meet integers in i64.
    func promoted(with number: Scalar) -> DType {
        switch number {
        case .real: isFloat ? self : .f32
        case .integer, .unsigned: self == .bool ? .i64 : self
        case .bool: self
        }
    }
}

extension TensorType {
    /// The dtype in which two tensors meet. Beside a tensor with axes, one of rank 0 counts only where its kind is higher.
    public static func promotion(_ a: TensorType, _ b: TensorType) -> DType? {
        if a.rank > 0, b.rank == 0, a.dtype.kind.rank >= b.dtype.kind.rank { return a.dtype }
        if b.rank > 0, a.rank == 0, b.dtype.kind.rank >= a.dtype.kind.rank { return b.dtype }
        return DType.promotion(a.dtype, b.dtype)
    }
}

extension Operand {
    func applying(_ op: OpDefinition, _ file: StaticString, _ line: UInt) -> Self { applying(op, at: SourceLocation(file, line)) }
    func applying(_ op: OpDefinition, at location: SourceLocation) -> Self { .apply(op, [self], .none, regions: [], at: location)[0] }

    /// Applies an op of two operands after promotion and broadcasting.
    static func broadcasting(_ op: OpDefinition, _ a: Self, _ b: Self, at location: SourceLocation = .unknown) -> Self {
        if a.type == b.type { return .apply(op, [a, b], .none, regions: [], at: location)[0] }
        let (x, y) = promoting(a, b, at: location)
        guard let shape = Shape.broadcast(x.dims, y.dims) else { return .apply(op, x, y, at: location) }
        return .apply(op, x.broadcast(to: shape, at: location), y.broadcast(to: shape, at: location), at: location)
    }

    static func broadcasting(_ op: OpDefinition, _ a: Self, _ b: some ScalarConvertible, at location: SourceLocation = .unknown) -> Self {
        let (x, y) = a.meeting(b.scalar, at: location)
        return .apply(op, [x, y], .none, regions: [], at: location)[0]
    }

    static func broadcasting(_ op: OpDefinition, _ a: some ScalarConvertible, _ b: Self, at location: SourceLocation = .unknown) -> Self {
        let (x, y) = b.meeting(a.scalar, at: location)
        return .apply(op, [y, x], .none, regions: [], at: location)[0]
    }

    /// This and a number, of one type.
    private func meeting(_ number: Scalar, at location: SourceLocation) -> (Self, Self) {
        let common = dtype.promoted(with: number)
        return (cast(to: common, at: location), full(number.converted(to: common), type.with(dtype: common), at: location))
    }

    /// A number of rank 0 beside this, of the dtype in which the two meet.
    func scalarOperand(_ number: some ScalarConvertible, at location: SourceLocation) -> Self {
        let common = dtype.promoted(with: number.scalar)
        return scalar(number.scalar.converted(to: common), common, at: location)
    }

    /// Both in their common dtype; unchanged where there is none.
    static func promoting(_ a: Self, _ b: Self, at location: SourceLocation) -> (Self, Self) {
        guard a.dtype != b.dtype, let common = TensorType.promotion(a.type, b.type) else { return (a, b) }
        return (a.cast(to: common, at: location), b.cast(to: common, at: location))
    }

    /// This over a shape that it broadcasts to.
    func broadcast(to shape: Shape, at location: SourceLocation) -> Self {
        if dims == shape { return self }
        let axes = Array(shape.count - rank..<shape.count)
        return .apply(Structural.broadcast, [self], ["shape": .dims(shape), "axes": .ints(axes)], regions: [], at: location)[0]
    }
}
