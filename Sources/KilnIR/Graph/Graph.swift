// The graph: operations in SSA form over immutable tensor values, in an order in which every value is made before it is used.

/// A value's number within its graph.
public typealias ValueID = Int

/// One application of an op.
public struct Operation: Sendable {
    public var op: OpDefinition
    public var operands: [ValueID]
    public var results: [ValueID]
    public var attributes: Attributes
    /// Graphs of their own; what they use from outside is passed to them as operands.
    public var regions: [Graph]
    public var location: SourceLocation

    public init(op: OpDefinition, operands: [ValueID], results: [ValueID], attributes: Attributes = .none, regions: [Graph] = [],
                location: SourceLocation = .unknown) {
        self.op = op
        self.operands = operands
        self.results = results
        self.attributes = attributes
        self.regions = regions
        self.location = location
    }
}

/// An input or output of a graph.
public struct Port: Hashable, Sendable {
    public var name: String
    public var value: ValueID

    public init(_ name: String, _ value: ValueID) {
        self.name = name
        self.value = value
    }
}

/// A function from tensors to tensors.
public struct Graph: Sendable {
    public var name: String
    /// The type of each value, by number.
    public internal(set) var types: [TensorType] = []
    public var inputs: [Port] = []
    public var operations: [Operation] = []
    public var outputs: [Port] = []

    public init(name: String) { self.name = name }

    public func type(of value: ValueID) -> TensorType { types[value] }
    public var inputTypes: [TensorType] { inputs.map { types[$0.value] } }
    public var outputTypes: [TensorType] { outputs.map { types[$0.value] } }
    /// How many values there are; their numbers lie below.
    public var valueCount: Int { types.count }

    /// Makes a new value of the given type, which an operation or input must define.
    public mutating func makeValue(_ type: TensorType) -> ValueID {
        types.append(type)
        return types.count - 1
    }

    /// Adds an input.
    @discardableResult
    public mutating func addInput(_ name: String, _ type: TensorType) -> ValueID {
        let value = makeValue(type)
        inputs.append(Port(name, value))
        return value
    }

    /// Appends an operation, with its results' types inferred. Throws the user's error.
    @discardableResult
    public mutating func append(_ op: OpDefinition, _ operands: [ValueID], _ attributes: Attributes = .none, regions: [Graph] = [],
                                at location: SourceLocation = .unknown) throws -> [ValueID] {
        let context = OpContext(op: op, operands: operands.map { types[$0] }, attributes: attributes, regions: regions, location: location)
        if let count = op.operandCount, count != operands.count {
            throw context.error("takes \(count) operand\(count == 1 ? "" : "s"), was given \(operands.count)", fix: "pass \(count)")
        }
        let inferred = try op.infer(context)
        if let impossible = inferred.first(where: { !$0.isPossible }) {
            throw context.error("would give \(impossible), which is more than can be held", fix: "give sizes that are not negative, smaller or simpler",
                                isTooLarge: true)
        }
        let results = inferred.map { makeValue($0) }
        operations.append(Operation(op: op, operands: operands, results: results, attributes: attributes, regions: regions, location: location))
        return results
    }

    /// The context of an operation of this graph, for its rules.
    public func context(of operation: Operation) -> OpContext {
        OpContext(op: operation.op, operands: operation.operands.map { types[$0] }, attributes: operation.attributes,
                  regions: operation.regions, location: operation.location)
    }

    public func form(of operation: Operation) throws -> Form { try operation.op.form(context(of: operation)) }

    /// For each value, the position of the operation that makes it; nil for inputs.
    public var definitions: [Int?] {
        var positions = [Int?](repeating: nil, count: types.count)
        for (position, operation) in operations.enumerated() {
            for result in operation.results { positions[result] = position }
        }
        return positions
    }

    /// For each value, how often it is used by operations and outputs.
    public var useCounts: [Int] {
        var counts = [Int](repeating: 0, count: types.count)
        for operation in operations { for operand in operation.operands { counts[operand] += 1 } }
        for output in outputs { counts[output.value] += 1 }
        return counts
    }

    /// The symbols of the inputs' shapes, in order of first occurrence.
    public var symbols: [String] {
        var found: [String] = []
        var seen: Set<String> = []
        for input in inputs {
            for dim in types[input.value].shape where dim.constant == nil { for name in dim.symbols where seen.insert(name).inserted { found.append(name) } }
        }
        return found
    }
}
