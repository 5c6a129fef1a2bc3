// `Pad` in its modes: constant padding is a view; the others read the tensor again, by positions that are computed.

import KilnIR
import KilnOps

extension NodeContext {
    /// Input 0 with as many positions before and after its axes as the node says.
    func padded(_ x: Value) throws -> Value {
        let amounts: [Dim] = if version >= 11 { try sizes(1, "how much is padded") } else {
            (integers("pads") ?? integers("paddings") ?? []).map { .constant($0) }
        }
        let named = try version >= 18 && has(3) ? integers(3, "which axes are padded") : Array(0..<x.rank)
        guard amounts.count == 2 * named.count else { throw mistake("has \(amounts.count) amounts for \(named.count) axes") }
        var low = x.dims.map { _ in Dim.constant(0) }, high = low
        for (number, axis) in try named.map({ try axis($0, rank: x.rank) }).enumerated() {
            (low[axis], high[axis]) = (amounts[number], amounts[named.count + number])
        }
        switch text("mode", "constant") {
        case "constant": return try padded(x, low, high)
        case let mode: return try x.dims.indices.reduce(x) { try padded($0, axis: $1, low[$1], high[$1], mode) }
        }
    }

    private func padded(_ x: Value, _ low: [Dim], _ high: [Dim]) throws -> Value {
        if version < 11 { return x.padding(low: low, high: high, value: .real(real("value", 0))) }
        guard has(2) else { return x.padding(low: low, high: high) }
        let value = try stored(2).value
        if let literal = literalIfKnown(value), literal.count == 1 { return x.padding(low: low, high: high, value: literal[0]) }
        let inside = full(.bool(true), x.type.with(dtype: .bool)).padding(low: low, high: high, value: .bool(false))
        let result = x.padding(low: low, high: high)
        return inside.select(result, value.reshape([]).broadcasting(to: result.dims, axes: []))
    }

    private func padded(_ x: Value, axis: Int, _ low: Dim, _ high: Dim, _ mode: String) throws -> Value {
        if low == 0, high == 0 { return x }
        let size = x.size(axis: axis), count = size + low + high
        guard SizeFacts.isKnown(count, atLeast: 0) else { throw Unsupported(reason: "axis \(axis) would have the size \(count)") }
        let extent = sizes([size]).broadcasting(to: [count], axes: [0])
        let places = x.iota(.i64, [count], axis: 0) - sizes([low]).broadcasting(to: [count], axes: [0])
        let source: Value
        switch mode {
        case "edge": source = places.maximum(0).minimum(extent - 1)
        case "wrap": source = Self.modulo(places, extent)
        case "reflect":
            // Forth and back again, without the ends twice; an axis of one element is that element everywhere.
            let period = ((extent - 1) * 2).maximum(1), place = Self.modulo(places, period)
            source = place.minimum(period - place).minimum(extent - 1)
        default: throw Unsupported(reason: "the mode '\(mode)' of padding")
        }
        return x.take(source, axis: axis)
    }

    /// The remainder that is not negative.
    static func modulo(_ x: Value, _ period: Value) -> Value {
        let rest = x % period
        return (rest .< 0).select(rest + period, rest)
    }
}
