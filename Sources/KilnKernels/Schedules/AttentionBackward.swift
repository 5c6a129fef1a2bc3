// Attention's gradients on a host. Weights are made again from the rows' logarithms, a block at a time: once with rows as rows of the
// register tile, for the queries' gradient, and once with keys as rows, for the keys' and values', so that each work item owns what it adds to.

import KilnIR

/// What a work item of the backward pass works with: two tiles, of scores that become weights and of products that become their gradients.
private struct BackwardTiles {
    let sizes: AttentionTiles
    /// Rows of the operands of scores and of products, `workItemRows` each.
    let scoreRows: Memory
    let productRows: Memory
    let scores: Memory
    let products: Memory
    let outer: [Dim]
}

extension GroupLowering {
    func attentionBackward(_ plan: AttentionPlan) throws {
        if plan.outputs[0] != nil { try attentionBackwardRows(plan) }
        if plan.outputs[1] != nil || plan.outputs[2] != nil { try attentionBackwardKeys(plan) }
    }

    // MARK: The queries' gradient

    private func attentionBackwardRows(_ plan: AttentionPlan) throws {
        let tiles = attentionTiles(plan, rows: .queries)
        let keys = try packTokens(plan, 1, .keys, features: plan.size, tiles)
        let values = try packTokens(plan, 2, .keys, features: plan.valueSize, tiles)
        let sources = try packFeatures(plan, 1, .keys, features: plan.size, tiles)
        let blocks = plan.rows.dividedUp(by: .constant(tiles.workItemRows))
        let width = tiles.padded(plan.size)
        try launch(workItems: plan.outer * blocks, work: plan.work * 2) { workItem in
            let place = unflatten(workItem, plan.outerShape + [blocks])
            let outer = Array(place.dropLast())
            let first = writer.bind(place.last! * .constant(tiles.workItemRows))
            let state = BackwardTiles(
                sizes: tiles, scoreRows: try packRows(plan, 0, .queries, features: plan.size, scale: plan.form.scale, outer: outer, first: first, tiles),
                productRows: try packRows(plan, 4, .queries, features: plan.valueSize, outer: outer, first: first, tiles),
                scores: scratch(plan.accumulator, .constant(tiles.rows * tiles.block)),
                products: scratch(plan.accumulator, .constant(tiles.rows * tiles.block)), outer: outer)
            let sums = scratch(plan.accumulator, .constant(tiles.workItemRows) * width)
            try fill(sums, .constant(tiles.workItemRows) * width, 0, plan, tiles)
            let group = writer.bind(groupNumber(plan, outer))
            let last = Dim.minimum(first + .constant(tiles.workItemRows), plan.rows) - 1
            let used = writer.bind(Dim.minimum((plan.rows - first).dividedUp(by: .constant(tiles.rows)), .constant(tiles.count)))
            try writer.loop(from: 0, to: writer.bind(keyLimit(plan, afterRow: last)), step: tiles.block) { start in
                let count = writer.bind(Dim.minimum(plan.keys - start, .constant(tiles.block)))
                try writer.loop(to: used) { tile in
                    let row = first + tile * .constant(tiles.rows)
                    try whereSeen(plan, row: row + .constant(tiles.rows - 1), key: start) {
                        let panels = writer.bind(tiles.panelCount(count))
                        try backwardProducts(plan, state, tile: tile, panels: panels, columns: (keys, values),
                                             first: writer.bind(group * tiles.panelCount(plan.keys) + start / .constant(tiles.columns)))
                        try backwardWeights(plan, state, rows: .queries, row: row, column: start, panels: panels)
                        addProducts(plan, tiles, state.products, sources, first: group * tiles.panelCount(plan.size), tokens: plan.keys, start: start,
                                    count: count, to: sums, tile: tile, features: plan.size)
                    }
                }
            }
            try storeGradient(plan, tiles, 0, .queries, sums, outer: outer, first: first, features: plan.size, scale: plan.form.scale)
        }
    }

    // MARK: The keys' and the values' gradients

