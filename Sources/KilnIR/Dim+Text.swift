// The text of dimensions: `2*batch + 1`, `(n + 15) / 16`, `max(a, b)`; index variables print as `d0`, `d1`, ….

extension Dim: CustomStringConvertible {
    public var description: String {
        if case .constant(let c) = self { return String(c) }
        var text = ""
        for (position, term) in terms.enumerated() {
            let magnitude = abs(term.coefficient)
            if position == 0 { text += term.coefficient < 0 ? "-" : "" } else { text += term.coefficient < 0 ? " - " : " + " }
            var factors = term.atoms.map(\.factorText)
            if magnitude != 1 || factors.isEmpty { factors.insert(String(magnitude), at: 0) }
            text += factors.joined(separator: "*")
        }
        return text
    }

    var isSimple: Bool {
        terms.count <= 1 && (terms.first.map { $0.atoms.count + ($0.coefficient == 1 ? 0 : 1) <= 1 && $0.coefficient >= 0 } ?? true)
    }
}

extension DimAtom {
    fileprivate var factorText: String {
        switch self {
        case .symbol(let name): name
        case .index(let i): "d\(i)"
        case .floorDivide(let a, let b): "floor(\(a), \(b))"
        case .maximum(let a, let b): "max(\(a), \(b))"
        case .minimum(let a, let b): "min(\(a), \(b))"
        }
    }
}
