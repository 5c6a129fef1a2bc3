// Pooling with everything spelled out: asymmetric padding, dilations, rounding up. In come images whose last axes the windows slide
// along, any others before them; out go one element for each window, and on demand the positions where the greatest were found.

import KilnIR

extension Operand {
    /// The greatest of each window of the last axes; padding never wins, and NaN does. The gradient goes to the first greatest.
    ///
    /// Where it rounds up, a last window may reach past the padding.
    public func maxPooling(_ window: SlidingWindow, roundsUp: Bool = false, at location: SourceLocation = .unknown) -> Self {
        guard let window = placed(window, roundsUp) else { return mistaken("maxPool", window, at: location) }
        return greatest(seen(window, fill: dtype.least, at: location), window, at: location)
    }

    /// The greatest of each window, and where the first of them is (i64): its position among all of this operand's elements, counted
    /// row by row; or, where it counts by columns, with the windowed axes in reverse order, the first of them fastest.
    public func maxPoolingPositions(_ window: SlidingWindow, roundsUp: Bool = false, countsByColumns: Bool = false,
                                    at location: SourceLocation = .unknown) -> (values: Self, positions: Self) {
        guard let window = placed(window, roundsUp) else {
            let mistake = mistaken("maxPool", window, at: location)
            return (mistake, mistake)
        }
        let seen = seen(window, fill: dtype.least, at: location)
        let most = greatest(seen, window, at: location)
        let wide = most.broadcasting(to: seen.dims, axes: Array(0..<rank), at: location)
        var isHere = seen.compared(Elementwise.eq, wide, at: location)
        if dtype.isFloat {
            let both = seen.compared(Elementwise.ne, seen, at: location).compared(Elementwise.and, wide.compared(Elementwise.ne, wide, at: location), at: location)
            isHere = isHere.compared(Elementwise.or, both, at: location)
        }
        let count = dims.reduce(1, *)
        let rows = iota(.i64, [count], axis: 0, at: location)
        let beyond = Scalar.integer(.max)
        let places = rows.reshaping(to: dims, at: location).seen(window, fill: beyond, at: location)
        let found = places.chosen(where: isHere, else: places.filled(beyond, at: location), at: location)
            .reducing(Structural.reduceMin, windowAxes(window), at: location)
        guard countsByColumns, window.sizes.count > 1 else { return (most, found) }
        let lead = Array(0..<rank - window.sizes.count)
        let order = lead + Array(lead.count..<rank).reversed()
        let columns = rows.reshaping(to: order.map { dims[$0] }, at: location).permuting(order, at: location).reshaping(to: [count], at: location)
        return (most, .apply(Structural.take, columns, found, attributes: ["axis": .int(0)], at: location))
    }

    /// The mean of each window of the last axes. Padding counts as zeros, unless it is not to be counted; what a last window has
    /// past the padding, where it rounds up, never counts.
    public func averagePooling(_ window: SlidingWindow, roundsUp: Bool = false, countsPadding: Bool = true,
                               at location: SourceLocation = .unknown) -> Self {
        guard dtype.isFloat, let placed = placed(window, roundsUp) else { return mistaken("avgPool", window, at: location) }
        let total = inSingle(at: location).seen(placed, fill: 0, at: location).reducing(Structural.reduceSum, windowAxes(placed), at: location)
        var known = 1
        var divisor: Self?
        for (number, axis) in (rank - window.sizes.count..<rank).enumerated() {
            // The positions that count, around the axis itself, and those that do not.
            let counted = countsPadding ? (low: window.low[number], high: window.high[number]) : (low: 0, high: 0)
            let rest = (low: placed.low[number] - counted.low, high: placed.high[number] - counted.high)
            if rest == (0, 0) {
                known *= window.sizes[number]
                continue
            }
            let ones = total.full(1, TensorType(total.dtype, [dims[axis] + counted.low + counted.high]), at: location)
            let counts = ones.padding(low: [rest.low], high: [rest.high], at: location)
                .windowing([0], sizes: [window.sizes[number]], strides: [window.strides[number]], dilations: [window.dilations[number]], at: location)
                .reducing(Structural.reduceSum, [1], at: location)
                .broadcasting(to: total.dims, axes: [axis], at: location)
            divisor = divisor.map { $0.multiplied(by: counts, at: location) } ?? counts
        }
        let whole = total.filled(.real(Double(known)), at: location)
        let count = divisor.map { known == 1 ? $0 : $0.multiplied(by: whole, at: location) } ?? whole
        return total.divided(by: count, at: location).casting(to: dtype, at: location)
    }

