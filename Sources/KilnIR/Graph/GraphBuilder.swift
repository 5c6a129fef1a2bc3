// Builds a graph through values with operators: what reverse rules, front ends and tests write with.

/// A graph under construction. Not thread-safe.
public final class GraphBuilder {
    public var graph: Graph
    /// The first mistake; `finish` throws it.
    public private(set) var error: (any Error)?
    /// Where operations are said to come from, whatever they say themselves: a reverse rule is written with spellings that
    /// would name the rule's line, not the user's. Unknown leaves operations their own.
    public var location: SourceLocation = .unknown
    /// Names that data-dependent symbols of this graph can't have: those of the graph around, if this is to be a region.
    public var takenSymbols: Set<String> = []
    /// How constants are recorded; the catalogue provides it.
    private let constants: ConstantOps

    public init(_ graph: Graph, constants: ConstantOps) {
        self.graph = graph
        self.constants = constants
    }

    /// Adds an input.
    public func input(_ name: String, _ type: TensorType) -> Value { Value(builder: self, id: graph.addInput(name, type)) }

    public func value(_ id: ValueID) -> Value { Value(builder: self, id: id) }

    public func append(_ op: OpDefinition, _ operands: [Value], _ attributes: Attributes = .none, regions: [Graph] = [],
                       at location: SourceLocation = .unknown) -> [Value] {
        do {
            return try graph.append(op, operands.map(\.id), attributes, regions: regions, at: self.location.isKnown ? self.location : location)
                .map { Value(builder: self, id: $0) }
        } catch {
            if self.error == nil { self.error = error }
            // Values of some type stand in, no fewer than the results of any op, so that building goes on to the end, where the error is thrown.
            let types = operands.map(\.type), least = [TensorType](repeating: types.first ?? TensorType(.f32, []), count: max(4 - types.count, 0))
            return (types + least).map { Value(builder: self, id: graph.makeValue($0)) }
        }
    }

    public func literal(_ literal: Literal, at location: SourceLocation = .unknown) -> Value {
        append(constants.literal, [], ["value": .literal(literal)], at: location)[0]
    }

    public func full(_ value: Scalar, _ type: TensorType, at location: SourceLocation = .unknown) -> Value {
        append(constants.full, [], ["value": .scalar(value.converted(to: type.dtype)), "dtype": .dtype(type.dtype), "shape": .dims(type.shape)],
               at: location)[0]
    }

    /// The first mistake, which is forgotten: for one who takes back what was built since.
    public func takeError() -> (any Error)? {
        defer { error = nil }
        return error
    }

    /// A name for a size that an op measures, which no size of the graph has: the hint, or the hint and a number.
    public func freshSymbol(_ hint: String) -> String {
        let taken = takenSymbols.union(graph.symbols).union(graph.measurements.map(\.symbol))
        if !taken.contains(hint) { return hint }
        var number = 2
        while taken.contains("\(hint)\(number)") { number += 1 }
        return "\(hint)\(number)"
    }

    /// A region for an operation that is to be appended here: a graph over inputs of these types. A mistake made in it is this builder's.
    public func region(_ name: String, _ types: [TensorType], _ body: ([Value]) -> [Value]) -> Graph {
        let inner = GraphBuilder(Graph(name: name), constants: constants)
        inner.location = location
        inner.takenSymbols = takenSymbols.union(graph.symbols).union(graph.measurements.map(\.symbol))
        let outputs = body(types.enumerated().map { inner.input("v\($0)", $1) })
        inner.graph.outputs = outputs.enumerated().map { Port("y\($0)", $1.id) }
        if error == nil { error = inner.error }
        return inner.graph
    }

    /// Names the outputs and gives the graph, or throws the first mistake made in building it.
    public func finish(_ outputs: [(String, Value)]) throws -> Graph {
        if let error { throw error }
        graph.outputs = outputs.map { Port($0.0, $0.1.id) }
        return graph
    }
}

/// The ops with which constants are recorded.
public struct ConstantOps: Sendable {
    /// No operands; attribute `value`, a literal.
    public var literal: OpDefinition
    /// No operands; attributes `value`, `dtype` and `shape`.
    public var full: OpDefinition

    public init(literal: OpDefinition, full: OpDefinition) {
        self.literal = literal
        self.full = full
    }
}

/// A value of a graph under construction.
public struct Value: Operand {
    public let builder: GraphBuilder
    public let id: ValueID

    public init(builder: GraphBuilder, id: ValueID) {
        self.builder = builder
        self.id = id
    }

    public var type: TensorType { builder.graph.types[id] }

    public static func apply(_ op: OpDefinition, _ operands: [Value], _ attributes: Attributes, regions: [Graph],
                             at location: SourceLocation) -> [Value] {
        operands[0].builder.append(op, operands, attributes, regions: regions, at: location)
    }

    public func source(_ op: OpDefinition, _ attributes: Attributes, at location: SourceLocation) -> Value {
        builder.append(op, [], attributes, at: location)[0]
    }

    public func literal(_ literal: Literal, at location: SourceLocation) -> Value { builder.literal(literal, at: location) }
    public func scalar(_ value: Scalar, _ dtype: DType, at location: SourceLocation) -> Value {
        builder.full(value, TensorType(dtype, []), at: location)
    }
    public func full(_ value: Scalar, _ type: TensorType, at location: SourceLocation) -> Value { builder.full(value, type, at: location) }
}
