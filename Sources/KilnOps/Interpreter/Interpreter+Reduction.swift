// What combines many elements into one: reductions, scans, contractions. Floats accumulate in Double, integers in 64 bits.

import KilnIR

extension Execution {
    func reduce(_ kind: ReductionKind, _ axes: [Int]) throws -> Elements {
        let operand = operands[0]
        let kept = operand.shape.indices.filter { !axes.contains($0) }
        let shape = kept.map { operand.shape[$0] }
        // The operand's axes with the kept ones first: each result's elements follow one another.
        let order = kept + operand.shape.indices.filter { axes.contains($0) }
        let positions = Self.positions(operand.shape, order)
        let length = axes.reduce(1) { $0 * operand.shape[$1] }
        let rows = shape.reduce(1, *)
        func row(_ number: Int) -> ArraySlice<Int> { positions[number * length..<(number + 1) * length] }
        let (dtype, result) = (operand.dtype, resultType)
        if kind == .argmax || kind == .argmin {
            let reals = operand.reals
            return Elements(result, shape, integers: (0..<rows).map { Self.best(kind, row($0), operand, reals) })
        }
        if case .reals(let values) = operand.storage, kind != .any, kind != .all {
            return Elements(result, shape, reals: (0..<rows).map { number in
                result.rounded(row(number).reduce(Self.identity(kind)) { Self.combine(kind, $0, values[$1]) })
            })
        }
        let values = operand.dtype.isFloat ? operand.reals.map { $0 == 0 ? 0 : 1 } : operand.integers
        return Elements(result, shape, integers: (0..<rows).map { number in
            result.wrapped(row(number).reduce(Self.identity(kind, dtype)) { Self.combine(kind, $0, values[$1], dtype) })
        })
    }

    /// The place of the first greatest or least element; NaN is beyond every number.
    private static func best(_ kind: ReductionKind, _ row: ArraySlice<Int>, _ operand: Elements, _ reals: [Double]) -> Int64 {
        guard var best = row.first else { return 0 }
        for candidate in row.dropFirst() where isBetter(kind, candidate, best, operand, reals) { best = candidate }
        return Int64(row.firstIndex(of: best)! - row.startIndex)
    }

    private static func isBetter(_ kind: ReductionKind, _ a: Int, _ b: Int, _ operand: Elements, _ reals: [Double]) -> Bool {
        if case .integers(let values) = operand.storage {
            let (x, y) = (values[a], values[b])
            if x == y { return false }
            let isGreater = operand.dtype == .u64 ? UInt64(bitPattern: x) > UInt64(bitPattern: y) : x > y
            return isGreater == (kind == .argmax)
        }
        if reals[b].isNaN { return false }
        if reals[a].isNaN { return true }
        return kind == .argmax ? reals[a] > reals[b] : reals[a] < reals[b]
    }

    /// The row-major positions of a tensor's elements, read with its axes in the given order.
    static func positions(_ shape: [Int], _ order: [Int]) -> [Int] {
        var strides = [Int](repeating: 1, count: shape.count)
        for axis in shape.indices.dropLast().reversed() { strides[axis] = strides[axis + 1] * shape[axis + 1] }
        let steps = order.map { strides[$0] }
        var positions: [Int] = []
        Odometer(sizes: order.map { shape[$0] }).forEach { indices in
            positions.append(zip(indices, steps).reduce(0) { $0 + $1.0 * $1.1 })
        }
        return positions
    }

