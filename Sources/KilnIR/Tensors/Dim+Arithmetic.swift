// Arithmetic on dimensions, with the simplifications that hold for all integers (or for the ranges that a caller gives).

extension Dim {
    public static func + (a: Dim, b: Dim) -> Dim {
        switch (a, b) {
        case (.constant(let x), .constant(let y)): .constant(x &+ y)
        case (.constant(0), _): b
        case (_, .constant(0)): a
        default: .sum(a.terms, b.terms)
        }
    }

    public static prefix func - (a: Dim) -> Dim { a * -1 }
    public static func - (a: Dim, b: Dim) -> Dim {
        if case (.constant(let x), .constant(let y)) = (a, b) { return .constant(x &- y) }
        return a + b * -1
    }

    public static func * (a: Dim, b: Dim) -> Dim {
        switch (a, b) {
        case (.constant(let x), .constant(let y)): return .constant(x &* y)
        case (.constant(0), _), (_, .constant(0)): return 0
        case (.constant(1), _): return b
        case (_, .constant(1)): return a
        case (.constant(let factor), .expression(let e)), (.expression(let e), .constant(let factor)):
            return Dim(ordered: e.terms.map { DimTerm(coefficient: $0.coefficient &* factor, atoms: $0.atoms) })
        default:
            var products: [DimTerm] = []
            for x in a.terms {
                for y in b.terms {
                    products.append(DimTerm(coefficient: x.coefficient &* y.coefficient,
                                            atoms: (x.atoms + y.atoms).sorted(by: DimAtom.precedes)))
                }
            }
            return Dim(terms: products)
        }
    }

    public static func += (a: inout Dim, b: Dim) { a = a + b }
    public static func *= (a: inout Dim, b: Dim) { a = a * b }

    /// The quotient rounded toward minus infinity, for a positive divisor.
    public static func / (a: Dim, b: Dim) -> Dim { a.dividedDown(by: b, ranges: .none) }
    /// The remainder with the divisor's sign: `a - b * (a / b)`.
    public static func % (a: Dim, b: Dim) -> Dim { a - b * (a / b) }

    /// The quotient rounded up, for a positive divisor.
    public func dividedUp(by divisor: Dim) -> Dim { (self + divisor - 1) / divisor }
    /// The least multiple of `divisor` that is at least this.
    public func roundedUp(to divisor: Dim) -> Dim { dividedUp(by: divisor) * divisor }

    public static func maximum(_ a: Dim, _ b: Dim) -> Dim {
        if a == b { return a }
        if let difference = (a - b).constant { return difference >= 0 ? a : b }
        return .atom(Dim.order(a, b) < 0 ? .maximum(a, b) : .maximum(b, a))
    }

    public static func minimum(_ a: Dim, _ b: Dim) -> Dim {
        if a == b { return a }
        if let difference = (a - b).constant { return difference >= 0 ? b : a }
        return .atom(Dim.order(a, b) < 0 ? .minimum(a, b) : .minimum(b, a))
    }

    /// The floor of the quotient, simplified with what is known of the index variables' ranges.
    ///
    /// Terms that the divisor divides leave the quotient; what remains vanishes where it is known to lie in `0..<divisor`.
    public func dividedDown(by divisor: Dim, ranges: IndexRanges) -> Dim {
        if divisor == 1 { return self }
        if case (.constant(let x), .constant(let y)) = (self, divisor), y > 0 { return .constant(Int.floorDivide(x, y)) }
        if divisor.terms.count > 1, let exact = divided(exactlyBy: divisor) { return exact }
        var quotient: [DimTerm] = []
        var rest: [DimTerm] = []
        for term in terms {
            if let exact = term.divided(by: divisor) { quotient.append(exact) } else if let d = divisor.constant, d > 0,
                term.atoms.isEmpty {
                let q = Int.floorDivide(term.coefficient, d)
                if q != 0 { quotient.append(DimTerm(coefficient: q, atoms: [])) }
                rest.append(DimTerm(coefficient: term.coefficient &- q &* d, atoms: []))
            } else { rest.append(term) }
        }
        return Dim(terms: quotient) + Dim(terms: rest).remainderQuotient(by: divisor, ranges: ranges)
    }

