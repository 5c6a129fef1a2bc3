// The algebra of dimensions: whatever is simplified has the value that plain integer arithmetic gives.

import KilnIR
import Testing

/// An expression written out, evaluated without any of Dim's rules.
private indirect enum Written {
    case constant(Int), symbol(String), index(Int)
    case add(Written, Written), subtract(Written, Written), multiply(Written, Written)
    case divide(Written, Int), maximum(Written, Written), minimum(Written, Written)

    static func random(depth: Int, indices: Int, _ random: inout SeededGenerator) -> Written {
        if depth == 0 || Int.random(in: 0..<6, using: &random) == 0 {
            switch Int.random(in: 0..<3, using: &random) {
            case 0: return .constant(Int.random(in: -9...9, using: &random))
            case 1: return .symbol(["n", "m"].randomElement(using: &random)!)
            default: return indices > 0 ? .index(Int.random(in: 0..<indices, using: &random)) : .symbol("n")
            }
        }
        let a = Written.random(depth: depth - 1, indices: indices, &random)
        let b = Written.random(depth: depth - 1, indices: indices, &random)
        switch Int.random(in: 0..<8, using: &random) {
        case 0, 1: return .add(a, b)
        case 2: return .subtract(a, b)
        case 3: return .multiply(a, b)
        case 4, 5: return .divide(a, [1, 2, 3, 4, 6, 8].randomElement(using: &random)!)
        case 6: return .maximum(a, b)
        default: return .minimum(a, b)
        }
    }

    func value(_ symbols: [String: Int], _ indices: [Int]) -> Int {
        switch self {
        case .constant(let c): return c
        case .symbol(let s): return symbols[s]!
        case .index(let i): return indices[i]
        case .add(let a, let b): return a.value(symbols, indices) + b.value(symbols, indices)
        case .subtract(let a, let b): return a.value(symbols, indices) - b.value(symbols, indices)
        case .multiply(let a, let b): return a.value(symbols, indices) * b.value(symbols, indices)
        case .divide(let a, let b): return Int((Double(a.value(symbols, indices)) / Double(b)).rounded(.down))
        case .maximum(let a, let b): return max(a.value(symbols, indices), b.value(symbols, indices))
        case .minimum(let a, let b): return min(a.value(symbols, indices), b.value(symbols, indices))
        }
    }

    func dim(_ ranges: IndexRanges) -> Dim {
        switch self {
        case .constant(let c): .constant(c)
        case .symbol(let s): .symbol(s)
        case .index(let i): .index(i)
        case .add(let a, let b): a.dim(ranges) + b.dim(ranges)
        case .subtract(let a, let b): a.dim(ranges) - b.dim(ranges)
        case .multiply(let a, let b): a.dim(ranges) * b.dim(ranges)
        case .divide(let a, let b): a.dim(ranges).dividedDown(by: .constant(b), ranges: ranges)
        case .maximum(let a, let b): Dim.maximum(a.dim(ranges), b.dim(ranges))
        case .minimum(let a, let b): Dim.minimum(a.dim(ranges), b.dim(ranges))
        }
    }
}

private func evaluate(_ dim: Dim, _ symbols: [String: Int], _ indices: [Int]) -> Int? {
    dim.evaluate {
        switch $0 {
        case .symbol(let name): symbols[name]
        case .index(let i): indices.indices.contains(i) ? indices[i] : nil
        default: nil
        }
    }
}

@Suite struct DimTests {
    @Test(arguments: 1...8) func simplificationKeepsValues(seed: UInt64) {
        var random = SeededGenerator(seed)
        for _ in 0..<1500 {
            let written = Written.random(depth: 4, indices: 0, &random)
            let dim = written.dim(.none)
            for _ in 0..<4 {
                let symbols = ["n": Int.random(in: 0...9, using: &random), "m": Int.random(in: 0...9, using: &random)]
                #expect(evaluate(dim, symbols, []) == written.value(symbols, []), "\(written) became \(dim)")
            }
        }
    }

    @Test(arguments: 1...8) func simplificationWithinRangesKeepsValues(seed: UInt64) {
        var random = SeededGenerator(seed &* 77)
        let sizes: [Dim] = ["n", 4, "m" * 3]
        for _ in 0..<1500 {
            let written = Written.random(depth: 4, indices: 3, &random)
            let dim = written.dim(IndexRanges(shape: sizes))
            for _ in 0..<4 {
                let symbols = ["n": Int.random(in: 1...9, using: &random), "m": Int.random(in: 1...9, using: &random)]
                let indices = sizes.map { Int.random(in: 0..<$0.evaluate(symbols: symbols)!, using: &random) }
                #expect(evaluate(dim, symbols, indices) == written.value(symbols, indices), "\(written) became \(dim)")
            }
        }
    }

