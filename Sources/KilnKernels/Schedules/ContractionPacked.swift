// Two ways to drive the register tile: all packed panels and a grid of blocks; or, for many products and few results,
// parts of the summed axes by themselves, added up in order at the end.

import KilnIR

extension GroupLowering {
    /// Panels of rows and columns in one block of work.
    private static let blockRowPanels = 8
    private static let blockColumnPanels = 4
    /// With fewer products in a block, handing it out counts.
    private static let leastProducts = 1 << 21

    /// Packs the rows once, and the columns once or (where packing writes elements many times over) in each block.
    func contractionPacked(_ plan: ContractionPlan) throws {
        var plan = plan
        try beginPacking(&plan)
        let inPlace = try columnsInPlace(plan)
        if inPlace != nil { widenTile(&plan) }
        let range = fullDepth(plan)
        let rowsOuter = plan.size(plan.rowsOuter)
        let rowPanel = plan.depth * .constant(plan.tileRows)
        if let rows = constantRows(plan) {
            plan.fetchesRows = true
            return try columns(plan, inPlace, rows, range)
        }
        let content = panelContent(plan, plan.rows, plan.rowsOperand, outer: plan.rowsOuter, across: plan.m, tile: plan.tileRows)
        let rows = try packed("rows", plan, content, panels: rowsOuter * plan.rowPanels, panelSize: rowPanel) { workItem, memory in
            let place = unflatten(workItem, [rowsOuter, plan.rowPanels])
            setVariables(plan.rowsOuter, plan.packVariables, flat: place[0], plan)
            try packRows(plan, panel: place[1], range: range, to: memory, base: writer.bind(workItem * rowPanel))
        }
        try columns(plan, inPlace, rows, range)
    }

    /// Over packed rows and columns as they lie, or else packed ones.
    private func columns(_ plan: ContractionPlan, _ inPlace: PlannedLoad?, _ rows: Memory, _ range: DepthRange) throws {
        guard let columns = plan.packColumns, let inPlace else { return try columnsPacked(plan, rows, range) }
        let frame = epilogueFrame(plan)
        try launch(workItems: plan.size(plan.outer) * plan.columnPanels, work: plan.work) { workItem in
            let place = unflatten(workItem, [plan.size(plan.outer), plan.columnPanels])
            let bases = outerBases(plan, frame, place[0])
            let tile = writer.local(plan.accumulator, .constant(plan.tileRows * plan.tilePitch))
            let start = writer.bind(place[1] * .constant(plan.tileColumns))
            try writer.loop(to: plan.rowPanels) { row in
                let rowBase = writer.bind((bases.rows * plan.rowPanels + row) * plan.depth * .constant(plan.tileRows))
                try tileInPlace(plan, rows: (rows, rowBase), columnsFrom: start, columns, inPlace, range, into: tile)
                try storeTile(plan, tile, rowPanel: row, columnPanel: place[1], frame)
            }
        }
    }

    private func columnsPacked(_ plan: ContractionPlan, _ rows: Memory, _ range: DepthRange) throws {
        if isExpanding(plan), !plan.isTransposed, !isPackedOnce(plan) { return try columnsInBlocks(plan, rows, range) }
        let columns = try columnsOnce(plan, range)
        var plan = plan
        plan.fetchesColumns = constantColumns(plan) == columns
        try tiles(plan, rows, columns)
    }

    /// Whether columns whose packing writes elements many times over are packed before all tiles nonetheless: where they are few, so that
    /// each thread would have but a panel or two of its own.
    private func isPackedOnce(_ plan: ContractionPlan) -> Bool {
        guard let panels = (plan.size(plan.outer) * plan.columnPanels).constant, let depth = plan.depth.constant else { return false }
        return panels < 32 && panels * plan.tileColumns * depth <= 1 << 20 && hasFairTiles(plan)
    }

    /// Panels of rows and of columns in one block of work: fewer where blocks would be few.
    private func blockSize(_ plan: ContractionPlan) -> (rows: Int, columns: Int) {
        var size = (rows: Self.blockRowPanels, columns: Self.blockColumnPanels)
        if plan.isTransposed { swap(&size.rows, &size.columns) }
        func blocks() -> Int? {
            (plan.size(plan.outer) * plan.rowPanels.dividedUp(by: .constant(size.rows)) * plan.columnPanels.dividedUp(by: .constant(size.columns))).constant
        }
        let products = plan.tileRows * plan.tileColumns * (plan.depth.constant ?? 512)
        while let count = blocks(), count < WorkDivision.fairWorkItems, size.rows * size.columns > 1,
            size.rows * size.columns > 4 && count < 16 || size.rows * size.columns * products >= 2 * Self.leastProducts {
            // A transposed tile's rows are read once for all the columns of a block.
            if plan.isTransposed ? size.rows > 1 : size.rows > size.columns { size.rows /= 2 } else { size.columns /= 2 }
        }
        return size
    }

