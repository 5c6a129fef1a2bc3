// The schedule of contractions and convolutions: which axes play which role, and which of three ways fits them.
// Operands are packed into panels; a register tile of MR rows by NR columns accumulates over the summed axes.

import KilnIR
import KilnPasses

/// A contraction's axes by role, and the sizes of its register tile.
struct ContractionPlan {
    let contraction: Contraction
    let value: ValueID
    /// The operand whose elements are broadcast (rows) and the one that is read in vectors (columns).
    var rows: IndexMap.Piece
    var columns: IndexMap.Piece
    var rowsOperand: ValueID
    var columnsOperand: ValueID
    /// Where the columns are read instead of from their operand: a padded copy.
    var columnsPlace: MemoryReference?
    /// Numbers of the contraction's variables: outer loops, rows, columns (the innermost output axes), summed.
    var outer: [Int]
    var m: [Int]
    var n: [Int]
    var k: [Int]
    var tileRows = 1
    var tileVectors = 1
    var lanes = 1
    /// Columns of the register tile: the vectors' lanes, if it is not transposed.
    var tileColumns = 1
    /// Whether the rows of the register tile lie in vectors and columns are broadcast, which suits few columns.
    var isTransposed = false
    /// Whether rows or columns are fetched ahead of their use: constants, which nothing has brought near since the last call.
    var fetchesRows = false
    var fetchesColumns = false

    var accumulator: DType { contraction.accumulator }
    /// Elements between rows of a finished tile.
    var tilePitch: Int { isTransposed ? lanes : tileColumns }
    func size(_ variables: [Int]) -> Dim { variables.reduce(1) { $0 * contraction.sizes[$1] } }
    var rowCount: Dim { size(m) }
    var columnCount: Dim { size(n) }
    var depth: Dim { size(k) }
    var rowPanels: Dim { rowCount.dividedUp(by: .constant(tileRows)) }
    var columnPanels: Dim { columnCount.dividedUp(by: .constant(tileColumns)) }
    /// Outer variables that the rows operand depends on.
    var rowsOuter: [Int] { outer.filter { rowsVariables.contains($0) } }
    var columnsOuter: [Int] { outer.filter { columnsVariables.contains($0) } }
    /// The logical variables that packing runs over, and the variable of all column axes together, where they lie in memory as one.
    var packVariables: [Dim] = []
    var packColumns: Dim?
    let rowsVariables: Set<Int>
    let columnsVariables: Set<Int>
    var work: Dim { contraction.sizes.reduce(1, *) / 4 }
}

/// A contraction whose packed panels go through the register tile, block by block.
struct PackedContraction: Schedule {
    let plan: ContractionPlan
    var cost: Dim { plan.work }

    static func plan(_ group: GroupLowering, _ target: Target) throws -> PackedContraction? {
        try group.registerTilePlan().map { PackedContraction(plan: $0) }
    }

    func emit(into group: GroupLowering) throws {
        var plan = plan
        try group.materializePadding(&plan)
        try group.contractionPacked(plan)
    }
}

/// A contraction of few results from many products, cut along the summed axes.
struct SplitContraction: Schedule {
    let plan: ContractionPlan
    var cost: Dim { plan.work }

    static func plan(_ group: GroupLowering, _ target: Target) throws -> SplitContraction? {
        guard let plan = try group.registerTilePlan(), !plan.isTransposed, group.isSplit(plan) else { return nil }
        return SplitContraction(plan: plan)
    }

    func emit(into group: GroupLowering) throws {
        var plan = plan
        try group.materializePadding(&plan)
        try group.contractionSplit(plan)
    }
}

/// Matrix-vector products, row-wise dot products and the like, by threads of the host.
struct DotProducts: Schedule {
    let rows: RowPlan
    var cost: Dim { rows.domain.reduce(1, *) }

    static func plan(_ group: GroupLowering, _ target: Target) throws -> DotProducts? {
        guard let (contraction, operation) = try group.contractionRoot() else { return nil }
        if let plan = try group.registerTilePlan() {
            guard try group.isRowOfDots(plan) else { return nil }
        } else if contraction.sliding != nil { return nil }
        let reading = try group.reading(of: contraction, operation)
        var rows = group.productRows(contraction, operation)
        rows.lanesAxis = reading.lanesAxis
        rows.repeating = reading.repeating
        return DotProducts(rows: rows)
    }

