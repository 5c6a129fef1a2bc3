// How windows lie along spatial axes: what convolutions, their transposes and pooling have in common. In come numbers for each
// axis, as a model file gives them; out go amounts of padding and counts of windows, which may hold symbols.

import KilnIR

/// Windows that slide along some axes: for each axis its elements, the step from one window to the next, the step from one element
/// to the next, and the positions that are put before and after the axis.
///
/// Amounts before and after may differ, may be sizes with symbols, and take away where they are negative.
public struct SlidingWindow: Hashable, Sendable {
    public var sizes: [Int]
    public var strides: [Int]
    public var dilations: [Int]
    public var low: [Dim]
    public var high: [Dim]

    /// Strides and dilations are 1 and amounts of padding 0 where not given.
    public init(_ sizes: [Int], strides: [Int]? = nil, dilations: [Int]? = nil, low: [Dim]? = nil, high: [Dim]? = nil) {
        self.sizes = sizes
        self.strides = strides ?? sizes.map { _ in 1 }
        self.dilations = dilations ?? sizes.map { _ in 1 }
        self.low = low ?? sizes.map { _ in 0 }
        self.high = high ?? sizes.map { _ in 0 }
    }

    /// Whether there are as many of all numbers as of sizes, in ranges where there is a window.
    public var isValid: Bool {
        [strides.count, dilations.count, low.count, high.count].allSatisfy { $0 == sizes.count }
            && (sizes + strides + dilations).allSatisfy { $0 >= 1 && $0 < 1 << 40 }
    }

    /// The positions from a window's first to its last.
    public var spans: [Dim] { zip(sizes, dilations).map { Structural.windowSpan($0, $1) } }

    /// The windows that fit axes of the given sizes.
    public func counts(over extents: [Dim]) -> [Dim] {
        sizes.indices.map { (extents[$0] + low[$0] + high[$0] - spans[$0]) / .constant(strides[$0]) + 1 }
    }

    /// The same windows with the padding that gives one for each `stride` positions begun (SAME_UPPER; SAME_LOWER where an odd
    /// amount has its more at the start).
    public func paddedToKeepSizes(_ extents: [Dim], moreAtEnd: Bool = true) -> SlidingWindow {
        var result = self
        for axis in sizes.indices {
            let stride = Dim.constant(strides[axis])
            // At least the span less the stride.
            let total = (extents[axis].dividedUp(by: stride) - 1) * stride + spans[axis] - extents[axis]
            let isPadding = IndexRanges.isNonNegative(spans[axis] - stride)
            (result.low[axis], result.high[axis]) = Self.halves(total, clipping: !isPadding, moreAtEnd: moreAtEnd)
        }
        return result
    }

    /// The same windows with the padding for which their transpose gives axes of the given sizes (the attribute `output_shape`).
    public func padded(toReach outputs: [Dim], from extents: [Dim], outputPadding: [Dim]? = nil, moreAtEnd: Bool) -> SlidingWindow {
        var result = self
        for axis in sizes.indices {
            let total = .constant(strides[axis]) * (extents[axis] - 1) + (outputPadding?[axis] ?? 0) + spans[axis] - outputs[axis]
            (result.low[axis], result.high[axis]) = Self.halves(total, clipping: !IndexRanges.isNonNegative(total), moreAtEnd: moreAtEnd)
        }
        return result
    }

    /// Two parts of an amount. What it falls below zero is taken away at the end alone.
    private static func halves(_ total: Dim, clipping: Bool, moreAtEnd: Bool) -> (low: Dim, high: Dim) {
        let amount = clipping ? Dim.maximum(total, 0) : total
        let low = moreAtEnd ? amount / 2 : amount.dividedUp(by: 2)
        return (low, total - low)
    }

    /// The same windows, with room for one more that begins within the axis or the padding before it, where some positions are
    /// left over at the end (`ceil_mode`).
    public func roundingUp(over extents: [Dim]) -> SlidingWindow {
        var result = self
        for axis in sizes.indices {
            let stride = Dim.constant(strides[axis]), start = extents[axis] + low[axis]
            let reaching = (start + high[axis] - spans[axis]).dividedUp(by: stride) + 1
            let beginning = start.dividedUp(by: stride)
            let excess = high[axis] + stride - spans[axis]
            let count = if IndexRanges.isNonNegative(excess) { beginning } else if IndexRanges.isNonNegative(-excess) { reaching } else {
                Dim.minimum(reaching, beginning)
            }
            result.high[axis] = (count - 1) * stride + spans[axis] - start
        }
        return result
    }
}
