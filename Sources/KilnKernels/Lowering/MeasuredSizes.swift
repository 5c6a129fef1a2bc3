// The sizes that a program measures while it runs: prefixes of buffers come in; symbols with their bounds go out, and the most that
// any size made of them can be, by which memory is planned before anything is measured.

import KilnIR

/// The measured symbols of a program under construction.
struct MeasuredSizes {
    /// In the order in which they were met first.
    private(set) var symbols: [MeasuredSymbol] = []

    /// Adds a symbol, or another place where it is measured.
    mutating func add(_ name: String, limit: Dim, at operation: Operation) throws {
        let bound = try most(limit, at: operation.location)
        if let position = symbols.firstIndex(where: { $0.name == name }) {
            symbols[position].bound = Dim.maximum(symbols[position].bound, bound)
        } else { symbols.append(MeasuredSymbol(name, bound: bound)) }
    }

    func contains(_ name: String) -> Bool { symbols.contains { $0.name == name } }

    /// The most that a size can be, over the symbols that are known before the call.
    func most(_ size: Dim, at location: SourceLocation = .unknown) throws -> Dim {
        if symbols.isEmpty || size.constant != nil { return size }
        // Each measured symbol as an index that runs from zero to its bound.
        var ranges = IndexRanges.none
        for (number, symbol) in symbols.enumerated() { ranges.sizes[number] = symbol.bound + 1 }
        let indexed = size.substituting { atom in
            guard case .symbol(let name) = atom, let number = symbols.firstIndex(where: { $0.name == name }) else { return nil }
            return .index(number)
        }
        guard let most = ranges.bound(indexed, upper: true) else {
            throw CompileError("memory", "the size \(size) has no bound that is known before \(symbols.map(\.name).joined(separator: ", ")) is measured",
                               at: location, fix: "use sizes that grow with what is measured, or take the prefix after the computation")
        }
        return most
    }
}