    /// Whether packing the columns writes more elements than there are.
    func isExpanding(_ plan: ContractionPlan) -> Bool { isExpanding(plan, plan.columnsOperand, plan.columnsOuter + plan.n) }

    func isExpanding(_ plan: ContractionPlan, _ operand: ValueID, _ variables: [Int]) -> Bool {
        func hint(_ d: Dim) -> Double { Double(d.evaluate { if case .symbol = $0 { 64 } else { nil } } ?? 1) }
        return hint(plan.size(variables) * plan.depth) > 1.5 * hint(elementsBehindViews(operand))
    }

    /// The elements that views show: those of the first value that is in memory or computed.
    private func elementsBehindViews(_ value: ValueID) -> Dim {
        guard elements.places[value] == nil, let position = table.definitions[value], case .view(let map) = table.forms[position],
            map.pieces.count == 1 else { return region.type(of: value).elementCount }
        return elementsBehindViews(region.operations[position].operands[map.pieces[0].operand])
    }

    private func columnsOnce(_ plan: ContractionPlan, _ range: DepthRange) throws -> Memory {
        if let columns = constantColumns(plan) { return columns }
        let outer = plan.size(plan.columnsOuter)
        let panel = plan.depth * .constant(plan.tileColumns)
        let content = plan.columnsPlace == nil
            ? panelContent(plan, plan.columns, plan.columnsOperand, outer: plan.columnsOuter, across: plan.n, tile: plan.tileColumns) : nil
        return try packed("columns", plan, content, panels: outer * plan.columnPanels, panelSize: panel) { workItem, memory in
            let place = unflatten(workItem, [outer, plan.columnPanels])
            setVariables(plan.columnsOuter, plan.packVariables, flat: place[0], plan)
            try packColumns(plan, first: place[1], count: 1, range: range, to: memory, base: writer.bind(workItem * panel))
        }
    }

    /// A grid of blocks of tiles, over packed rows and columns.
    private func tiles(_ plan: ContractionPlan, _ rows: Memory, _ columns: Memory) throws {
        let panel = plan.depth * .constant(plan.tileColumns)
        let block = blockSize(plan)
        let rowBlocks = plan.rowPanels.dividedUp(by: .constant(block.rows))
        let columnBlocks = plan.columnPanels.dividedUp(by: .constant(block.columns))
        let frame = epilogueFrame(plan)
        try launch(workItems: plan.size(plan.outer) * columnBlocks * rowBlocks, work: plan.work) { workItem in
            let place = unflatten(workItem, [plan.size(plan.outer), columnBlocks, rowBlocks])
            let bases = outerBases(plan, frame, place[0])
            let tile = writer.local(plan.accumulator, .constant(plan.tileRows * plan.tilePitch))
            func compute(_ row: Dim, _ column: Dim) throws {
                let rowBase = writer.bind((bases.rows * plan.rowPanels + row) * plan.depth * .constant(plan.tileRows))
                let columnBase = writer.bind((bases.columns * plan.columnPanels + column) * panel)
                try self.tile(plan, rows: (rows, rowBase), columns: (columns, columnBase), depth: plan.depth, into: tile)
                try storeTile(plan, tile, rowPanel: row, columnPanel: column, frame)
            }
            if plan.isTransposed {
                try blockLoop(place[2], block.rows, plan.rowPanels) { row in
                    try blockLoop(place[1], block.columns, plan.columnPanels) { column in try compute(row, column) }
                }
            } else {
                try blockLoop(place[1], block.columns, plan.columnPanels) { column in
                    try blockLoop(place[2], block.rows, plan.rowPanels) { row in try compute(row, column) }
                }
            }
        }
    }

    private func blockLoop(_ block: Dim, _ size: Int, _ panels: Dim, _ body: (Dim) throws -> Void) throws {
        if let n = panels.constant, n <= size { return try writer.loop(to: panels) { try body($0) } }
        let first = writer.bind(block * .constant(size))
        try writer.loop(from: first, to: writer.bind(Dim.minimum(first + .constant(size), panels))) { try body($0) }
    }

