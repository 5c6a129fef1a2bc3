// What a sliding contraction copies: the lines of images that a block of results sees, in the accumulator's dtype and with zeros around
// them, and, where they are not at hand as they are, the weights of one window.

import KilnIR
import KilnPasses

/// The part of a block's lines and columns that holds images; the rest is border.
private struct SlidingInside {
    var lines: (start: Dim, end: Dim, count: Dim)
    /// Of each phase, in its own columns.
    var columns: [(start: Dim, end: Dim, count: Dim)]
}

extension GroupLowering {
    private func inside(_ plan: SlidingPlan, _ block: SlidingBlock) -> SlidingInside {
        func limit(_ position: Dim, _ least: Dim, _ most: Dim) -> Dim { writer.bind(Dim.minimum(Dim.maximum(position, least), most)) }
        var lines: (Dim, Dim, Dim) = (0, 1, 1)
        if let rows = plan.sliding.rows {
            let count = writer.bind(rows.extent(block.rows))
            let first = block.firstRow * .constant(rows.stride)
            let start = limit(rows.start - first, 0, count)
            lines = (start, limit(rows.end - first, start, count), count)
        }
        let stride = Dim.constant(plan.columns.stride)
        let first = block.firstColumn * stride
        let columns = plan.phases.map { phase -> (Dim, Dim, Dim) in
            // Column `phase + stride · q` is the q-th of its phase.
            func position(_ column: Dim) -> Dim { (column - .constant(phase)).dividedUp(by: stride) }
            let count = writer.bind(position(plan.columns.extent(block.columns)))
            let start = limit(position(plan.columns.start - first), 0, count)
            return (start, limit(position(plan.columns.end - first), start, count), count)
        }
        return SlidingInside(lines: lines, columns: columns)
    }

    /// Writes zeros around where the images of a block will be, for all channels.
    func clearBorder(_ plan: SlidingPlan, _ block: SlidingBlock, _ plane: Memory) throws {
        let inside = inside(plan, block)
        try writer.loop(to: plan.channelCount) { channel in
            func clear(_ line: Dim, _ phase: Int, from start: Dim, to end: Dim) throws {
                let base = channel * .constant(plan.planeSize) + line * .constant(plan.linePitch) + .constant(plan.phaseStart(plan.phases[phase]))
                try writer.vectors(plan.lanes, from: start, count: end - start) { column, _ in
                    writer.store(writer.constant(0, plan.accumulator), plane, base + column)
                }
            }
            func clearLines(from start: Dim, to end: Dim) throws {
                try writer.loop(from: start, to: end) { line in
                    for (phase, columns) in inside.columns.enumerated() { try clear(line, phase, from: 0, to: columns.count) }
                }
            }
            try clearLines(from: 0, to: inside.lines.start)
            try writer.loop(from: inside.lines.start, to: inside.lines.end) { line in
                for (phase, columns) in inside.columns.enumerated() {
                    try clear(line, phase, from: 0, to: columns.start)
                    try clear(line, phase, from: columns.end, to: columns.count)
                }
            }
            try clearLines(from: inside.lines.end, to: inside.lines.count)
        }
    }

    /// Copies the images that a block of results sees.
    func copyPlane(_ plan: SlidingPlan, _ frame: SlidingFrame, _ block: SlidingBlock, _ plane: Memory) throws {
        let inside = inside(plan, block)
        let (rows, columns) = (plan.sliding.rows, plan.columns)
        // The images' indices, with the position in a padded line instead of results and taps.
        var piece = IndexMap.Piece(indices: plan.images.indices, conditions: plan.sliding.conditions)
        let count = plan.contraction.sizes.count
        piece.indices[columns.axis] = columns.offset + .index(count)
        if let rows { piece.indices[rows.axis] = rows.offset + .index(count + 1) }
        let variables = frame.variables + [frame.column, frame.line]
        let stride = Dim.constant(columns.stride)
        try forEachChannel(plan, frame) { channel in
            try writer.loop(from: inside.lines.start, to: inside.lines.end) { line in
                elements.setVariable(frame.line, to: block.firstRow * .constant(plan.rowStride) + line)
                for (number, phase) in plan.phases.enumerated() {
                    let base = channel * .constant(plan.planeSize) + line * .constant(plan.linePitch) + .constant(plan.phaseStart(phase))
                    let range = inside.columns[number]
                    try writer.vectors(plan.lanes, from: range.start, count: range.end - range.start) { column, _ in
                        elements.setVariable(frame.column, to: (block.firstColumn + column) * stride + .constant(phase))
                        let image = try elements.factor(piece, plan.imagesOperand, variables)
                        writer.store(writer.convert(image, to: plan.accumulator), plane, base + column)
                    }
                }
            }
        }
    }

    /// Loops over the summed variables that are no taps; the body gets their position in row-major order.
    func forEachChannel(_ plan: SlidingPlan, _ frame: SlidingFrame, _ body: (Dim) throws -> Void) throws {
        func loops(_ channels: ArraySlice<Int>, _ position: Dim) throws {
            guard let channel = channels.first else { return try body(position) }
            let size = plan.contraction.sizes[channel]
            try writer.loop(to: size) { index in
                elements.setVariable(frame.variables[channel], to: index)
                try loops(channels.dropFirst(), position * size + index)
            }
        }
        try loops(plan.sliding.channels[...], 0)
    }

    // MARK: Weights

    /// Memory for a window's weights, where they are computed or in another dtype.
    func slidingWeights(_ plan: SlidingPlan) -> Memory? {
        if elements.places[plan.weightsOperand]?.dtype == plan.accumulator, plan.weights.conditions.isEmpty { return nil }
        return scratchOrStack(plan.accumulator, plan.channelCount * .constant(plan.rowTaps * plan.columns.tapCount))
    }

    func copyWeights(_ plan: SlidingPlan, _ frame: SlidingFrame, _ copy: Memory?) throws {
        guard let copy else { return }
        try forEachChannel(plan, frame) { channel in
            try writer.loop(to: .constant(plan.rowTaps)) { row in
                try writer.loop(to: .constant(plan.columns.tapCount)) { column in
                    let weight = try computedWeight(plan, frame, row, column)
                    writer.store(weight, copy, (channel * .constant(plan.rowTaps) + row) * .constant(plan.columns.tapCount) + column)
                }
            }
        }
    }

    /// A tap's weight.
    func weight(_ plan: SlidingPlan, _ frame: SlidingFrame, _ copy: Memory?, _ channel: Dim, _ row: Dim, _ column: Dim) throws -> ValueNumber {
        guard let copy else { return try computedWeight(plan, frame, row, column) }
        return writer.load(copy, (channel * .constant(plan.rowTaps) + row) * .constant(plan.columns.tapCount) + column, plan.accumulator)
    }

    private func computedWeight(_ plan: SlidingPlan, _ frame: SlidingFrame, _ row: Dim, _ column: Dim) throws -> ValueNumber {
        var variables = frame.variables
        func set(_ tap: Int?, _ position: Dim) {
            guard let tap else { return }
            if position.constant != nil { variables[tap] = position } else { elements.setVariable(variables[tap], to: position) }
        }
        set(plan.columns.tap, column)
        set(plan.sliding.rows?.tap, row)
        return writer.convert(try elements.factor(plan.weights, plan.weightsOperand, variables), to: plan.accumulator)
    }
}