    private func attentionBackwardKeys(_ plan: AttentionPlan) throws {
        let tiles = attentionTiles(plan, rows: .keys)
        let queries = try packTokens(plan, 0, .queries, features: plan.size, scale: plan.form.scale, tiles)
        let cotangents = try packTokens(plan, 4, .queries, features: plan.valueSize, tiles)
        let keySources = try packFeatures(plan, 0, .queries, features: plan.size, tiles)
        let valueSources = try packFeatures(plan, 4, .queries, features: plan.valueSize, tiles)
        let blocks = plan.keys.dividedUp(by: .constant(tiles.workItemRows))
        try launch(workItems: plan.group * blocks, work: plan.work * 2) { workItem in
            let place = unflatten(workItem, plan.groupShape + [blocks])
            let outer = Array(place.dropLast())
            let first = writer.bind(place.last! * .constant(tiles.workItemRows))
            let scoreRows = try packRows(plan, 1, .keys, features: plan.size, outer: outer, first: first, tiles)
            let productRows = try packRows(plan, 2, .keys, features: plan.valueSize, outer: outer, first: first, tiles)
            let scores = scratch(plan.accumulator, .constant(tiles.rows * tiles.block)), products = scratch(plan.accumulator, .constant(tiles.rows * tiles.block))
            let keySums = scratch(plan.accumulator, .constant(tiles.workItemRows) * tiles.padded(plan.size))
            let valueSums = scratch(plan.accumulator, .constant(tiles.workItemRows) * tiles.padded(plan.valueSize))
            try fill(keySums, .constant(tiles.workItemRows) * tiles.padded(plan.size), 0, plan, tiles)
            try fill(valueSums, .constant(tiles.workItemRows) * tiles.padded(plan.valueSize), 0, plan, tiles)
            let used = writer.bind(Dim.minimum((plan.keys - first).dividedUp(by: .constant(tiles.rows)), .constant(tiles.count)))
            let begin = writer.bind(rowStart(plan, key: first) / .constant(tiles.block) * .constant(tiles.block))
            try writer.loop(to: .constant(plan.ratio)) { member in
                let state = BackwardTiles(sizes: tiles, scoreRows: scoreRows, productRows: productRows, scores: scores, products: products, outer: outer + [member])
                let head = writer.bind(groupNumber(plan, outer) * .constant(plan.ratio) + member)
                try writer.loop(from: begin, to: plan.rows, step: tiles.block) { start in
                    let count = writer.bind(Dim.minimum(plan.rows - start, .constant(tiles.block)))
                    try writer.loop(to: used) { tile in
                        let key = first + tile * .constant(tiles.rows)
                        try whereSeen(plan, row: start + count - 1, key: key) {
                            let panels = writer.bind(tiles.panelCount(count))
                            try backwardProducts(plan, state, tile: tile, panels: panels, columns: (queries, cotangents),
                                                 first: writer.bind(head * tiles.panelCount(plan.rows) + start / .constant(tiles.columns)))
                            try backwardWeights(plan, state, rows: .keys, row: key, column: start, panels: panels)
                            addProducts(plan, tiles, products, keySources, first: head * tiles.panelCount(plan.size), tokens: plan.rows, start: start,
                                        count: count, to: keySums, tile: tile, features: plan.size)
                            addProducts(plan, tiles, scores, valueSources, first: head * tiles.panelCount(plan.valueSize), tokens: plan.rows, start: start,
                                        count: count, to: valueSums, tile: tile, features: plan.valueSize)
                        }
                    }
                }
            }
            try storeGradient(plan, tiles, 1, .keys, keySums, outer: outer, first: first, features: plan.size, scale: plan.form.scale)
            try storeGradient(plan, tiles, 2, .keys, valueSums, outer: outer, first: first, features: plan.valueSize, scale: 1)
        }
    }

    // MARK: What both share

    /// One register tile's scores, and the products of cotangents and values, over a block of columns.
    private func backwardProducts(_ plan: AttentionPlan, _ state: BackwardTiles, tile: Dim, panels: Dim, columns: (Memory, Memory), first: Dim) throws {
        let tiles = state.sizes
        for (rows, columns, features, sums) in [(state.scoreRows, columns.0, plan.size, state.scores),
                                                (state.productRows, columns.1, plan.valueSize, state.products)] {
            let base = writer.bind(tile * .constant(tiles.rows) * features)
            writer.loop(to: panels) { panel in
                attentionProduct(plan, tiles, rows: (rows, base, features),
                                 columns: (columns, writer.bind((first + panel) * features * .constant(tiles.columns))), depth: features,
                                 sums: (sums, panel * .constant(tiles.columns), .constant(tiles.block)))
            }
        }
    }

