// Attention's operands as panels, and the register tile that multiplies them: rows are broadcast element by element, columns are vectors.
//
//     token panels:     feature 0: t0 t1 … t31 | feature 1: t0 t1 … t31 | …     columns of scores
//     feature panels:   token 0: f0 f1 … f31   | token 1: f0 f1 … f31   | …     columns of weighted sums

import KilnIR

/// The sizes of an attention's tiles on one target.
struct AttentionTiles {
    let lanes: Int
    let vectors: Int
    /// Tokens that are rows of a register tile, and register tiles in a work item.
    let rows: Int
    let count: Int
    /// Panels of columns whose scores are kept at once.
    let panels: Int

    var columns: Int { lanes * vectors }
    /// Tokens whose scores are kept at once.
    var block: Int { columns * panels }
    var workItemRows: Int { rows * count }
    func panelCount(_ size: Dim) -> Dim { size.dividedUp(by: .constant(columns)) }
    func padded(_ size: Dim) -> Dim { panelCount(size) * .constant(columns) }
}

/// What a register tile's sums begin with.
enum AttentionStart {
    case zero
    /// What is in their place.
    case kept
    /// That, times a factor for each row.
    case scaled(Memory)
}

/// Which tokens an operand holds.
enum AttentionSide { case queries, keys }

extension GroupLowering {
    /// Products of a work item from which on it is worth making two of it.
    private static let muchWork = 1 << 22

    /// Tiles for the tokens of one side as rows.
    func attentionTiles(_ plan: AttentionPlan, rows: AttentionSide) -> AttentionTiles {
        let lanes = max(target.vectorBytes / plan.accumulator.byteCount, 1)
        let most = max(1, min((target.vectorRegisters - 4) / 2, 14))
        let size = rows == .queries ? plan.rows : plan.keys
        func cost(_ rows: Int) -> Double { Double((size.constant! + rows - 1) / rows) * (Double(rows) + 1.5) }
        let count = size.constant
        let best = count.map { n in n <= most ? max(n, 1) : (min(6, most)...most).min { cost($0) < cost($1) }! } ?? most
        var tiles = count.map { max(1, min(4, ($0 + best - 1) / best)) } ?? 4
        // Few heads and tokens with much to do: less of it in each work item.
        if let outer = (rows == .queries ? plan.outer : plan.group).constant, let count, let work = plan.work.constant {
            func workItems() -> Int { max(outer * ((count + best * tiles - 1) / (best * tiles)), 1) }
            while tiles > 1, workItems() < WorkDivision.fairWorkItems, work / workItems() >= Self.muchWork { tiles /= 2 }
        }
        return AttentionTiles(lanes: lanes, vectors: 2, rows: best, count: tiles, panels: 4)
    }

    private func outerShape(_ plan: AttentionPlan, _ side: AttentionSide) -> Shape { side == .queries ? plan.outerShape : plan.groupShape }
    private func tokens(_ plan: AttentionPlan, _ side: AttentionSide) -> Dim { side == .queries ? plan.rows : plan.keys }
    private func token(_ frame: AttentionFrame, _ side: AttentionSide) -> Dim { side == .queries ? frame.row : frame.key }
    private func indices(_ frame: AttentionFrame, _ side: AttentionSide) -> [Dim] { side == .queries ? frame.queryIndices : frame.keyIndices }

    private func scaled(_ value: ValueNumber, _ scale: Double, _ plan: AttentionPlan) -> ValueNumber {
        scale == 1 ? value : writer.apply(.multiply, value, writer.constant(.real(scale), plan.accumulator))
    }

    /// Packs an operand in panels of tokens: [outer, panel, feature, token]. Past the last token there are zeros.
    func packTokens(_ plan: AttentionPlan, _ operand: Int, _ side: AttentionSide, features: Dim, scale: Double = 1,
                    _ tiles: AttentionTiles) throws -> Memory {
        let (outer, count) = (outerShape(plan, side).reduce(1, *), tokens(plan, side))
        let panels = tiles.panelCount(count)
        let panel = features * .constant(tiles.columns)
        let packed = temporary("tokens", plan.accumulator, [outer * panels * panel]).memory
        let frame = attentionFrame(plan, features: features)
        try launch(workItems: outer * panels, work: outer * panels * panel * 4) { workItem in
            let place = unflatten(workItem, outerShape(plan, side) + [panels])
            setOuter(frame, Array(place.dropLast()))
            let (first, base) = (writer.bind(place.last! * .constant(tiles.columns)), writer.bind(workItem * panel))
            try writer.loop(to: .constant(tiles.columns)) { column in
                let number = writer.bind(first + column)
                elements.setVariable(token(frame, side), to: number)
                try writer.loop(to: features) { feature in
                    elements.setVariable(frame.feature, to: feature)
                    let value = try attentionElement(plan, operand, indices(frame, side), where: [.isNonNegative(count - 1 - number)])
                    writer.store(scaled(value, scale, plan), packed, base + feature * .constant(tiles.columns) + column)
                }
            }
        }
        return packed
    }

