// The declaration of an op: everything that the compiler, the tests and the documentation know of it, in one value.

/// What an op's rules are given: the types of its operands, its attributes and its regions.
public struct OpContext: Sendable {
    public var op: OpDefinition
    public var operands: [TensorType]
    public var attributes: Attributes
    public var regions: [Graph]
    public var location: SourceLocation

    public init(op: OpDefinition, operands: [TensorType], attributes: Attributes = .none, regions: [Graph] = [],
                location: SourceLocation = .unknown) {
        self.op = op
        self.operands = operands
        self.attributes = attributes
        self.regions = regions
        self.location = location
    }

    /// A user's error about this application of the op.
    public func error(_ problem: String, fix: String, unequal: (Dim, Dim)? = nil, isTooLarge: Bool = false) -> ShapeError {
        ShapeError(op: op.name, problem, operands: operands, at: location, fix: fix, unequal: unequal, isTooLarge: isTooLarge)
    }
}

/// Something that must hold of the symbols and that the compiler could not decide: it becomes a check of each call.
public struct SizeCheck: Hashable, Sendable {
    /// On an expression over symbols.
    public var condition: IndexCondition
    /// What is wrong where it does not hold.
    public var message: String

    public init(_ condition: IndexCondition, message: String) {
        self.condition = condition
        self.message = message
    }
}

/// What a reverse rule is given. All are values of the graph under construction.
public struct PullbackContext {
    public var context: OpContext
    public var operands: [Value]
    public var results: [Value]
    /// The gradient of each result; nil where none flows.
    public var cotangents: [Value?]
    public var attributes: Attributes { context.attributes }

    public init(context: OpContext, operands: [Value], results: [Value], cotangents: [Value?]) {
        self.context = context
        self.operands = operands
        self.results = results
        self.cotangents = cotangents
    }

    /// The gradient of the only result.
    public var cotangent: Value { cotangents[0]! }
    /// The only operand, or the first.
    public var operand: Value { operands[0] }
    /// The only result, or the first.
    public var result: Value { results[0] }
}

/// An example of an op's use: what the tests run it on.
public struct OpSample: Sendable {
    public var operands: [TensorType]
    public var attributes: Attributes
    public var regions: [Graph]
    /// The range from which each operand's elements are drawn so that the op is smooth there; nil for the op's natural range.
    public var domain: ClosedRange<Double>
    /// Operands whose elements are drawn as integers in a range (indices, say).
    public var integerRanges: [Int: ClosedRange<Int>]
    /// Operands with respect to which the op is differentiable at these inputs.
    public var isSmooth: Bool

    public init(_ operands: [TensorType], _ attributes: Attributes = .none, regions: [Graph] = [],
                domain: ClosedRange<Double> = -2...2, integerRanges: [Int: ClosedRange<Int>] = [:], isSmooth: Bool = true) {
        self.operands = operands
        self.attributes = attributes
        self.regions = regions
        self.domain = domain
        self.integerRanges = integerRanges
        self.isSmooth = isSmooth
    }
}

/// The reference meaning of an elementwise op in plain Swift, independent of its kernels.
public struct ScalarReference: Sendable {
    /// On floats; a bool result is 0 or 1.
    public var real: (@Sendable ([Double]) -> Double)?
    /// On integers and bools, in 64 bits; the result is wrapped to the dtype.
    public var integer: (@Sendable ([Scalar], DType) -> Scalar)?

    public init(real: (@Sendable ([Double]) -> Double)? = nil, integer: (@Sendable ([Scalar], DType) -> Scalar)? = nil) {
        self.real = real
        self.integer = integer
    }
}

/// An op of the catalogue. Two definitions are the same op when they are the same object.
public final class OpDefinition: Sendable, Hashable {
    public typealias Infer = @Sendable (OpContext) throws -> [TensorType]
    public typealias Checks = @Sendable (OpContext) -> [SizeCheck]
    public typealias FormRule = @Sendable (OpContext) throws -> Form
    /// Gives the gradient of each operand, nil where none flows.
    public typealias Pullback = @Sendable (PullbackContext) throws -> [Value?]

    /// The op's name in text.
    public let name: String
    /// How many operands it takes; nil for any number.
    public let operandCount: Int?
    /// The attributes it takes, in the order of the text.
    public let attributeNames: [String]
    /// The types of its results. Throws the user's error.
    public let infer: Infer
    /// What `infer` took for granted since symbols leave it open.
    public let checks: Checks
    public let form: FormRule
    /// The size that the op finds out during a call, from its operands' elements; nil for all but those whose form is a prefix.
    public let measures: (@Sendable (OpContext) -> Measurement?)?
    /// What the op demands of operand 0's elements, which are indices; nil for all but the op that is there to demand it.
    public let indexCheck: (@Sendable (OpContext) -> IndexCheck?)?
    /// The meaning of an elementwise op in plain Swift; nil for others, whose form is their meaning.
    public let reference: ScalarReference?
    public let pullback: Pullback?
    /// The greatest error of an f32 kernel, in units in the last place; 0 means exact.
    public let ulp: Double
    /// The dtypes that operands 0… may have, for the catalogue's tests and the documentation.
    public let dtypes: [DType]
    /// Examples for one dtype.
    public let samples: @Sendable (DType) -> [OpSample]

    public init(_ name: String, operandCount: Int? = 1, attributes: [String] = [], dtypes: [DType] = DType.all, ulp: Double = 0,
                infer: @escaping Infer, checks: @escaping Checks = { _ in [] }, form: @escaping FormRule,
                measures: (@Sendable (OpContext) -> Measurement?)? = nil, indexCheck: (@Sendable (OpContext) -> IndexCheck?)? = nil,
                reference: ScalarReference? = nil, pullback: Pullback? = nil, samples: @escaping @Sendable (DType) -> [OpSample]) {
        self.name = name
        self.operandCount = operandCount
        self.attributeNames = attributes
        self.dtypes = dtypes
        self.ulp = ulp
        self.infer = infer
        self.checks = checks
        self.form = form
        self.measures = measures
        self.indexCheck = indexCheck
        self.reference = reference
        self.pullback = pullback
        self.samples = samples
    }

    public static func == (a: OpDefinition, b: OpDefinition) -> Bool { a === b }
    public func hash(into hasher: inout Hasher) { hasher.combine(ObjectIdentifier(self)) }
}
