// Sizes and indices: integer expressions over symbols (a batch size) and index variables (a position in a loop),
// kept in one normal form, a polynomial whose atoms are variables, floor divisions, maxima and minima.

/// A dimension or an index: a constant, or a polynomial over symbols and index variables.
///
/// Equal expressions compare equal as far as the normal form sees: `(n + 1) * 2 == 2 * n + 2`.
/// There is no modulo: `a mod b` is written `a - b * (a / b)`, so that merging what was split cancels by itself.
public enum Dim: Hashable, Sendable {
    case constant(Int)
    case expression(DimExpression)

    public static func symbol(_ name: String) -> Dim { .atom(.symbol(name)) }
    /// The index variable with the given number; what the number means is up to the surrounding map, kernel or loop.
    public static func index(_ id: Int) -> Dim { lowIndices.indices.contains(id) ? lowIndices[id] : .atom(.index(id)) }
    /// The variables that most maps are made of, made once: they are asked for more often than all else.
    private static let lowIndices = (0..<64).map { Dim.atom(.index($0)) }
    public static func atom(_ atom: DimAtom) -> Dim {
        .expression(DimExpression(terms: [DimTerm(coefficient: 1, atoms: [atom])]))
    }

    /// The value where it is a constant.
    public var constant: Int? { if case .constant(let c) = self { c } else { nil } }

    /// The polynomial's terms; a constant is one term without atoms, and zero has none.
    public var terms: [DimTerm] {
        switch self {
        case .constant(0): []
        case .constant(let c): [DimTerm(coefficient: c, atoms: [])]
        case .expression(let e): e.terms
        }
    }

    /// Whether an index variable occurs.
    var containsIndices: Bool { if case .expression(let e) = self { e.containsIndices } else { false } }

    /// A fixed order of all expressions, in which operands that commute are written.
    static func order(_ a: Dim, _ b: Dim) -> Int {
        if a == b { return 0 }
        let (x, y) = (a.terms, b.terms)
        if x.count != y.count { return x.count < y.count ? -1 : 1 }
        for (s, t) in zip(x, y) where s != t { return DimTerm.order(s, t) }
        return 0
    }

    /// The sum of the given terms, in any order.
    public init(terms: [DimTerm]) {
        var merged: [DimTerm] = []
        merged.reserveCapacity(terms.count)
        for term in terms.count < 2 ? terms : terms.sorted(by: DimTerm.precedes) {
            if let last = merged.last, last.atoms == term.atoms {
                merged[merged.count - 1].coefficient = last.coefficient &+ term.coefficient
            } else { merged.append(term) }
        }
        self.init(ordered: merged)
    }

    /// The sum of terms that are in order, each with atoms of its own.
    init(ordered terms: [DimTerm]) {
        let kept = terms.contains { $0.coefficient == 0 } ? terms.filter { $0.coefficient != 0 } : terms
        if kept.isEmpty { self = .constant(0) } else if kept.count == 1, kept[0].atoms.isEmpty {
            self = .constant(kept[0].coefficient)
        } else { self = .expression(DimExpression(terms: kept)) }
    }

    /// The sum of two lists that are in order.
    static func sum(_ a: [DimTerm], _ b: [DimTerm]) -> Dim {
        var merged: [DimTerm] = []
        merged.reserveCapacity(a.count + b.count)
        var (i, j) = (0, 0)
        while i < a.count, j < b.count {
            let order = DimTerm.atomOrder(a[i], b[j])
            if order == 0 {
                merged.append(DimTerm(coefficient: a[i].coefficient &+ b[j].coefficient, atoms: a[i].atoms))
                (i, j) = (i + 1, j + 1)
            } else if order < 0 {
                merged.append(a[i])
                i += 1
            } else {
                merged.append(b[j])
                j += 1
            }
        }
        merged += a[i...]
        merged += b[j...]
        return Dim(ordered: merged)
    }
}

/// One product of a polynomial: an integer times variables.
public struct DimTerm: Hashable, Sendable {
    public var coefficient: Int
    /// Sorted; a repeated atom is a power.
    public var atoms: [DimAtom]

    public init(coefficient: Int, atoms: [DimAtom]) {
        self.coefficient = coefficient
        self.atoms = atoms
    }

    /// Terms with more atoms come first, constants last; then in the order of their atoms, so that printing is canonical.
    static func precedes(_ a: DimTerm, _ b: DimTerm) -> Bool { order(a, b) < 0 }