    func emit(into group: GroupLowering) throws { try group.runRows(rows, alongReduced: rows.lanesAxis == nil) }
}

/// The same by thread blocks.
struct BlockDotProducts: Schedule {
    let rows: RowPlan
    let alongReduced: Bool
    var cost: Dim { rows.domain.reduce(1, *) }

    static func plan(_ group: GroupLowering, _ target: Target) throws -> BlockDotProducts? {
        guard let (contraction, operation) = try group.contractionRoot() else { return nil }
        let reading = try group.reading(of: contraction, operation)
        return BlockDotProducts(rows: group.productRows(contraction, operation), alongReduced: reading.lanesAxis == nil)
    }

    func emit(into group: GroupLowering) throws { try group.threadBlockRows(rows, alongReduced: alongReduced) }
}

extension GroupLowering {
    /// The plan of a contraction group for the host's register tile.
    func registerTilePlan() throws -> ContractionPlan? {
        guard let (contraction, operation) = try contractionRoot(), let plan = contractionPlan(contraction, operation) else { return nil }
        if let transposed = transposed(plan) { return transposed }
        guard isSplit(plan), hasShortRuns(plan) else { return plan }
        var swapped = plan
        swapRoles(&swapped)
        return swapped
    }

    /// The roles of the axes; nil where rows or columns are missing, so that a register tile would be wasted.
    func contractionPlan(_ c: Contraction, _ operation: Operation) -> ContractionPlan? {
        let (left, right) = (c.leftVariables, c.rightVariables)
        guard let roles = AxisRoles(c, left: left.contains, right: right.contains) else { return nil }
        let isRight = roles.columnsAreRight
        var plan = ContractionPlan(contraction: c, value: operation.results[0], rows: isRight ? c.left : c.right, columns: isRight ? c.right : c.left,
            rowsOperand: operation.operands[isRight ? 0 : 1], columnsOperand: operation.operands[isRight ? 1 : 0],
            outer: roles.outer, m: roles.rows, n: roles.columns, k: roles.summed,
            rowsVariables: isRight ? left : right, columnsVariables: isRight ? right : left)
        if (plan.rowCount.constant ?? 64) < 2 || (plan.columnCount.constant ?? 64) < 4 { return nil }
        chooseTile(&plan)
        return plan
    }

    /// Whether a vector of columns would be gathered from many short runs, as over the taps of a convolution's window.
    private func hasShortRuns(_ plan: ContractionPlan) -> Bool {
        guard plan.n.count > 1, let run = plan.contraction.sizes[plan.n.last!].constant else { return false }
        return run * 2 < plan.lanes && (plan.rowCount.constant ?? 0) >= plan.lanes
    }

    /// Makes rows of the columns and columns of the rows. Stores are scattered then, which only pays where results are few.
    private func swapRoles(_ plan: inout ContractionPlan) {
        plan = ContractionPlan(contraction: plan.contraction, value: plan.value, rows: plan.columns, columns: plan.rows,
            rowsOperand: plan.columnsOperand, columnsOperand: plan.rowsOperand, outer: plan.outer, m: plan.n, n: plan.m, k: plan.k,
            rowsVariables: plan.columnsVariables, columnsVariables: plan.rowsVariables)
        chooseTile(&plan)
    }

    /// The register tile: as many accumulators as registers allow, with little waste at the last panel.
    private func chooseTile(_ plan: inout ContractionPlan) {
        plan.lanes = max(target.vectorBytes / plan.accumulator.byteCount, 1)
        let registers = target.vectorRegisters
        let columns = plan.columnCount.constant ?? 1024
        plan.tileVectors = columns <= plan.lanes ? 1 : 2
        plan.tileColumns = plan.tileVectors * plan.lanes
        let most = (registers - 4) / plan.tileVectors
        let rows = plan.rowCount.constant
        plan.tileRows = min(most, 14)
        if let rows {
            // Each panel costs its rows and, for the loads of columns, about one and a half more.
            let candidates = (min(6, most)...max(6, min(most, 14))).filter { $0 <= most }
            plan.tileRows = rows <= plan.tileRows ? rows
                : candidates.min { panelCost(rows, $0) < panelCost(rows, $1) } ?? plan.tileRows
        }
    }