    /// Makes weights of scores and gradients (over the scale) of products; past an edge both are 0.
    private func backwardWeights(_ plan: AttentionPlan, _ state: BackwardTiles, rows: AttentionSide, row first: Dim, column start: Dim, panels: Dim) throws {
        let (tiles, dtype) = (state.sizes, plan.accumulator)
        let frame = attentionFrame(plan)
        setOuter(frame, state.outer)
        try writer.loop(to: .constant(tiles.rows)) { inTile in
            let row = writer.bind(first + inTile)
            try writer.loop(to: panels * .constant(tiles.vectors)) { vector in
                try writer.lanes(tiles.lanes, count: .constant(tiles.lanes)) { lane in
                    let column = start + vector * .constant(tiles.lanes) + lane
                    let (token, key) = rows == .queries ? (row, column) : (column, row)
                    elements.setVariable(frame.row, to: token)
                    elements.setVariable(frame.key, to: key)
                    let at = inTile * .constant(tiles.block) + vector * .constant(tiles.lanes) + lane
                    let isRow: [IndexCondition] = [.isNonNegative(plan.rows - 1 - token)]
                    var inside = isRow + [.isNonNegative(plan.keys - 1 - key)]
                    let score = try masked(plan, writer.load(state.scores, at, dtype), frame, where: inside)
                    if let offset = plan.form.causalOffset { inside.append(.isNonNegative(token + offset - key)) }
                    let logarithm = try rowLogarithm(plan, frame, where: isRow)
                    let zero = writer.constant(0, dtype)
                    let holds = writer.define(.holds(inside), .bool)
                    let weight = writer.apply(.select, holds, writer.apply(.exp, writer.apply(.subtract, score, logarithm)), zero)
                    let sum = try elements.element(plan.operands[5], frame.rowIndices, where: isRow)
                    let excess = writer.apply(.multiply, weight, writer.apply(.subtract, writer.load(state.products, at, dtype), sum))
                    writer.store(weight, state.scores, at)
                    writer.store(writer.apply(.select, holds, excess, zero), state.products, at)
                }
            }
        }
    }

    /// Adds a tile times a block of another operand's tokens to the work item's sums.
    private func addProducts(_ plan: AttentionPlan, _ tiles: AttentionTiles, _ tile: Memory, _ sources: Memory, first: Dim, tokens: Dim, start: Dim,
                             count: Dim, to sums: Memory, tile number: Dim, features: Dim) {
        let width = tiles.padded(features)
        let base = writer.bind(number * .constant(tiles.rows) * width)
        writer.loop(to: tiles.panelCount(features)) { panel in
            attentionProduct(plan, tiles, rows: (tile, 0, .constant(tiles.block)),
                             columns: (sources, writer.bind(((first + panel) * tokens + start) * .constant(tiles.columns))), depth: count,
                             sums: (sums, base + panel * .constant(tiles.columns), width), from: .kept)
        }
    }

    private func storeGradient(_ plan: AttentionPlan, _ tiles: AttentionTiles, _ result: Int, _ side: AttentionSide, _ sums: Memory, outer: [Dim],
                               first: Dim, features: Dim, scale: Double) throws {
        let width = tiles.padded(features)
        let frame = attentionFrame(plan, features: features)
        setOuter(frame, outer)
        let tokens = side == .queries ? plan.rows : plan.keys
        try writer.loop(to: writer.bind(Dim.minimum(tokens - first, .constant(tiles.workItemRows)))) { row in
            elements.setVariable(side == .queries ? frame.row : frame.key, to: first + row)
            try writer.vectors(tiles.lanes, count: features) { feature, _ in
                elements.setVariable(frame.feature, to: feature)
                let sum = writer.load(sums, row * width + feature, plan.accumulator)
                let value = scale == 1 ? sum : writer.apply(.multiply, sum, writer.constant(.real(scale), plan.accumulator))
                storeResult(plan, result, value, side == .queries ? frame.queryIndices : frame.keyIndices)
            }
        }
    }
}