    /// Sets the outer variables, and gives the numbers of the operands' own outer positions.
    private func outerBases(_ plan: ContractionPlan, _ frame: EpilogueFrame, _ outer: Dim) -> (rows: Dim, columns: Dim) {
        let indices = unflatten(outer, plan.outer.map { plan.contraction.sizes[$0] })
        for (number, index) in zip(plan.outer, indices) {
            elements.setVariable(frame.variables[number], to: index)
            elements.setVariable(plan.packVariables[number], to: index)
        }
        func base(_ numbers: [Int]) -> Dim {
            numbers.reduce(0) { sum, number in
                sum * plan.contraction.sizes[number] + indices[plan.outer.firstIndex(of: number)!]
            }
        }
        return (writer.bind(base(plan.rowsOuter)), writer.bind(base(plan.columnsOuter)))
    }

    private func columnsInBlocks(_ plan: ContractionPlan, _ rows: Memory, _ range: DepthRange) throws {
        let panel = plan.depth * .constant(plan.tileColumns)
        let depth = plan.depth.constant ?? 512
        var panels = max(1, min(8, (64 << 10) / max(depth * plan.tileColumns, 1)))
        while panels > 1, let count = (plan.size(plan.outer) * plan.columnPanels).constant, count / panels < WorkDivision.fairWorkItems,
            (plan.rowCount.constant ?? 64) * plan.tileColumns * depth * (panels / 2) >= Self.leastProducts / 2 { panels /= 2 }
        let blocks = plan.columnPanels.dividedUp(by: .constant(panels))
        let frame = epilogueFrame(plan)
        try launch(workItems: plan.size(plan.outer) * blocks, work: plan.work) { workItem in
            let packed = scratch(plan.accumulator, panel * .constant(panels))
            let tile = writer.local(plan.accumulator, .constant(plan.tileRows * plan.tileColumns))
            let place = unflatten(workItem, [plan.size(plan.outer), blocks])
            let bases = outerBases(plan, frame, place[0])
            let first = writer.bind(place[1] * .constant(panels))
            let count = writer.bind(Dim.minimum(plan.columnPanels - first, .constant(panels)))
            try packColumns(plan, first: first, count: count, range: range, to: packed, base: 0)
            try writer.loop(to: count) { column in
                try writer.loop(to: plan.rowPanels) { row in
                    let rowBase = writer.bind((bases.rows * plan.rowPanels + row) * plan.depth * .constant(plan.tileRows))
                    try self.tile(plan, rows: (rows, rowBase), columns: (packed, writer.bind(column * panel)), depth: plan.depth, into: tile)
                    try storeTile(plan, tile, rowPanel: row, columnPanel: first + column, frame)
                }
            }
        }
    }

    // MARK: Cut along the summed axes

    /// Products of each element that a part has at least.
    private static let leastDepth = 512
    /// Sums of parts that are kept, all together: they are written and read once more. So many parts there may be in any case.
    private static let mostSums = 1 << 20
    private static let fewParts = 16

    /// How many parts the summed axes are cut into: enough for all threads together with the outer axes, where the results are few.
    private func parts(_ plan: ContractionPlan) -> Int {
        let outer = plan.size(plan.outer).constant ?? 1
        let sums = max((plan.size(plan.outer) * plan.rowCount * plan.columnCount).constant ?? Self.mostSums, 1)
        let wanted = (WorkDivision.enoughWorkItems + outer - 1) / max(outer, 1)
        return max(1, min(wanted, max(Self.fewParts, Self.mostSums / sums), (plan.depth.constant ?? .max) / Self.leastDepth))
    }