    private func panelCost(_ rows: Int, _ tile: Int) -> Double { Double((rows + tile - 1) / tile) * (Double(tile) + 1.5) }

    /// The plan with rows for lanes, where so few columns would fill vectors badly and the rows, constants, are packed in any order already.
    private func transposed(_ plan: ContractionPlan) -> ContractionPlan? {
        guard let rows = plan.rowCount.constant, let columns = plan.columnCount.constant, let depth = plan.depth.constant,
            let outer = plan.size(plan.outer).constant, rows >= 2 * plan.lanes, depth <= Self.greatestTransposedDepth,
            outer * columns * depth <= Self.mostTransposedColumns else { return nil }
        var transposed = plan
        transposed.isTransposed = true
        transposed.tileVectors = 2
        transposed.tileRows = 2 * plan.lanes
        let most = min((target.vectorRegisters - 4) / 2, plan.lanes, 14)
        guard let width = (min(6, most)...most).min(by: { panelCost(columns, $0) < panelCost(columns, $1) }) else { return nil }
        transposed.tileColumns = min(width, columns)
        // Turning a finished tile takes about as long as this many products.
        let turning = 300 / Double(depth)
        let cost = panelCost(columns, transposed.tileColumns) * 2 + Double((columns + width - 1) / width) * turning
        let all = cost * Double((rows + transposed.tileRows - 1) / transposed.tileRows)
        let straight = panelCost(rows, plan.tileRows) * Double((columns + plan.tileColumns - 1) / plan.tileColumns * plan.tileVectors)
        guard all * Self.leastGain < straight, constantRows(transposed) != nil else { return nil }
        return transposed
    }

    /// Bounds of what is packed for a transposed tile: a panel that fits into a core's own cache, and columns that fit into the shared one.
    private static let greatestTransposedDepth = 8192
    private static let mostTransposedColumns = 1 << 21
    /// The estimates are too rough to tell less of a difference than this.
    private static let leastGain = 1.04

    /// Few results from many products: cut along the summed axes instead.
    func isSplit(_ plan: ContractionPlan) -> Bool {
        guard let tiles = (plan.size(plan.outer) * plan.rowPanels.dividedUp(by: 8) * plan.columnPanels.dividedUp(by: 4)).constant,
            let results = (plan.size(plan.outer) * plan.rowCount * plan.columnCount).constant else { return false }
        guard tiles < 8, results <= 1 << 18, !plan.k.isEmpty, (plan.depth.constant ?? .max) >= 2048 else { return false }
        return !hasFairTiles(plan) || hasShortRuns(plan)
    }

    /// Whether there are tiles enough to share among threads, with panels of all the depth that fit into caches.
    func hasFairTiles(_ plan: ContractionPlan) -> Bool {
        guard let tiles = (plan.size(plan.outer) * plan.rowPanels * plan.columnPanels).constant, let depth = plan.depth.constant else { return false }
        return tiles >= WorkDivision.fairWorkItems && depth <= 4096
    }

    /// A reduction of products. The operand with more elements is read once and in the order in which it lies: lanes run along its
    /// contiguous axis, and what it does not depend on is gone through for each part of it.
    func productRows(_ c: Contraction, _ operation: Operation) -> RowPlan {
        let type = region.type(of: operation.results[0])
        let code = ReductionCode(.sum, operand: c.accumulator, result: c.accumulator)
        var reduction = RowReduction(value: operation.results[0], operand: operation.operands[0], code: code, axes: Array(c.outputRank..<c.sizes.count))
        reduction.resultDType = type.dtype
        reduction.element = { [elements, writer] variables in
            let a = writer.convert(try elements.factor(c.left, operation.operands[0], variables), to: c.accumulator)
            let b = writer.convert(try elements.factor(c.right, operation.operands[1], variables), to: c.accumulator)
            return writer.apply(.multiply, a, b)
        }
        var plan = RowPlan(domain: c.sizes, axes: reduction.axes)
        plan.levels = [[reduction]]
        plan.keptOutputs = Array(region.outputs.indices)
        return plan
    }
}