    /// The p-norm of each window of the last axes, `(Σ |x|ᵖ)^(1/p)`; padding counts as zeros.
    public func normPooling(_ window: SlidingWindow, p: Int = 2, roundsUp: Bool = false, at location: SourceLocation = .unknown) -> Self {
        guard dtype.isFloat, p >= 1, let window = placed(window, roundsUp) else { return mistaken("lpPool", window, at: location) }
        let seen = inSingle(at: location).seen(window, fill: 0, at: location)
        let magnitude = p == 2 ? Self.apply(Elementwise.square, seen, at: location) : .apply(Elementwise.abs, seen, at: location)
        let powers = p > 2 ? Self.apply(Elementwise.pow, magnitude, magnitude.filled(.real(Double(p)), at: location), at: location) : magnitude
        let total = powers.reducing(Structural.reduceSum, windowAxes(window), at: location)
        let root = switch p {
        case 1: total
        case 2: Self.apply(Elementwise.sqrt, total, at: location)
        default: Self.apply(Elementwise.pow, total, total.filled(.real(1 / Double(p)), at: location), at: location)
        }
        return root.casting(to: dtype, at: location)
    }

    // MARK: Parts

    /// The window with its room for a last one; nil where its numbers do not fit the rank.
    private func placed(_ window: SlidingWindow, _ roundsUp: Bool) -> SlidingWindow? {
        guard window.isValid, window.sizes.count <= rank else { return nil }
        return roundsUp ? window.roundingUp(over: Array(dims.suffix(window.sizes.count))) : window
    }

    /// The windows of the last axes of this, padded.
    private func seen(_ window: SlidingWindow, fill: Scalar, at location: SourceLocation) -> Self {
        let first = rank - window.sizes.count
        let before = Array(repeating: Dim.constant(0), count: first)
        return padding(low: before + window.low, high: before + window.high, value: fill, at: location)
            .windowing(Array(first..<rank), sizes: window.sizes, strides: window.strides, dilations: window.dilations, at: location)
    }

    private func greatest(_ seen: Self, _ window: SlidingWindow, at location: SourceLocation) -> Self {
        .apply(Structural.reduceMax, seen, attributes: ["axes": .ints(windowAxes(window)), "ties": .string("first")], at: location)
    }

    private func windowAxes(_ window: SlidingWindow) -> [Int] { Array(rank..<rank + window.sizes.count) }

    /// Sums of narrow floats are taken in f32.
    private func inSingle(at location: SourceLocation) -> Self { casting(to: dtype.byteCount < 4 ? .f32 : dtype, at: location) }

    private func mistaken(_ name: String, _ window: SlidingWindow, at location: SourceLocation) -> Self {
        if !dtype.isFloat, name != "maxPool" { return mistaken(name, "has an operand of dtype \(dtype)", fix: "pass floats", at: location) }
        let numbers = "windows of \(window.sizes) by strides of \(window.strides) and dilations of \(window.dilations)"
        return mistaken(name, window.sizes.count > rank ? "has windows of \(window.sizes.count) axes for an operand of \(rank)" : "can't have \(numbers)",
                        fix: "give one number of each kind, at least 1, for each of the last axes", at: location)
    }
}