    func contractionSplit(_ plan: ContractionPlan) throws {
        var plan = plan
        try beginPacking(&plan)
        let parts = parts(plan)
        let outermost = plan.contraction.sizes[plan.k[0]]
        let inner = plan.size(Array(plan.k.dropFirst()))
        let step = Dim.constant(max(1, Self.leastDepth / max(inner.constant ?? Self.leastDepth, 1)))
        let partSize = outermost.dividedUp(by: .constant(parts)).roundedUp(to: step)
        let outer = plan.size(plan.outer)
        let results = plan.rowPanels * plan.columnPanels * .constant(plan.tileRows * plan.tileColumns)
        let sums = temporary("parts", plan.accumulator, [.constant(parts), outer, results])
        let frame = epilogueFrame(plan)
        let tileSize = Dim.constant(plan.tileRows * plan.tileColumns)
        let (constantRows, constantColumns) = (constantRows(plan), constantColumns(plan))
        try launch(workItems: outer * .constant(parts), work: plan.work) { workItem in
            let place = unflatten(workItem, [outer, .constant(parts)])
            let bases = outerBases(plan, frame, place[0])
            let depth = step * inner
            let packedRows = constantRows ?? scratch(plan.accumulator, plan.rowPanels * depth * .constant(plan.tileRows))
            let packedColumns = constantColumns ?? scratch(plan.accumulator, plan.columnPanels * depth * .constant(plan.tileColumns))
            let tile = writer.local(plan.accumulator, tileSize)
            let base = writer.bind((place[1] * outer + place[0]) * results)
            writer.loop(to: results / .constant(plan.lanes)) { v in
                writer.lanes(plan.lanes, count: .constant(plan.lanes)) { lane in
                    writer.store(writer.constant(0, plan.accumulator), sums.memory, base + v * .constant(plan.lanes) + lane)
                }
            }
            let end = writer.bind(Dim.minimum((place[1] + 1) * partSize, outermost))
            try writer.loop(from: writer.bind(place[1] * partSize), to: end, step: step.constant!) { start in
                let count = writer.bind(Dim.minimum(end - start, step))
                let range = DepthRange(start: start, count: count, depth: depth)
                let used = writer.bind(count * inner)
                if constantRows == nil {
                    try writer.loop(to: plan.rowPanels) { panel in
                        try packRows(plan, panel: panel, range: range, to: packedRows, base: writer.bind(panel * depth * .constant(plan.tileRows)))
                    }
                }
                if constantColumns == nil { try packColumns(plan, first: 0, count: plan.columnPanels, range: range, to: packedColumns, base: 0) }
                // A constant's panels hold all of the depth, of which this part is in the midst.
                let skipped = writer.bind(start * inner)
                try writer.loop(to: plan.columnPanels) { column in
                    let columnBase = constantColumns == nil ? column * depth : (bases.columns * plan.columnPanels + column) * plan.depth + skipped
                    try writer.loop(to: plan.rowPanels) { row in
                        let rowBase = constantRows == nil ? row * depth : (bases.rows * plan.rowPanels + row) * plan.depth + skipped
                        try self.tile(plan, rows: (packedRows, writer.bind(rowBase * .constant(plan.tileRows))),
                                  columns: (packedColumns, writer.bind(columnBase * .constant(plan.tileColumns))), depth: used, into: tile)
                        addTile(plan, tile, to: sums.memory, at: writer.bind(base + (column * plan.rowPanels + row) * tileSize))
                    }
                }
            }
        }
        try combineSplit(plan, sums.memory, parts, outer, results, frame)
    }

    private func addTile(_ plan: ContractionPlan, _ tile: Memory, to sums: Memory, at base: Dim) {
        writer.loop(to: .constant(plan.tileRows * plan.tileVectors)) { v in
            writer.lanes(plan.lanes, count: .constant(plan.lanes)) { lane in
                let at = v * .constant(plan.lanes) + lane
                let sum = writer.apply(.add, writer.load(sums, base + at, plan.accumulator), writer.load(tile, at, plan.accumulator))
                writer.store(sum, sums, base + at)
            }
        }
    }

    /// Adds the parts of each tile in order, and stores the outputs.
    private func combineSplit(_ plan: ContractionPlan, _ sums: Memory, _ parts: Int, _ outer: Dim, _ results: Dim, _ frame: EpilogueFrame) throws {
        let tileSize = Dim.constant(plan.tileRows * plan.tileColumns)
        try launch(workItems: outer * plan.columnPanels * plan.rowPanels, work: outer * results * .constant(parts)) { workItem in
            let place = unflatten(workItem, [outer, plan.columnPanels, plan.rowPanels])
            _ = outerBases(plan, frame, place[0])
            let tile = writer.local(plan.accumulator, tileSize)
            let base = writer.bind(place[0] * results + (place[1] * plan.rowPanels + place[2]) * tileSize)
            func forEachVector(_ body: (Dim) -> Void) {
                writer.loop(to: .constant(plan.tileRows * plan.tileVectors)) { v in
                    writer.lanes(plan.lanes, count: .constant(plan.lanes)) { body(v * .constant(plan.lanes) + $0) }
                }
            }
            forEachVector { writer.store(writer.load(sums, base + $0, plan.accumulator), tile, $0) }
            writer.loop(from: 1, to: .constant(parts)) { part in
                let from = writer.bind(base + part * outer * results)
                forEachVector { at in
                    let sum = writer.load(tile, at, plan.accumulator)
                    writer.store(writer.apply(.add, sum, writer.load(sums, from + at, plan.accumulator)), tile, at)
                }
            }
            try storeTile(plan, tile, rowPanel: place[2], columnPanel: place[1], frame)
        }
    }
}
