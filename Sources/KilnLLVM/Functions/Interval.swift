// What is known of an index expression's value: bounds that hold for all rounds of the loops, and a number that divides it.

import KilnIR

/// The integers from `low` to `high`; nil is unbounded. Sizes are taken to be below 2^40, so that sums do not overflow.
struct Interval {
    var low: Int?
    var high: Int?

    static let unknown = Interval(low: nil, high: nil)
    /// A size.
    static let size = Interval(low: 0, high: nil)
    init(low: Int?, high: Int?) {
        self.low = low
        self.high = high
    }
    init(_ value: Int) { self.init(low: value, high: value) }

    var isNonNegative: Bool { (low ?? -1) >= 0 }

    static func + (a: Interval, b: Interval) -> Interval {
        Interval(low: Self.both(a.low, b.low) { $0.addingReportingOverflow($1) },
                 high: Self.both(a.high, b.high) { $0.addingReportingOverflow($1) })
    }

    static func * (a: Interval, b: Interval) -> Interval {
        if let al = a.low, let ah = a.high, let bl = b.low, let bh = b.high {
            let products = [(al, bl), (al, bh), (ah, bl), (ah, bh)].map { $0.0.multipliedReportingOverflow(by: $0.1) }
            if products.contains(where: \.overflow) { return .unknown }
            return Interval(low: products.map(\.partialValue).min(), high: products.map(\.partialValue).max())
        }
        if a.isNonNegative, b.isNonNegative {
            return Interval(low: Self.both(a.low, b.low) { $0.multipliedReportingOverflow(by: $1) } ?? 0, high: nil)
        }
        // A half-open interval times a constant.
        if let factor = a.exact { return b.scaled(by: factor) }
        if let factor = b.exact { return a.scaled(by: factor) }
        return .unknown
    }

    var exact: Int? { low != nil && low == high ? low : nil }

    private func scaled(by factor: Int) -> Interval {
        let ends = [low, high].map { end in
            end.flatMap { value -> Int? in
                let (product, overflow) = value.multipliedReportingOverflow(by: factor)
                return overflow ? nil : product
            }
        }
        return factor >= 0 ? Interval(low: ends[0], high: ends[1]) : Interval(low: ends[1], high: ends[0])
    }

    private static func both(_ a: Int?, _ b: Int?, _ combine: (Int, Int) -> (partialValue: Int, overflow: Bool)) -> Int? {
        guard let a, let b else { return nil }
        let (value, overflow) = combine(a, b)
        return overflow ? nil : value
    }
}

extension FunctionEmitter {
    /// Bounds of an expression over the variables in scope.
    func interval(_ dim: Dim) -> Interval {
        if case .constant(let value) = dim { return Interval(value) }
        if let (rest, remainder) = splitRemainder(dim) { return interval(rest) + remainder }
        var sum = Interval(0)
        for term in dim.terms {
            var product = Interval(term.coefficient)
            for atom in term.atoms { product = product * interval(atom) }
            sum = sum + product
        }
        return sum
    }

    private func interval(_ atom: DimAtom) -> Interval {
        switch atom {
        case .symbol: return .size
        case .index(let i):
            if case .constant(let value)? = variables[i] { return Interval(value) }
            return intervals[i] ?? .unknown
        case .floorDivide(let a, let b):
            let (x, y) = (interval(a), interval(b))
            guard x.isNonNegative else { return .unknown }
            guard let divisor = y.low, divisor > 0 else { return .size }
            return Interval(low: 0, high: x.high.map { $0 / divisor })
        case .maximum(let a, let b):
            let (x, y) = (interval(a), interval(b))
            let low = [x.low, y.low].compactMap { $0 }.max()
            return Interval(low: low, high: x.high.flatMap { h in y.high.map { max(h, $0) } })
        case .minimum(let a, let b):
            let (x, y) = (interval(a), interval(b))
            let high = [x.high, y.high].compactMap { $0 }.min()
            return Interval(low: x.low.flatMap { l in y.low.map { min(l, $0) } }, high: high)
        }
    }

    /// Takes `a - b * floor(a, b)`, a remainder, out of a sum.
    private func splitRemainder(_ dim: Dim) -> (rest: Dim, remainder: Interval)? {
        for term in dim.terms where term.coefficient < 0 {
            for atom in term.atoms {
                guard case .floorDivide(let a, let b) = atom else { continue }
                let without = dim + b * .atom(atom)
                guard without.terms.count < dim.terms.count else { continue }
                let rest = without - a
                guard rest.terms.count + a.terms.count <= without.terms.count else { continue }
                return (rest, Interval(low: 0, high: interval(b).high.map { $0 - 1 }))
            }
        }
        return nil
    }

    /// A number that divides the expression's value in every round; 0 for a value of zero.
    func divisor(_ dim: Dim) -> Int {
        dim.terms.reduce(0) { sum, term in
            var product = abs(term.coefficient)
            for atom in term.atoms {
                guard case .index(let i) = atom else { continue }
                let factor: Int
                if case .constant(let value)? = variables[i] { factor = abs(value) } else { factor = divisors[i] ?? 1 }
                let (next, overflow) = product.multipliedReportingOverflow(by: factor)
                if !overflow { product = next }
            }
            return Int.gcd(sum, product)
        }
    }
}
