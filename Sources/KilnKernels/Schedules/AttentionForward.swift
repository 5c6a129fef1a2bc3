// Attention on a host: a work item takes some rows of one head and streams over blocks of keys, keeping each row's greatest score so far,
// the sum of the exponentials, and the weighted sum of the values, which shrink where a greater score comes. (M. Milakov and
// N. Gimelshein, "Online normalizer calculation for softmax", 2018; T. Dao, "FlashAttention-2", 2023.)

import KilnIR

/// What a work item of the forward pass keeps: the rows of queries, and each row's state.
private struct ForwardState {
    let queries: Memory
    let greatest: Memory
    /// A vector for each row, added up at the end.
    let sums: Memory
    /// Of the values, padded to whole panels.
    let products: Memory
    /// The current register tile's scores, then weights.
    let scores: Memory
    /// By how much the current tile's earlier sums shrink.
    let factors: Memory
}

extension GroupLowering {
    func attentionForward(_ plan: AttentionPlan) throws {
        let tiles = attentionTiles(plan, rows: .queries)
        let keys = try packTokens(plan, 1, .keys, features: plan.size, tiles)
        let values = try packFeatures(plan, 2, .keys, features: plan.valueSize, tiles)
        let blocks = plan.rows.dividedUp(by: .constant(tiles.workItemRows))
        let width = tiles.padded(plan.valueSize)
        try launch(workItems: plan.outer * blocks, work: plan.work) { workItem in
            let place = unflatten(workItem, plan.outerShape + [blocks])
            let outer = Array(place.dropLast())
            let first = writer.bind(place.last! * .constant(tiles.workItemRows))
            let count = Dim.constant(tiles.workItemRows)
            let state = ForwardState(
                queries: try packRows(plan, 0, .queries, features: plan.size, scale: plan.form.scale, outer: outer, first: first, tiles),
                greatest: scratchOrStack(plan.accumulator, count), sums: scratch(plan.accumulator, count * .constant(tiles.lanes)),
                products: scratch(plan.accumulator, count * width), scores: scratch(plan.accumulator, .constant(tiles.rows * tiles.block)),
                factors: writer.local(plan.accumulator, .constant(tiles.rows)))
            try fill(state.greatest, count, -.infinity, plan, tiles)
            try fill(state.sums, count * .constant(tiles.lanes), 0, plan, tiles)
            try fill(state.products, count * width, 0, plan, tiles)
            let group = writer.bind(groupNumber(plan, outer))
            let last = Dim.minimum(first + count, plan.rows) - 1
            let limit = writer.bind(keyLimit(plan, afterRow: last))
            let used = writer.bind(Dim.minimum((plan.rows - first).dividedUp(by: .constant(tiles.rows)), .constant(tiles.count)))
            try writer.loop(from: 0, to: limit, step: tiles.block) { start in
                try writer.loop(to: used) { tile in
                    try whereSeen(plan, row: first + (tile + 1) * .constant(tiles.rows) - 1, key: start) {
                        try forwardTile(plan, tiles, state, outer: outer, group: group, tile: tile, row: first + tile * .constant(tiles.rows), start: start,
                                        keys: keys, values: values)
                    }
                }
            }
            try storeForward(plan, tiles, state, outer: outer, first: first, width: width)
        }
    }

    /// The number of a work item's keys among those of all groups.
    func groupNumber(_ plan: AttentionPlan, _ outer: [Dim]) -> Dim {
        zip(plan.groupShape, outer).reduce(0) { $0 * $1.0 + $1.1 }
    }

    /// Runs the body where the row sees the key.
    func whereSeen(_ plan: AttentionPlan, row: Dim, key: Dim, _ body: () throws -> Void) throws {
        guard let offset = plan.form.causalOffset else { return try body() }
        try writer.branch([.isNonNegative(row + offset - key)], then: body)
    }

    /// One register tile's rows against one block of keys.
    private func forwardTile(_ plan: AttentionPlan, _ tiles: AttentionTiles, _ state: ForwardState, outer: [Dim], group: Dim, tile: Dim, row: Dim, start: Dim,
                             keys: Memory, values: Memory) throws {
        let firstPanel = writer.bind(group * tiles.panelCount(plan.keys) + start / .constant(tiles.columns))
        let count = writer.bind(Dim.minimum(plan.keys - start, .constant(tiles.block)))
        let panels = writer.bind(tiles.panelCount(count))
        let queries = writer.bind(tile * .constant(tiles.rows) * plan.size)
        writer.loop(to: panels) { panel in
            attentionProduct(plan, tiles, rows: (state.queries, queries, plan.size),
                             columns: (keys, writer.bind((firstPanel + panel) * plan.size * .constant(tiles.columns))), depth: plan.size,
                             sums: (state.scores, panel * .constant(tiles.columns), .constant(tiles.block)))
        }
        func weigh(_ edges: Bool) throws {
            try writer.loop(to: .constant(tiles.rows)) { inTile in
                try forwardWeights(plan, tiles, state, outer: outer, inTile: inTile, inWorkItem: writer.bind(tile * .constant(tiles.rows) + inTile),
                                   row: writer.bind(row + inTile), start: start, panels: edges ? panels : .constant(tiles.panels), hasEdges: edges)
            }
        }
        var whole: [IndexCondition] = [.isNonNegative(plan.keys - start - .constant(tiles.block))]
        if let offset = plan.form.causalOffset { whole.append(.isNonNegative(row + offset - start - .constant(tiles.block - 1))) }
        try writer.branch(whole, then: { try weigh(false) }, otherwise: { try weigh(true) })
        let width = tiles.padded(plan.valueSize)
        let products = writer.bind(tile * .constant(tiles.rows) * width)
        writer.loop(to: tiles.panelCount(plan.valueSize)) { panel in
            attentionProduct(plan, tiles, rows: (state.scores, 0, .constant(tiles.block)),
                             columns: (values, writer.bind(((group * tiles.panelCount(plan.valueSize) + panel) * plan.keys + start) * .constant(tiles.columns))),
                             depth: count, sums: (state.products, products + panel * .constant(tiles.columns), width), from: .scaled(state.factors))
        }
    }

