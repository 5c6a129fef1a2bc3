// Sorting in the interpreter.

import KilnIR

extension Execution {
    func sort(_ axis: Int, descending: Bool) -> Elements {
        let operand = operands[0]
        let length = operand.shape[axis]
        var result = [Int64](repeating: 0, count: operand.count)
        let positions = Self.positions(operand.shape, operand.shape.indices.filter { $0 != axis } + [axis])
        for start in length == 0 ? [] : Array(stride(from: 0, to: positions.count, by: length)) {
            let row = Array(positions[start..<start + length])
            let order = (0..<length).sorted { a, b in
                if operand.precedes(row[a], row[b], descending) { return true }
                return !operand.precedes(row[b], row[a], descending) && a < b
            }
            for (place, position) in order.enumerated() { result[row[place]] = Int64(position) }
        }
        return Elements(.i64, operand.shape, integers: result)
    }
}

extension Elements {
    /// Whether the element at `a` comes before the one at `b`, which it does not equal.
    fileprivate func precedes(_ a: Int, _ b: Int, _ descending: Bool) -> Bool {
        let (first, second) = descending ? (b, a) : (a, b)
        switch storage {
        case .reals(let values): return values[first] < values[second] || values[second].isNaN && !values[first].isNaN
        case .integers(let values):
            return dtype == .u64 ? UInt64(bitPattern: values[first]) < UInt64(bitPattern: values[second]) : values[first] < values[second]
        }
    }
}