    /// Negative, zero or positive as the first comes before, with or after the second.
    static func order(_ a: DimTerm, _ b: DimTerm) -> Int {
        let order = atomOrder(a, b)
        return order != 0 ? order : a.coefficient == b.coefficient ? 0 : a.coefficient < b.coefficient ? -1 : 1
    }

    /// The same by the atoms alone.
    static func atomOrder(_ a: DimTerm, _ b: DimTerm) -> Int {
        if a.atoms.count != b.atoms.count { return a.atoms.count > b.atoms.count ? -1 : 1 }
        for (x, y) in zip(a.atoms, b.atoms) where x != y { return DimAtom.order(x, y) }
        return 0
    }
}

/// What a polynomial multiplies: a variable, or an operation that is no polynomial.
public indirect enum DimAtom: Hashable, Sendable {
    case symbol(String)
    case index(Int)
    /// The quotient rounded toward minus infinity; the divisor is positive.
    case floorDivide(Dim, Dim)
    case maximum(Dim, Dim)
    case minimum(Dim, Dim)

    static func precedes(_ a: DimAtom, _ b: DimAtom) -> Bool { order(a, b) < 0 }

    /// Variables come before operations, each kind in its own order.
    static func order(_ a: DimAtom, _ b: DimAtom) -> Int {
        switch (a, b) {
        case (.symbol(let x), .symbol(let y)): return x == y ? 0 : x < y ? -1 : 1
        case (.index(let x), .index(let y)): return x == y ? 0 : x < y ? -1 : 1
        case (.floorDivide(let a0, let a1), .floorDivide(let b0, let b1)), (.maximum(let a0, let a1), .maximum(let b0, let b1)),
            (.minimum(let a0, let a1), .minimum(let b0, let b1)):
            let first = Dim.order(a0, b0)
            return first != 0 ? first : Dim.order(a1, b1)
        default: return a.rank - b.rank
        }
    }

    private var rank: Int {
        switch self {
        case .symbol: 0
        case .index: 1
        case .floorDivide: 2
        case .maximum: 3
        case .minimum: 4
        }
    }

    /// Whether an index variable occurs.
    var containsIndices: Bool {
        switch self {
        case .symbol: false
        case .index: true
        case .floorDivide(let a, let b), .maximum(let a, let b), .minimum(let a, let b): a.containsIndices || b.containsIndices
        }
    }
}

/// The terms of a dimension that is not a constant; boxed so that `Dim` stays two words.
public final class DimExpression: Hashable, Sendable {
    public let terms: [DimTerm]
    private let hash: Int
    let containsIndices: Bool

    init(terms: [DimTerm]) {
        self.terms = terms
        var hash = terms.count
        var containsIndices = false
        for term in terms {
            hash = DimExpression.mixed(hash, term.coefficient)
            for atom in term.atoms {
                hash = DimExpression.mixed(hash, atom.ownHash)
                if !containsIndices, atom.containsIndices { containsIndices = true }
            }
        }
        self.hash = hash
        self.containsIndices = containsIndices
    }

    /// Expressions are made far more often than they are put into tables, whose hashers mix once more.
    fileprivate static func mixed(_ hash: Int, _ value: Int) -> Int {
        let product = (hash ^ value) &* 0x2545_F491_4F6C_DD1D
        return product ^ (product >> 29)
    }

    fileprivate static func hash(of dim: Dim) -> Int {
        switch dim {
        case .constant(let value): value
        case .expression(let expression): expression.hash
        }
    }

    public static func == (a: DimExpression, b: DimExpression) -> Bool {
        a === b || a.hash == b.hash && a.terms == b.terms
    }
    public func hash(into hasher: inout Hasher) { hasher.combine(hash) }
}

extension DimAtom {
    fileprivate var ownHash: Int {
        func pair(_ rank: Int, _ a: Dim, _ b: Dim) -> Int {
            DimExpression.mixed(DimExpression.mixed(rank, DimExpression.hash(of: a)), DimExpression.hash(of: b))
        }
        return switch self {
        case .symbol(let name): name.hashValue
        case .index(let id): id &+ 1
        case .floorDivide(let a, let b): pair(2, a, b)
        case .maximum(let a, let b): pair(3, a, b)
        case .minimum(let a, let b): pair(4, a, b)
        }
    }
}

extension Dim: ExpressibleByIntegerLiteral, ExpressibleByStringLiteral {
    public init(integerLiteral value: Int) { self = .constant(value) }
    /// A symbol: `["batch", 784]` is a shape.
    public init(stringLiteral value: String) { self = .symbol(value) }
}