    /// Makes weights of one row's scores; past an edge, of the keys or of what the row sees, they are 0.
    private func forwardWeights(_ plan: AttentionPlan, _ tiles: AttentionTiles, _ state: ForwardState, outer: [Dim], inTile: Dim, inWorkItem: Dim, row: Dim,
                                start: Dim, panels: Dim, hasEdges: Bool) throws {
        let (dtype, lanes) = (plan.accumulator, Dim.constant(tiles.lanes))
        let frame = attentionFrame(plan)
        setOuter(frame, outer)
        elements.setVariable(frame.row, to: row)
        let most = LaneAccumulator(ReductionCode(.maximum, operand: dtype, result: dtype), count: tiles.lanes, writer)
        most.clear(width: tiles.lanes, writer)
        let vectors = panels * .constant(tiles.vectors)
        let base = inTile * .constant(tiles.block)
        let none = writer.constant(0, dtype)
        try writer.loop(to: vectors) { vector in
            try writer.lanes(tiles.lanes, count: lanes) { lane in
                let key = start + vector * lanes + lane
                elements.setVariable(frame.key, to: key)
                var score = writer.load(state.scores, base + vector * lanes + lane, dtype)
                var inside: [IndexCondition] = hasEdges ? [.isNonNegative(plan.keys - 1 - key)] : []
                if plan.form.mask != .none {
                    score = try masked(plan, score, frame, where: inside + [.isNonNegative(plan.rows - 1 - row)])
                }
                if hasEdges {
                    if let offset = plan.form.causalOffset { inside.append(.isNonNegative(row + offset - key)) }
                    score = writer.apply(.select, writer.define(.holds(inside), .bool), score, writer.constant(.real(-.infinity), dtype))
                }
                if hasEdges || plan.form.mask != .none { writer.store(score, state.scores, base + vector * lanes + lane) }
                most.add(score, none, at: lane, writer)
            }
        }
        let before = writer.load(state.greatest, inWorkItem, dtype)
        let greatest = writer.apply(.maximum, before, most.total(writer).value)
        let shift = shift(greatest, plan)
        let factor = writer.apply(.exp, writer.apply(.subtract, before, shift))
        writer.store(greatest, state.greatest, inWorkItem)
        writer.store(factor, state.factors, inTile)
        let sum = writer.local(dtype, lanes)
        writer.lanes(tiles.lanes, count: lanes) { lane in
            writer.store(writer.apply(.multiply, writer.load(state.sums, inWorkItem * lanes + lane, dtype), factor), sum, lane)
        }
        writer.loop(to: vectors) { vector in
            writer.lanes(tiles.lanes, count: lanes) { lane in
                let score = writer.load(state.scores, base + vector * lanes + lane, dtype)
                let weight = writer.apply(.exp, writer.apply(.subtract, score, shift))
                writer.store(weight, state.scores, base + vector * lanes + lane)
                writer.store(writer.apply(.add, writer.load(sum, lane, dtype), weight), sum, lane)
            }
        }
        writer.lanes(tiles.lanes, count: lanes) { lane in writer.store(writer.load(sum, lane, dtype), state.sums, inWorkItem * lanes + lane) }
    }

    private func storeForward(_ plan: AttentionPlan, _ tiles: AttentionTiles, _ state: ForwardState, outer: [Dim], first: Dim, width: Dim) throws {
        let dtype = plan.accumulator
        let frame = attentionFrame(plan, features: plan.valueSize)
        setOuter(frame, outer)
        let count = writer.bind(Dim.minimum(plan.rows - first, .constant(tiles.workItemRows)))
        try writer.loop(to: count) { row in
            elements.setVariable(frame.row, to: first + row)
            let sum = writer.define(.reduceLanes(.sum, state.sums, address: row * .constant(tiles.lanes), width: tiles.lanes), dtype)
            let greatest = writer.load(state.greatest, row, dtype)
            storeResult(plan, 1, writer.apply(.add, shift(greatest, plan), writer.apply(.log, sum)), frame.rowIndices)
            try writer.vectors(tiles.lanes, count: plan.valueSize) { feature, _ in
                elements.setVariable(frame.feature, to: feature)
                storeResult(plan, 0, quotient(writer.load(state.products, row * width + feature, dtype), sum, plan), frame.queryIndices)
            }
        }
    }
}