    func scan(_ kind: ReductionKind, _ axis: Int, reverse: Bool, exclusive: Bool) -> Elements {
        let operand = operands[0]
        let (dtype, length) = (operand.dtype, operand.shape[axis])
        let order = operand.shape.indices.filter { $0 != axis } + [axis]
        let positions = Self.positions(operand.shape, order)
        let starts = length == 0 ? [] : Array(stride(from: 0, to: positions.count, by: length))
        /// The positions of a row in the order of the scan.
        func row(_ start: Int) -> [Int] {
            let row = Array(positions[start..<start + length])
            return reverse ? row.reversed() : row
        }
        switch operand.storage {
        case .reals(var values):
            for start in starts {
                var sum = Self.identity(kind)
                for position in row(start) {
                    let before = sum
                    sum = Self.combine(kind, sum, values[position])
                    values[position] = dtype.rounded(exclusive ? before : sum)
                }
            }
            return Elements(dtype, operand.shape, reals: values)
        case .integers(var values):
            for start in starts {
                var sum = Self.identity(kind, dtype)
                for position in row(start) {
                    let before = sum
                    sum = dtype.wrapped(Self.combine(kind, sum, values[position], dtype))
                    values[position] = exclusive ? before : sum
                }
            }
            return Elements(dtype, operand.shape, integers: values)
        }
    }

    func contract(_ contraction: Contraction) throws -> Elements {
        let sizes = try self.sizes(contraction.sizes)
        let left = try PieceReader(contraction.left, operands[contraction.left.operand].shape, symbols, sizes)
        let right = try PieceReader(contraction.right, operands[contraction.right.operand].shape, symbols, sizes)
        let shape = Array(sizes.prefix(contraction.outputRank))
        let length = sizes.dropFirst(contraction.outputRank).reduce(1, *)
        let (a, b) = (operands[contraction.left.operand], operands[contraction.right.operand])
        // Positions come in row-major order, so the products of one result follow one another.
        var term = 0
        if contraction.accumulator.isFloat {
            let (x, y) = (a.reals, b.reals)
            var sums = [Double](repeating: 0, count: shape.reduce(1, *))
            try Odometer(sizes: sizes).forEach { indices in
                if let i = try left.position(indices), let j = try right.position(indices) { sums[term / length] += x[i] * y[j] }
                term += 1
            }
            let dtype = resultType
            return Elements(dtype, shape, reals: sums.map { dtype.rounded($0) })
        }
        let (x, y) = (a.integers, b.integers)
        var sums = [Int64](repeating: 0, count: shape.reduce(1, *))
        try Odometer(sizes: sizes).forEach { indices in
            if let i = try left.position(indices), let j = try right.position(indices) { sums[term / length] &+= x[i] &* y[j] }
            term += 1
        }
        let dtype = resultType
        return Elements(dtype, shape, integers: sums.map { dtype.wrapped(contraction.accumulator.wrapped($0)) })
    }

    // MARK: Combining two elements

    static func identity(_ kind: ReductionKind) -> Double {
        switch kind {
        case .product: 1
        case .maximum: -.infinity
        case .minimum: .infinity
        default: 0
        }
    }

    static func combine(_ kind: ReductionKind, _ a: Double, _ b: Double) -> Double {
        switch kind {
        case .product: a * b
        case .maximum: Double.propagatingMaximum(a, b)
        case .minimum: -Double.propagatingMaximum(-a, -b)
        default: a + b
        }
    }

    static func identity(_ kind: ReductionKind, _ dtype: DType) -> Int64 {
        switch kind {
        case .product, .all: 1
        case .maximum: dtype.isSigned ? .min >> Int64(64 - dtype.bitWidth) : 0
        case .minimum: dtype == .u64 ? -1 : dtype.isSigned ? .max >> Int64(64 - dtype.bitWidth) : .max >> Int64(63 - dtype.bitWidth)
        default: 0
        }
    }

    static func combine(_ kind: ReductionKind, _ a: Int64, _ b: Int64, _ dtype: DType) -> Int64 {
        let isLess = dtype == .u64 ? UInt64(bitPattern: a) < UInt64(bitPattern: b) : a < b
        switch kind {
        case .product: return a &* b
        case .maximum: return isLess ? b : a
        case .minimum: return isLess ? a : b
        case .any: return a != 0 || b != 0 ? 1 : 0
        case .all: return a != 0 && b != 0 ? 1 : 0
        default: return a &+ b
        }
    }
}