    /// The quotient of polynomials, where the division leaves no remainder: first terms divide each other, as the order of terms is kept by products.
    private func divided(exactlyBy divisor: Dim) -> Dim? {
        guard let first = divisor.terms.first else { return nil }
        var (quotient, rest) = ([DimTerm](), self)
        while let next = rest.terms.first {
            guard quotient.count < 32, let term = next.divided(by: Dim(terms: [first])) else { return nil }
            quotient.append(term)
            rest = rest - Dim(terms: [term]) * divisor
        }
        return Dim(terms: quotient)
    }

    private func remainderQuotient(by divisor: Dim, ranges: IndexRanges) -> Dim {
        if self == 0 || ranges.isWithin(self, 0, divisor) { return 0 }
        if let d = divisor.constant, d > 0, let reduced = reducedByCommonFactor(d, ranges: ranges) {
            return reduced.0.dividedDown(by: .constant(reduced.1), ranges: ranges)
        }
        // (x / a) / b is x / (a * b).
        if terms.count == 1, terms[0].coefficient == 1, terms[0].atoms.count == 1,
            case .floorDivide(let inner, let by) = terms[0].atoms[0], !by.productOverflows(divisor) {
            return inner.dividedDown(by: by * divisor, ranges: ranges)
        }
        return .atom(.floorDivide(self, divisor))
    }

    private func productOverflows(_ other: Dim) -> Bool {
        terms.contains { x in other.terms.contains { x.coefficient.multipliedReportingOverflow(by: $0.coefficient).overflow } }
    }

    /// `(g * x + r) / (g * d)` is `x / d` where `0 <= r < g`.
    private func reducedByCommonFactor(_ divisor: Int, ranges: IndexRanges) -> (Dim, Int)? {
        let factors = Set(terms.filter { !$0.atoms.isEmpty }.map { Int.gcd($0.coefficient, divisor) })
        for g in factors.sorted(by: >) where g > 1 {
            let multiples = terms.filter { $0.coefficient % g == 0 }
            let small = Dim(terms: terms.filter { $0.coefficient % g != 0 })
            guard !multiples.isEmpty, small == 0 || ranges.isWithin(small, 0, .constant(g)) else { continue }
            let reduced = Dim(terms: multiples.map { DimTerm(coefficient: $0.coefficient / g, atoms: $0.atoms) })
            return (reduced, divisor / g)
        }
        return nil
    }
}

extension DimTerm {
    /// This term over a divisor of one term, where that leaves no remainder.
    func divided(by divisor: Dim) -> DimTerm? {
        let parts = divisor.terms
        guard parts.count == 1 else { return nil }
        let (quotient, overflow) = coefficient.dividedReportingOverflow(by: parts[0].coefficient)
        guard !overflow, quotient &* parts[0].coefficient == coefficient else { return nil }
        var left = atoms
        for atom in parts[0].atoms {
            guard let position = left.firstIndex(of: atom) else { return nil }
            left.remove(at: position)
        }
        return DimTerm(coefficient: quotient, atoms: left)
    }
}

extension Int {
    /// The quotient rounded toward minus infinity. No divisor traps: by zero it is zero, and the one that overflows wraps.
    public static func floorDivide(_ a: Int, _ b: Int) -> Int {
        guard b != 0 else { return 0 }
        let (q, overflow) = a.dividedReportingOverflow(by: b)
        return !overflow && q &* b != a && (a < 0) != (b < 0) ? q - 1 : q
    }

    /// The greatest common divisor; at least zero, unless it is the magnitude of the least integer, which wraps.
    public static func gcd(_ a: Int, _ b: Int) -> Int {
        var (x, y) = (a.magnitude, b.magnitude)
        while y != 0 { (x, y) = (y, x % y) }
        return Int(truncatingIfNeeded: x)
    }
}
