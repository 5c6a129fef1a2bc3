// Symbols of a model that must be equal. Exporters name the same size differently from input to input; where an op needs two sizes to
// be equal, one symbol is expressed by the others, and the import starts again.

import KilnIR
import KilnOps

/// What is known of symbols: some are expressions over others.
struct SymbolEqualities {
    private var known: [String: Dim] = [:]

    func applied(to dim: Dim) -> Dim {
        dim.substituting { if case .symbol(let name) = $0 { known[name] } else { nil } }
    }

    /// Takes two expressions as equal. False where no symbol can be expressed by the rest, or was before: one that is no input's.
    mutating func add(_ a: Dim, _ b: Dim) -> Bool {
        guard let (symbol, value) = Self.solved(a, b), known[symbol] == nil else { return false }
        for (name, dim) in known {
            known[name] = dim.substituting { $0 == .symbol(symbol) ? value : nil }
        }
        known[symbol] = value
        return true
    }

    /// A symbol that is one side by itself, or else one of those that both sides hold in first order; the last in the alphabet.
    private static func solved(_ a: Dim, _ b: Dim) -> (String, Dim)? {
        let alone = [(a, b), (b, a)].compactMap { side, other -> (String, Dim)? in
            guard let name = side.symbols.first, side == .symbol(name), !other.symbols.contains(name) else { return nil }
            return (name, other)
        }
        if let found = alone.max(by: { $0.0 < $1.0 }) { return found }
        let difference = a - b
        for term in difference.terms.reversed() {
            guard term.atoms.count == 1, case .symbol(let name) = term.atoms[0], term.coefficient.magnitude == 1 else { continue }
            let rest = difference - Dim.symbol(name) * .constant(term.coefficient)
            if !rest.symbols.contains(name) { return (name, rest * .constant(-term.coefficient)) }
        }
        return nil
    }
}

extension NodeContext {
    /// The shape that two shapes broadcast to. Sizes that are not known to be equal must be.
    func broadcast(_ a: Shape, _ b: Shape) throws -> Shape {
        if let shape = Shape.broadcast(a, b) { return shape }
        guard let (_, x, y) = Shape.firstMismatch(a, b), x.constant == nil || y.constant == nil else {
            throw mistake("its inputs' shapes \(a) and \(b) do not broadcast")
        }
        throw ShapeError(op: node.opType, "the sizes \(x) and \(y) are not known to be equal", at: builder.location,
                         fix: "export the model with one name for equal sizes", unequal: (x, y))
    }
}