    @Test(arguments: 1...4) func boundsHold(seed: UInt64) {
        var random = SeededGenerator(seed &* 13)
        let sizes: [Dim] = ["n", 4, "m" * 3]
        let ranges = IndexRanges(shape: sizes)
        var found = 0
        for _ in 0..<1500 {
            let dim = Written.random(depth: 3, indices: 3, &random).dim(ranges)
            for upper in [false, true] {
                guard let bound = ranges.bound(dim, upper: upper) else { continue }
                found += 1
                let symbols = ["n": Int.random(in: 1...9, using: &random), "m": Int.random(in: 1...9, using: &random)]
                let indices = sizes.map { Int.random(in: 0..<$0.evaluate(symbols: symbols)!, using: &random) }
                let (value, limit) = (evaluate(dim, symbols, indices)!, bound.evaluate(symbols: symbols)!)
                #expect(upper ? value <= limit : value >= limit, "\(dim) has \(upper ? "upper" : "lower") bound \(bound)")
            }
        }
        #expect(found > 1000)
    }

    @Test(arguments: 1...8) func textRoundTrips(seed: UInt64) throws {
        var random = SeededGenerator(seed &* 5)
        for _ in 0..<500 {
            let indexed = Written.random(depth: 4, indices: 3, &random).dim(IndexRanges(shape: ["n", 4, "m"]))
            var addresses = try TextParser(indexed.description, file: "t", allowsIndices: true)
            #expect(try addresses.dim() == indexed)
            let size = Written.random(depth: 4, indices: 0, &random).dim(.none)
            var sizes = try TextParser(size.description, file: "t")
            #expect(try sizes.dim() == size)
        }
    }

    @Test func divisionByRanges() {
        let ranges = IndexRanges(shape: ["n", 16, 8])
        let position: Dim = .index(0) * 128 + .index(1) * 8 + .index(2)
        #expect(position.dividedDown(by: 128, ranges: ranges) == .index(0))
        #expect(position.dividedDown(by: 8, ranges: ranges) == .index(0) * 16 + .index(1))
        #expect((Dim.index(1) + 3).dividedDown(by: 19, ranges: ranges) == 0)
        #expect((Dim.index(1) + 3).dividedDown(by: 18, ranges: ranges) != 0)
        #expect((Dim.symbol("n") * 6 + 5) / 3 == Dim.symbol("n") * 2 + 1)
    }

    @Test func extremesDoNotTrap() {
        let least = Dim.constant(.min), n = Dim.symbol("n")
        let odd: [Dim] = [least, -1, 0, 1, 3, .constant(.max), n, n * least, n + least, n * -1]
        for a in odd {
            for b in odd {
                _ = [a + b, a - b, a * b, a / b, a % b, Dim.maximum(a, b), Dim.minimum(a, b), a.dividedUp(by: b), a.roundedUp(to: b)]
                _ = (a / b).description + (a * b).description
                _ = (a / b).evaluate(symbols: ["n": 7])
            }
        }
        #expect(Int.floorDivide(7, 0) == 0)
        #expect(Int.floorDivide(.min, -1) == .min)
        #expect(Int.floorDivide(-7, 2) == -4)
        #expect(Int.floorDivide(7, -2) == -4)
        #expect((n * least).description == "-9223372036854775808*n")
    }

    /// Shapes of as many elements; the symbol `n` is 3.
    static let reshapes: [(Shape, Shape)] = [
        ([6], [2, 3]), ([2, 3], [6]), ([2, 3], [3, 2]), ([4, 6], [2, 2, 3, 2]), ([1, 6], [6, 1]), (["n", 4], ["n", 2, 2]), (["n", 4], ["n" * 4]),
        (["n" * 4], ["n", 4]), ([2, "n", 4], ["n" * 2, 4]), ([2, "n", 4], [2, 4, "n"]), ([4, 1, "n"], [2, 2, "n", 1]), ([], [1, 1]), ([1], []),
        (["n", "m"], ["m", "n"]), (["n", "m"], ["n" * "m"]), ([0, 3], [3, 0]),
    ]

    @Test(arguments: reshapes.indices) func reshapeMapsAgreeWithRowMajorOrder(number: Int) {
        let (source, target) = Self.reshapes[number]
        let symbols = ["n": 3, "m": 5]
        let from = source.map { $0.evaluate(symbols: symbols)! }, to = target.map { $0.evaluate(symbols: symbols)! }
        let map = IndexMap.reshape(from: source, to: target)
        for position in 0..<to.reduce(1, *) {
            var rest = position
            var indices = [Int](repeating: 0, count: to.count)
            for axis in to.indices.reversed() { (indices[axis], rest) = (rest % to[axis], rest / to[axis]) }
            var row = 0
            for (axis, index) in map.pieces[0].indices.enumerated() {
                let value = evaluate(index, symbols, indices)!
                #expect(value >= 0 && value < from[axis])
                row = row * from[axis] + value
            }
            #expect(row == position)
        }
    }
}
