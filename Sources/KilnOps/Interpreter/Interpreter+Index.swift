// Index expressions made ready to be evaluated at many positions: symbols become numbers, linear parts a list of factors.

import KilnIR

/// An index expression over index variables alone.
struct IndexFunction {
    private indirect enum Factor {
        case index(Int)
        case quotient(IndexFunction, IndexFunction)
        case maximum(IndexFunction, IndexFunction)
        case minimum(IndexFunction, IndexFunction)
    }
    private var base = 0
    private var linear: [(index: Int, factor: Int)] = []
    private var products: [(coefficient: Int, factors: [Factor])] = []

    /// Throws where a symbol has no size or an index variable is not below `rank`.
    init(_ dim: Dim, _ symbols: [String: Int], rank: Int) throws {
        let known = dim.substituting { if case .symbol(let name) = $0 { symbols[name].map { .constant($0) } } else { nil } }
        for term in known.terms {
            if term.atoms.isEmpty { base = term.coefficient } else if term.atoms.count == 1, case .index(let index) = term.atoms[0] {
                guard index < rank else { throw InternalError("interpreter", "index variable d\(index) of `\(dim)` is not below \(rank)") }
                linear.append((index, term.coefficient))
            } else { products.append((term.coefficient, try term.atoms.map { try Self.factor($0, symbols, rank) })) }
        }
    }

    private static func factor(_ atom: DimAtom, _ symbols: [String: Int], _ rank: Int) throws -> Factor {
        func function(_ dim: Dim) throws -> IndexFunction { try IndexFunction(dim, symbols, rank: rank) }
        switch atom {
        case .symbol(let name): throw InternalError("interpreter", "symbol \(name) has no size")
        case .index(let index):
            guard index < rank else { throw InternalError("interpreter", "index variable d\(index) is not below \(rank)") }
            return .index(index)
        case .floorDivide(let a, let b): return .quotient(try function(a), try function(b))
        case .maximum(let a, let b): return .maximum(try function(a), try function(b))
        case .minimum(let a, let b): return .minimum(try function(a), try function(b))
        }
    }

    var isLinear: Bool { products.isEmpty }

    /// The least and greatest value of a linear function over an iteration space with elements; nil on overflow.
    func bounds(_ sizes: [Int]) -> (Int, Int)? {
        var (least, most) = (base, base)
        for (index, factor) in linear {
            let (reach, isTooFar) = factor.multipliedReportingOverflow(by: sizes[index] - 1)
            if isTooFar { return nil }
            least &+= Swift.min(reach, 0)
            most &+= Swift.max(reach, 0)
        }
        return (least, most)
    }

    /// The sum of linear functions, each times a factor.
    init(_ functions: [IndexFunction], times factors: [Int]) {
        for (function, factor) in zip(functions, factors) {
            base &+= factor &* function.base
            for (index, slope) in function.linear {
                if let known = linear.firstIndex(where: { $0.index == index }) { linear[known].factor &+= factor &* slope } else {
                    linear.append((index, factor &* slope))
                }
            }
        }
    }

    func callAsFunction(_ indices: [Int]) -> Int {
        var sum = base
        for (index, factor) in linear { sum &+= factor &* indices[index] }
        for (coefficient, factors) in products {
            sum &+= factors.reduce(coefficient) { $0 &* Self.value($1, indices) }
        }
        return sum
    }

    private static func value(_ factor: Factor, _ indices: [Int]) -> Int {
        switch factor {
        case .index(let index): return indices[index]
        case .quotient(let a, let b):
            let divisor = b(indices)
            // A divisor that is not positive is a fault of the map's; the number it gives is out of every range.
            return divisor > 0 ? Int.floorDivide(a(indices), divisor) : .min / 4
        case .maximum(let a, let b): return Swift.max(a(indices), b(indices))
        case .minimum(let a, let b): return Swift.min(a(indices), b(indices))
        }
    }
}

/// A piece of an index map over a tensor of known shape.
struct PieceReader {
    private let axes: [IndexFunction]
    private let sizes: [Int]
    private let conditions: [(function: IndexFunction, isZero: Bool)]
    /// The row-major position at once, where it is linear and never out of range.
    private let direct: IndexFunction?

    /// Reads a tensor of the given shape at the positions of an iteration space.
    init(_ piece: IndexMap.Piece, _ shape: [Int], _ symbols: [String: Int], _ space: [Int]) throws {
        let rank = space.count
        guard piece.indices.count == shape.count else {
            throw InternalError("interpreter", "an index map has \(piece.indices.count) indices for a tensor of rank \(shape.count)")
        }
        axes = try piece.indices.map { try IndexFunction($0, symbols, rank: rank) }
        sizes = shape
        conditions = try piece.conditions.map {
            if case .isZero(let dim) = $0 { return (try IndexFunction(dim, symbols, rank: rank), true) }
            return (try IndexFunction($0.expression, symbols, rank: rank), false)
        }
        let isInside = zip(axes, shape).allSatisfy { function, size in
            function.isLinear && function.bounds(space).map { $0.0 >= 0 && $0.1 < size } ?? false
        }
        let strides = shape.indices.map { shape[($0 + 1)...].reduce(1, *) }
        direct = isInside && conditions.isEmpty && !space.contains(0) ? IndexFunction(axes, times: strides) : nil
    }

    /// The row-major position that the piece reads, nil where a condition fails. Throws where it is out of range.
    func position(_ indices: [Int]) throws -> Int? {
        if let direct { return direct(indices) }
        for (function, isZero) in conditions {
            let value = function(indices)
            if isZero ? value != 0 : value < 0 { return nil }
        }
        var position = 0
        for (axis, function) in axes.enumerated() {
            let index = function(indices)
            guard index >= 0, index < sizes[axis] else {
                throw InternalError("interpreter", "an index map reads \(index) on axis \(axis) of \(sizes), at \(indices)")
            }
            position = position &* sizes[axis] &+ index
        }
        return position
    }
}
