// The register tile of a sliding contraction: lines × vectors of results that accumulate over the taps, reading copied lines of images
// at every offset, and what becomes of the sums.

import KilnIR
import KilnPasses

extension GroupLowering {
    /// Elementwise work of more than this an element is written once for all lines of a tile.
    private static let mostRepeatedCost = 12

    /// Computes and stores a block of results.
    func slidingTiles(_ plan: SlidingPlan, _ frame: SlidingFrame, _ block: SlidingBlock, _ plane: Memory, _ weights: Memory?) throws {
        let size = Dim.constant(plan.tileRows * plan.tileColumns)
        // What only a branch uses would be computed in it, sum by sum.
        let isRepeated = plan.isWhole && costPerElement <= Self.mostRepeatedCost
        let kept = isRepeated ? nil : writer.local(plan.accumulator, size)
        try writer.loop(to: block.rows.dividedUp(by: .constant(plan.tileRows))) { rowTile in
            let row = writer.bind(rowTile * .constant(plan.tileRows))
            try writer.loop(to: block.columns.dividedUp(by: .constant(plan.tileColumns))) { columnTile in
                let column = columnTile * .constant(plan.tileColumns)
                let sums = writer.local(plan.accumulator, size)
                for vector in 0..<plan.tileRows * plan.tileVectors {
                    writer.lanes(plan.lanes, count: .constant(plan.lanes)) {
                        writer.store(writer.constant(0, plan.accumulator), sums, .constant(vector * plan.lanes) + $0)
                    }
                }
                try forEachChannel(plan, frame) { channel in
                    let base = channel * .constant(plan.planeSize) + row * .constant(plan.rowStride * plan.linePitch) + column
                    try accumulate(plan, frame, plane, base: base, channel: channel, weights, sums)
                }
                if let kept {
                    for vector in 0..<plan.tileRows * plan.tileVectors {
                        writer.lanes(plan.lanes, count: .constant(plan.lanes)) {
                            let at = Dim.constant(vector * plan.lanes) + $0
                            writer.store(writer.load(sums, at, plan.accumulator), kept, at)
                        }
                    }
                }
                try storeSums(plan, frame, block, row: row, column: column, kept ?? sums, isRepeated: isRepeated)
            }
        }
    }

    /// Adds a channel's products to the sums.
    private func accumulate(_ plan: SlidingPlan, _ frame: SlidingFrame, _ plane: Memory, base: Dim, channel: Dim, _ weights: Memory?,
                            _ sums: Memory) throws {
        let columns = plan.columns
        func add(line: Dim, column: Dim, _ targets: [(row: Int, tap: Dim)]) throws {
            let place: Dim
            if let column = column.constant {
                let position = column * columns.dilation
                place = .constant(plan.phaseStart(position % columns.stride) + position / columns.stride)
            } else { place = dynamicPlace(plan, column) }
            for vector in 0..<plan.tileVectors {
                try writer.lanes(plan.lanes, count: .constant(plan.lanes)) { lane in
                    let image = writer.load(plane, base + line * .constant(plan.linePitch) + place + .constant(vector * plan.lanes) + lane, plan.accumulator)
                    for (row, tap) in targets {
                        let weight = try weight(plan, frame, weights, channel, tap, column)
                        let at = Dim.constant((row * plan.tileVectors + vector) * plan.lanes) + lane
                        let sum = writer.load(sums, at, plan.accumulator)
                        writer.store(multiplyAdd(image, weight, sum, plan.accumulator), sums, at)
                    }
                }
            }
        }
        if plan.isUnrolled {
            // Each line that is read serves all lines of results that see it; the weights of a column of taps stay in registers meanwhile.
            let lines = (0..<plan.lines(plan.tileRows)).map { line in
                (line, (0..<plan.tileRows).compactMap { row -> (row: Int, tap: Dim)? in
                    let distance = line - row * plan.rowStride
                    guard distance >= 0, distance % plan.rowDilation == 0, distance / plan.rowDilation < plan.rowTaps else { return nil }
                    return (row, .constant(distance / plan.rowDilation))
                })
            }
            for column in 0..<columns.tapCount {
                for (line, targets) in lines where !targets.isEmpty { try add(line: .constant(line), column: .constant(column), targets) }
            }
            return
        }
        try writer.loop(to: .constant(plan.rowTaps)) { tap in
            func addTap(_ column: Dim) throws {
                for row in 0..<plan.tileRows {
                    try add(line: .constant(row * plan.rowStride) + tap * .constant(plan.rowDilation), column: column, [(row, tap)])
                }
            }
            if plan.hasUnrolledLines { for column in 0..<columns.tapCount { try addTap(.constant(column)) } } else {
                try writer.loop(to: .constant(columns.tapCount)) { try addTap($0) }
            }
        }
    }

