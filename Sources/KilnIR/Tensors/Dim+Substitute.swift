// Walking and rewriting dimensions: substitution, evaluation, and the variables that occur.

extension Dim {
    /// Replaces index variables and symbols; where `replace` gives nil the variable stays.
    public func substituting(ranges: IndexRanges = .none, _ replace: (DimAtom) -> Dim?) -> Dim {
        guard case .expression(let expression) = self else { return self }
        if expression.terms.count == 1, expression.terms[0].coefficient == 1, expression.terms[0].atoms.count == 1 {
            // A variable, most of the time.
            switch expression.terms[0].atoms[0] {
            case .symbol, .index: return replace(expression.terms[0].atoms[0]) ?? self
            default: break
            }
        }
        var sum: Dim = 0
        for term in expression.terms {
            var product = Dim.constant(term.coefficient)
            for atom in term.atoms { product *= atom.substituting(ranges: ranges, replace) }
            sum += product
        }
        return sum
    }

    /// Replaces index variable `i` by `indices[i]`.
    public func substituting(indices: [Dim], ranges: IndexRanges = .none) -> Dim {
        substituting(ranges: ranges) { if case .index(let i) = $0, i < indices.count { indices[i] } else { nil } }
    }

    /// The value for given symbols and indices; nil where one is missing or a divisor is not positive.
    public func evaluate(_ value: (DimAtom) -> Int?) -> Int? {
        var sum = 0
        for term in terms {
            var product = term.coefficient
            for atom in term.atoms {
                guard let factor = atom.evaluate(value) else { return nil }
                let (next, overflow) = product.multipliedReportingOverflow(by: factor)
                if overflow { return nil }
                product = next
            }
            let (next, overflow) = sum.addingReportingOverflow(product)
            if overflow { return nil }
            sum = next
        }
        return sum
    }

    /// The value for given symbols.
    public func evaluate(symbols: [String: Int]) -> Int? {
        evaluate { if case .symbol(let name) = $0 { symbols[name] } else { nil } }
    }

    /// Calls `visit` with each symbol and index variable that occurs, also inside divisions.
    public func forEachVariable(_ visit: (DimAtom) -> Void) {
        guard case .expression(let expression) = self else { return }
        for term in expression.terms { for atom in term.atoms { atom.forEachVariable(visit) } }
    }

    /// The symbols that occur, sorted.
    public var symbols: [String] {
        var names: Set<String> = []
        forEachVariable { if case .symbol(let name) = $0 { names.insert(name) } }
        return names.sorted()
    }

    /// The index variables that occur.
    public var indices: Set<Int> {
        var found: Set<Int> = []
        forEachVariable { if case .index(let i) = $0 { found.insert(i) } }
        return found
    }

    /// The factor of index variable `i`, where the expression is linear in it; nil where it is not.
    public func coefficient(ofIndex i: Int) -> Dim? {
        var factor: Dim = 0
        for term in terms {
            let occurrences = term.atoms.filter { Dim.atom($0).indices.contains(i) }
            if occurrences.isEmpty { continue }
            guard occurrences.count == 1, occurrences[0] == .index(i) else { return nil }
            var others = term.atoms
            others.remove(at: others.firstIndex(of: .index(i))!)
            factor += Dim(terms: [DimTerm(coefficient: term.coefficient, atoms: others)])
        }
        return factor
    }
}

extension DimAtom {
    fileprivate func substituting(ranges: IndexRanges, _ replace: (DimAtom) -> Dim?) -> Dim {
        if let replacement = replace(self) { return replacement }
        switch self {
        case .symbol: return .atom(self)
        case .index(let id): return .index(id)
        case .floorDivide(let a, let b):
            return a.substituting(ranges: ranges, replace)
                .dividedDown(by: b.substituting(ranges: ranges, replace), ranges: ranges)
        case .maximum(let a, let b):
            return Dim.maximum(a.substituting(ranges: ranges, replace), b.substituting(ranges: ranges, replace))
        case .minimum(let a, let b):
            return Dim.minimum(a.substituting(ranges: ranges, replace), b.substituting(ranges: ranges, replace))
        }
    }

    fileprivate func evaluate(_ value: (DimAtom) -> Int?) -> Int? {
        switch self {
        case .symbol, .index: return value(self)
        case .floorDivide(let a, let b):
            guard let x = a.evaluate(value), let y = b.evaluate(value), y > 0 else { return nil }
            return Int.floorDivide(x, y)
        case .maximum(let a, let b):
            guard let x = a.evaluate(value), let y = b.evaluate(value) else { return nil }
            return max(x, y)
        case .minimum(let a, let b):
            guard let x = a.evaluate(value), let y = b.evaluate(value) else { return nil }
            return min(x, y)
        }
    }

    fileprivate func forEachVariable(_ visit: (DimAtom) -> Void) {
        switch self {
        case .symbol, .index: visit(self)
        case .floorDivide(let a, let b), .maximum(let a, let b), .minimum(let a, let b):
            a.forEachVariable(visit)
            b.forEachVariable(visit)
        }
    }
}
