// What is known of index variables: each runs from zero to a size. Symbols are sizes, so they are taken to be at least zero.

/// The sizes of index variables: variable `i` lies in `0..<sizes[i]`.
public struct IndexRanges: Sendable {
    public var sizes: [Int: Dim]

    public init(_ sizes: [Int: Dim]) { self.sizes = sizes }
    /// Variables `0, 1, …` with the sizes of a shape.
    public init(shape: [Dim]) {
        sizes = Dictionary(uniqueKeysWithValues: shape.enumerated().map { ($0.offset, $0.element) })
    }
    public static let none = IndexRanges([:])

    /// Whether `low <= value < high` holds for every index in range; false where that is not certain.
    public func isWithin(_ value: Dim, _ low: Dim, _ high: Dim) -> Bool {
        guard let least = bound(value, upper: false), let most = bound(value, upper: true) else { return false }
        return Self.isNonNegative(least - low) && Self.isNonNegative(high - 1 - most)
    }

    /// The least or greatest value of an expression as one without index variables, where that is easily seen.
    public func bound(_ value: Dim, upper: Bool) -> Dim? {
        guard value.containsIndices else { return value }
        var sum: Dim = 0
        for term in value.terms {
            var factor = Dim.constant(term.coefficient)
            let takesMost = (term.coefficient > 0) == upper
            for atom in term.atoms {
                guard let b = bound(atom, upper: takesMost) else { return nil }
                // A product's bound is the product of the bounds only where none is negative.
                if term.atoms.count > 1 {
                    guard let least = bound(atom, upper: false), Self.isNonNegative(least) else { return nil }
                }
                factor *= b
            }
            sum += factor
        }
        return sum
    }

    private func bound(_ atom: DimAtom, upper: Bool) -> Dim? {
        guard atom.containsIndices else { return .atom(atom) }
        switch atom {
        case .symbol: return .atom(atom)
        case .index(let i):
            guard upper else { return 0 }
            return sizes[i].map { $0 - 1 }
        case .floorDivide(let a, let b):
            guard !b.containsIndices, let inner = bound(a, upper: upper) else { return nil }
            return inner / b
        case .maximum(let a, let b):
            guard let x = bound(a, upper: upper), let y = bound(b, upper: upper) else { return nil }
            return Dim.maximum(x, y)
        case .minimum(let a, let b):
            guard let x = bound(a, upper: upper), let y = bound(b, upper: upper) else { return nil }
            return Dim.minimum(x, y)
        }
    }

    /// Whether a size expression is at least zero for all sizes: no term is negative.
    public static func isNonNegative(_ value: Dim) -> Bool {
        value.terms.allSatisfy { $0.coefficient >= 0 && $0.atoms.allSatisfy(isNonNegative) }
    }

    private static func isNonNegative(_ atom: DimAtom) -> Bool {
        switch atom {
        case .symbol, .index: true
        case .floorDivide(let a, let b): isNonNegative(a) && isNonNegative(b)
        case .maximum(let a, let b): isNonNegative(a) || isNonNegative(b)
        case .minimum(let a, let b): isNonNegative(a) && isNonNegative(b)
        }
    }
}
