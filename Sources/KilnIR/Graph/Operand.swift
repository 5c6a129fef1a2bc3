// What ops are applied to: the user's tensors, a graph's values, a rule's patterns. An op's spelling is written once, over this.

/// Something that ops can be applied to.
public protocol Operand {
    /// Whether spellings that take indices demand that they are in range. Rules of gradients and importers, which know what they ask
    /// for, say where they do.
    static var checksIndices: Bool { get }
    /// The dtype and shape.
    var type: TensorType { get }
    /// Applies an op. A user's mistake is kept with the result and thrown when the result is asked for.
    static func apply(_ op: OpDefinition, _ operands: [Self], _ attributes: Attributes, regions: [Graph], at location: SourceLocation) -> [Self]
    /// Applies an op without operands, in the same graph or trace as `self`.
    func source(_ op: OpDefinition, _ attributes: Attributes, at location: SourceLocation) -> Self
    /// A constant beside `self`, in the same graph or trace.
    func literal(_ literal: Literal, at location: SourceLocation) -> Self
    /// A constant of rank 0 beside `self`.
    func scalar(_ value: Scalar, _ dtype: DType, at location: SourceLocation) -> Self
    /// The same, over a shape that may hold symbols.
    func full(_ value: Scalar, _ type: TensorType, at location: SourceLocation) -> Self
}

extension Operand {
    public static var checksIndices: Bool { false }
    public var dtype: DType { type.dtype }
    public var dims: Shape { type.shape }
    public var rank: Int { type.shape.count }

    public func source(_ op: OpDefinition, _ attributes: Attributes, at location: SourceLocation) -> Self {
        Self.apply(op, [], attributes, regions: [], at: location)[0]
    }

    /// Applies an op with one result.
    public static func apply(_ op: OpDefinition, _ operands: Self..., attributes: Attributes = .none, at location: SourceLocation) -> Self {
        apply(op, operands, attributes, regions: [], at: location)[0]
    }
}
