// The sizes that a program measures while it runs: prefixes of buffers come in; symbols with their bounds go out, and the most that
// any size made of them can be, by which memory is planned before anything is measured.

import KilnIR

/// The data-dependent symbols of a program under construction.
struct DataDependentSizes {
    /// In the order in which they were met first.
    private(set) var symbols: [DataDependentSymbol] = []
    private var positions: [String: Int] = [:]

    /// Adds a symbol, or another place where it is measured.
    mutating func add(_ name: String, limit: Dim, at operation: Operation) throws {
        let bound = try most(limit, at: operation.location)
        if let position = positions[name] {
            symbols[position].bound = Dim.maximum(symbols[position].bound, bound)
        } else {
            positions[name] = symbols.count
            symbols.append(DataDependentSymbol(name, bound: bound))
        }
    }

    /// The most that a size can be, over the symbols that are known before the call.
    func most(_ size: Dim, at location: SourceLocation = .unknown) throws -> Dim {
        if symbols.isEmpty || size.constant != nil { return size }
        // Each data-dependent symbol as an index that runs from zero to its bound.
        var ranges = IndexRanges.none
        var used: [String] = []
        let indexed = size.substituting { atom in
            guard case .symbol(let name) = atom, let number = positions[name] else { return nil }
            ranges.sizes[number] = symbols[number].bound + 1
            used.append(name)
            return .index(number)
        }
        if used.isEmpty { return size }
        guard let most = ranges.bound(indexed, upper: true) else {
            throw CompileError("memory", "the size \(size) has no bound that is known before \(symbols.map(\.name).joined(separator: ", ")) is measured",
                               at: location, fix: "use sizes that grow with what is measured, or take the prefix after the computation")
        }
        return most
    }
}