    /// Where a tap that is known at run time finds its first column in a line.
    private func dynamicPlace(_ plan: SlidingPlan, _ tap: Dim) -> Dim {
        let position = tap * .constant(plan.columns.dilation)
        if plan.columns.stride == 1 { return position + .constant(plan.phaseStart(0)) }
        let quotient = writer.bind(position / .constant(plan.columns.stride))
        let phase = writer.bind(position - quotient * .constant(plan.columns.stride))
        // Phases that no tap reads have no place; what lies between those that are read grows with the phase's number.
        let starts = plan.phases.map(plan.phaseStart)
        return quotient + starts.indices.dropFirst().reduce(.constant(starts[0])) { sum, number in
            let isPast = Dim.minimum(1, Dim.maximum(0, phase - .constant(plan.phases[number] - 1)))
            return sum + isPast * .constant(starts[number] - starts[number - 1])
        }
    }

    /// Applies the group's elementwise work to the sums and stores the outputs, without what lies past the edges.
    private func storeSums(_ plan: SlidingPlan, _ frame: SlidingFrame, _ block: SlidingBlock, row: Dim, column: Dim, _ sums: Memory,
                           isRepeated: Bool) throws {
        let rows = plan.tileRows
        func store(_ line: Dim) throws {
            if let number = plan.sliding.rows?.output { elements.setVariable(frame.variables[number], to: block.firstRow + row + line) }
            for vector in 0..<plan.tileVectors {
                let start = column + .constant(vector * plan.lanes)
                func inLanes(_ count: Dim) throws {
                    try writer.lanes(plan.lanes, count: count) { lane in
                        elements.setVariable(frame.variables[plan.columns.output], to: block.firstColumn + start + lane)
                        try storeSum(plan, frame, writer.load(sums, (line * .constant(plan.tileVectors) + .constant(vector)) * .constant(plan.lanes) + lane, plan.accumulator))
                    }
                }
                if let n = plan.columnCount.constant, n % plan.tileColumns == 0 {
                    try inLanes(.constant(plan.lanes))
                    continue
                }
                let rest = block.columns - start
                if let known = rest.constant {
                    if known > 0 { try inLanes(.constant(min(known, plan.lanes))) }
                    continue
                }
                try writer.branch([.isNonNegative(rest - .constant(plan.lanes))], then: { try inLanes(.constant(plan.lanes)) }) {
                    try writer.branch([.isNonNegative(rest - 1)]) { try inLanes(rest) }
                }
            }
        }
        if isRepeated {
            for line in 0..<rows { try writer.scoped { try store(.constant(line)) } }
            return
        }
        let isWhole = plan.rowCount.constant.map { $0 % rows == 0 } ?? false
        try writer.loop(to: isWhole ? .constant(rows) : writer.bind(Dim.minimum(block.rows - row, .constant(rows)))) { try store($0) }
    }

    private func storeSum(_ plan: SlidingPlan, _ frame: SlidingFrame, _ sum: ValueNumber) throws {
        let type = region.type(of: plan.value)
        elements.current[plan.value] = writer.convert(sum, to: type.dtype)
        defer { elements.current = [:] }
        for (number, output) in region.outputs.enumerated() {
            let at = indices(of: region.type(of: output.value).shape, in: type.shape, at: Array(frame.variables[..<plan.contraction.outputRank]))
            storeOutput(number, try elements.element(output.value, at), at)
        }
    }
}
