// The text of dimensions: `2*batch + 1`, `floor(n + 15, 16)`, `max(a, b)`; index variables print as `d0`, `d1`, …,
// and symbols that would read as something else print in quotes.

extension Dim: CustomStringConvertible {
    public var description: String {
        if case .constant(let c) = self { return String(c) }
        var text = ""
        for (position, term) in terms.enumerated() {
            let magnitude = term.coefficient.magnitude
            if position == 0 { text += term.coefficient < 0 ? "-" : "" } else { text += term.coefficient < 0 ? " - " : " + " }
            var factors = term.atoms.map(\.factorText)
            if magnitude != 1 || factors.isEmpty { factors.insert(String(magnitude), at: 0) }
            text += factors.joined(separator: "*")
        }
        return text
    }
}

extension Dim {
    static func symbolText(_ name: String) -> String {
        let isTaken = name == "floor" || name == "max" || name == "min" || name.first == "d" && indexNumber(name) != nil
        return isTaken || !name.isWord ? name.quoted : name
    }
}

extension DimAtom {
    fileprivate var factorText: String {
        switch self {
        case .symbol(let name): Dim.symbolText(name)
        case .index(let i): "d\(i)"
        case .floorDivide(let a, let b): "floor(\(a), \(b))"
        case .maximum(let a, let b): "max(\(a), \(b))"
        case .minimum(let a, let b): "min(\(a), \(b))"
        }
    }
}