    /// Packs an operand in panels of features: [outer, panel, token, feature]. Past the last feature there are zeros.
    func packFeatures(_ plan: AttentionPlan, _ operand: Int, _ side: AttentionSide, features: Dim, _ tiles: AttentionTiles) throws -> Memory {
        let (outer, count) = (outerShape(plan, side).reduce(1, *), tokens(plan, side))
        let (panels, block) = (tiles.panelCount(features), Dim.constant(64))
        let packed = temporary("features", plan.accumulator, [outer * panels * count * .constant(tiles.columns)]).memory
        let frame = attentionFrame(plan, features: features)
        let blocks = count.dividedUp(by: block)
        try launch(workItems: outer * blocks, work: outer * panels * count * .constant(tiles.columns)) { workItem in
            let place = unflatten(workItem, outerShape(plan, side) + [blocks])
            setOuter(frame, Array(place.dropLast()))
            let head = writer.bind(workItem / blocks)
            let first = writer.bind(place.last! * block)
            try writer.loop(from: first, to: writer.bind(Dim.minimum(first + block, count))) { number in
                elements.setVariable(token(frame, side), to: number)
                try writer.loop(to: panels) { panel in
                    let base = writer.bind(((head * panels + panel) * count + number) * .constant(tiles.columns))
                    for vector in 0..<tiles.vectors {
                        try writer.lanes(tiles.lanes, count: .constant(tiles.lanes)) { lane in
                            let inPanel = lane + .constant(vector * tiles.lanes)
                            let feature = panel * .constant(tiles.columns) + inPanel
                            elements.setVariable(frame.feature, to: feature)
                            let value = try attentionElement(plan, operand, indices(frame, side), where: [.isNonNegative(features - 1 - feature)])
                            writer.store(value, packed, base + inPanel)
                        }
                    }
                }
            }
        }
        return packed
    }

    /// Copies a work item's rows, one after the other, `features` elements each; zeros past the last token.
    func packRows(_ plan: AttentionPlan, _ operand: Int, _ side: AttentionSide, features: Dim, scale: Double = 1, outer: [Dim], first: Dim,
                  _ tiles: AttentionTiles) throws -> Memory {
        let rows = scratch(plan.accumulator, features * .constant(tiles.workItemRows))
        let frame = attentionFrame(plan, features: features)
        setOuter(frame, outer)
        try writer.loop(to: .constant(tiles.workItemRows)) { row in
            let number = writer.bind(first + row)
            elements.setVariable(token(frame, side), to: number)
            try writer.vectors(tiles.lanes, count: features) { feature, _ in
                elements.setVariable(frame.feature, to: feature)
                let value = try attentionElement(plan, operand, indices(frame, side), where: [.isNonNegative(tokens(plan, side) - 1 - number)])
                writer.store(scaled(value, scale, plan), rows, row * features + feature)
            }
        }
        return rows
    }

    /// `sums[row, column] = start[row, column] + Σ rows[row, k] · columns[k, column]` for one register tile.
    func attentionProduct(_ plan: AttentionPlan, _ tiles: AttentionTiles, rows: (memory: Memory, base: Dim, stride: Dim),
                          columns: (memory: Memory, base: Dim), depth: Dim, sums: (memory: Memory, base: Dim, stride: Dim), from start: AttentionStart = .zero) {
        let (dtype, width) = (plan.accumulator, tiles.columns)
        let accumulators = writer.local(dtype, .constant(tiles.rows * width))
        func forEachVector(_ body: (_ row: Int, _ column: Dim, _ address: Dim) -> Void) {
            for row in 0..<tiles.rows {
                for vector in 0..<tiles.vectors {
                    writer.lanes(tiles.lanes, count: .constant(tiles.lanes)) { lane in
                        let column = lane + .constant(vector * tiles.lanes)
                        body(row, column, column + .constant(row * width))
                    }
                }
            }
        }
        func place(_ row: Int, _ column: Dim) -> Dim { sums.base + .constant(row) * sums.stride + column }
        forEachVector { row, column, address in
            let value = switch start {
            case .zero: writer.constant(0, dtype)
            case .kept: writer.load(sums.memory, place(row, column), dtype)
            case .scaled(let factors):
                writer.apply(.multiply, writer.load(sums.memory, place(row, column), dtype), writer.load(factors, .constant(row), dtype))
            }
            writer.store(value, accumulators, address)
        }
        writer.loop(to: depth) { k in
            forEachVector { row, column, address in
                let a = writer.load(rows.memory, rows.base + .constant(row) * rows.stride + k, dtype)
                let b = writer.load(columns.memory, columns.base + k * .constant(width) + column, dtype)
                writer.store(writer.apply(.fusedMultiplyAdd, a, b, writer.load(accumulators, address, dtype)), accumulators, address)
            }
        }
        forEachVector { row, column, address in writer.store(writer.load(accumulators, address, dtype), sums.memory, place(row, column)) }
    }

    /// Sets every element of a memory.
    func fill(_ memory: Memory, _ count: Dim, _ value: Double, _ plan: AttentionPlan, _ tiles: AttentionTiles) throws {
        try writer.vectors(tiles.lanes, count: count) { index, _ in
            writer.store(writer.constant(.real(value), plan.accumulator), memory, index)
        }
    }
}
