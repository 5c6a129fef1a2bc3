// A graph for other sizes: symbols come in with what stands for them, and the graph goes out with that in all of its types and attributes.

extension Graph {
    /// This graph with symbols replaced, in its regions too; the others stay.
    public func replacing(symbols: [String: Dim]) -> Graph {
        if symbols.isEmpty { return self }
        func replaced(_ shape: Shape) -> Shape {
            shape.map { dim in dim.substituting { if case .symbol(let name) = $0 { symbols[name] } else { nil } } }
        }
        var graph = self
        graph.types = types.map { $0.with(shape: replaced($0.shape)) }
        for position in graph.operations.indices {
            for entry in graph.operations[position].attributes.entries.indices {
                guard case .dims(let dims) = graph.operations[position].attributes.entries[entry].value else { continue }
                graph.operations[position].attributes.entries[entry].value = .dims(replaced(dims))
            }
            graph.operations[position].regions = operations[position].regions.map { $0.replacing(symbols: symbols) }
        }
        return graph
    }

    /// What stands for each symbol where the inputs have the given types: each is found where it is a dimension by itself.
    /// Throws the user's error where an input is of another dtype or rank.
    public func symbols(for given: [TensorType]) throws -> [String: Dim] {
        guard given.count == inputs.count else {
            throw CompileError(name, "takes \(inputs.count) inputs, was given \(given.count)", fix: "pass one value for each input")
        }
        var symbols: [String: Dim] = [:]
        for (number, (type, given)) in zip(inputTypes, given).enumerated() {
            guard type.dtype == given.dtype, type.rank == given.rank else {
                throw CompileError(name, "input '\(inputs[number].name)' takes \(type), was given \(given)", fix: "pass \(type)")
            }
            for (dim, size) in zip(type.shape, given.shape) {
                if let symbol = dim.symbols.first, dim == .symbol(symbol), symbols[symbol] == nil { symbols[symbol] = size }
            }
        }
        return symbols
    }
}
