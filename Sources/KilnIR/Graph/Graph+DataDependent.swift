// Sizes that depend on data: what a graph measures during a call, and which operations need to know it.
// A graph comes in; the symbols that its operations define go out, and who must wait for them.

/// A size that an op finds out during a call.
public struct Measurement: Hashable, Sendable {
    /// What the size goes by in the types of what follows.
    public var symbol: String
    /// The operand that holds it, an i64 of rank 0.
    public var count: Int
    /// The most that it can be.
    public var bound: Dim

    public init(symbol: String, count: Int, bound: Dim) {
        self.symbol = symbol
        self.count = count
        self.bound = bound
    }
}

extension Graph {
    /// What the operations measure, in their order, regions left out. A symbol that several operations measure is there for each.
    public var measurements: [(symbol: String, position: Int, count: ValueID, bound: Dim)] {
        operations.enumerated().compactMap { position, operation in
            guard let measured = operation.op.measures?(context(of: operation)) else { return nil }
            return (measured.symbol, position, operation.operands[measured.count], measured.bound)
        }
    }

    /// For each data-dependent symbol, the position of the first operation that measures it.
    public var symbolDefinitions: [String: Int] {
        Dictionary(measurements.map { ($0.symbol, $0.position) }, uniquingKeysWith: { first, _ in first })
    }

    /// The positions of the operations that make sizes known which an operation's results, attributes or regions are made of, and
    /// which it does not get to know through its operands alone. `definitions` are those of this graph.
    public func measuring(_ operation: Operation, _ definitions: [String: Int]) -> Set<Int> {
        if definitions.isEmpty { return [] }
        var names: Set<String> = []
        for result in operation.results { types[result].shape.collectSymbols(&names) }
        operation.attributes.collectSymbols(&names)
        for region in operation.regions { names.formUnion(region.outerSymbols) }
        if let own = operation.op.measures?(context(of: operation)) { names.remove(own.symbol) }
        return Set(names.compactMap { definitions[$0] })
    }

    /// The symbols that occur in a graph which it does not measure itself.
    private var outerSymbols: Set<String> {
        var names: Set<String> = []
        for type in types { type.shape.collectSymbols(&names) }
        for operation in operations {
            operation.attributes.collectSymbols(&names)
            for region in operation.regions { names.formUnion(region.outerSymbols) }
        }
        return names.subtracting(measurements.map(\.symbol))
    }
}

extension Attributes {
    fileprivate func collectSymbols(_ names: inout Set<String>) {
        for entry in entries { if case .dims(let dims) = entry.value { dims.collectSymbols(&names) } }
    }
}

extension [Dim] {
    fileprivate func collectSymbols(_ names: inout Set<String>) {
        for dim in self where dim.constant == nil { dim.forEachVariable { if case .symbol(let name) = $0 { names.insert(name) } } }
    }
}
