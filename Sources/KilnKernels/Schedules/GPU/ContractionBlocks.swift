// Contractions and convolutions by thread blocks of threads: a thread block computes one block of the results, its operands' tiles come through
// shared memory, and the finished block goes through the group's epilogue. Few results from many products are cut into parts.

import KilnIR
import KilnPasses

/// A contraction by thread blocks, on tensor cores where dtypes allow.
struct BlockContraction: Schedule {
    let plan: ContractionPlan
    var cost: Dim { plan.work }

    static func plan(_ group: GroupLowering, _ target: Target) throws -> BlockContraction? {
        guard let (contraction, operation) = try group.contractionRoot(), let plan = group.contractionPlan(contraction, operation) else { return nil }
        return BlockContraction(plan: group.gatheringColumns(plan))
    }

    func emit(into group: GroupLowering) throws { try ThreadBlockContraction(group, plan).write() }
}

extension GroupLowering {
    /// The plan with all of the columns operand's own axes as columns: blocks need no run of neighbours in the result.
    fileprivate func gatheringColumns(_ plan: ContractionPlan) -> ContractionPlan {
        var plan = plan
        let own = plan.outer.filter { !plan.rowsVariables.contains($0) }
        plan.n = own + plan.n
        plan.outer.removeAll(where: own.contains)
        return plan
    }
}

/// The sizes of a thread block's work.
struct ThreadBlockTile {
    /// Rows and columns of results, and products that are in shared memory at once for each.
    var rows: Int
    var columns: Int
    var depth: Int
    /// Results of one thread; of one warp on tensor cores.
    var ownRows: Int
    var ownColumns: Int
    var threads: Int
    var matrix: MatrixKind?
    /// Tiles in flight.
    var stages = 2
    /// Work items that should fit on one processor.
    var resident = 1
}

/// One contraction as a thread block's work: what its launches share.
final class ThreadBlockContraction {
    let lowering: GroupLowering
    let plan: ContractionPlan
    let tile: ThreadBlockTile
    let depth: ThreadBlockDepth
    /// The contraction's variables as the operands' loads see them.
    let variables: [Dim]
    let rows: TileSide
    let columns: TileSide
    /// Parts into which the tiles along the summed axes are cut, and how many tiles each has.
    let parts: Int
    let tilesPerPart: Dim

    var writer: KernelWriter { lowering.writer }
    var elements: ElementLowering { lowering.elements }
    var accumulator: DType { plan.accumulator }
    var rowBlocks: Dim { plan.rowCount.dividedUp(by: .constant(tile.rows)) }
    var columnBlocks: Dim { plan.columnCount.dividedUp(by: .constant(tile.columns)) }
    var outerCount: Dim { plan.size(plan.outer) }

    init(_ lowering: GroupLowering, _ plan: ContractionPlan) throws {
        self.lowering = lowering
        self.plan = plan
        variables = lowering.contractionVariables(plan)
        let rowsView = try OperandView(lowering, plan.rows, plan.rowsOperand, variables)
        let columnsView = try OperandView(lowering, plan.columns, plan.columnsOperand, variables)
        let gpu = lowering.target.gpu!
        let tile = ThreadBlockTile.choose(plan, MatrixKind.choose(plan, rowsView.dtype, columnsView.dtype, gpu), gpu)
        self.tile = tile
        depth = ThreadBlockDepth(plan, variables, [rowsView, columnsView], tile: tile.depth)
        rows = TileSide(rowsView, plan.m, extent: tile.rows, depth, tile, plan, variables)
        columns = TileSide(columnsView, plan.n, extent: tile.columns, depth, tile, plan, variables)
        (parts, tilesPerPart) = Self.cut(plan, tile, depth, gpu)
    }

    func write() throws {
        if parts == 1 {
            let frame = ResultFrame(self)
            return try blocks { block, thread in
                self.setOuter(block.outer, frame.variables)
                try self.finish(block, thread, frame: frame) { try self.storeOutputs(frame, $0) }
            }
        }
        try writeParts()
    }

    /// Adds the launch that computes every block; the body gets rid of a finished one.
    func blocks(_ finish: (ThreadBlockBlock, ThreadBlockThread) throws -> Void) throws {
        let workItems = Dim.constant(parts) * outerCount * rowBlocks * columnBlocks
        try lowering.threadBlockLaunch(workItems: workItems, threads: tile.threads, work: plan.work, resident: tile.resident) { workItem, thread in
            var block = place(workItem)
            let first = writer.bind(block.part * tilesPerPart)
            let count = parts == 1 ? depth.tiles : writer.bind(Dim.minimum(tilesPerPart, depth.tiles - first))
            block.tiles = (first, count)
            setOuter(block.outer, variables)
            block.sums = tile.matrix == nil ? try multiplyByThreads(block, thread) : try multiplyByWarps(block, thread)
            try finish(block, thread)
        }
    }

    /// Block rows that are worked on side by side, so that what they read stays in the second cache.
    private static let bandRows = 8

    /// Which block a work item computes: bands of a few block rows, column after column within a band.
    private func place(_ workItem: Dim) -> ThreadBlockBlock {
        let at = lowering.unflatten(workItem, [.constant(parts), outerCount, rowBlocks * columnBlocks])
        var block = ThreadBlockBlock(part: at[0], outer: at[1])
        if rowBlocks == 1 {
            block.column = at[2]
        } else if columnBlocks == 1 {
            block.row = at[2]
        } else if let count = rowBlocks.constant, count <= Self.bandRows {
            block.column = writer.bind(at[2] / rowBlocks)
            block.row = writer.bind(at[2] - block.column * rowBlocks)
        } else {
            let inBand = columnBlocks * .constant(Self.bandRows)
            let band = writer.bind(at[2] / inBand)
            let rest = writer.bind(at[2] - band * inBand)
            let height = writer.bind(Dim.minimum(rowBlocks - band * .constant(Self.bandRows), .constant(Self.bandRows)))
            block.column = writer.bind(rest / height)
            block.row = writer.bind(band * .constant(Self.bandRows) + rest - block.column * height)
        }
        return block
    }

    /// Sets the outer axes' variables.
    func setOuter(_ flat: Dim, _ variables: [Dim]) { lowering.setVariables(plan.outer, variables, flat: flat, plan) }

    /// Writes the body's statements with what they define unknown outside: the same code for another place follows.
    func isolated(_ body: () throws -> Void) rethrows { for statement in try writer.block(body) { writer.append(statement) } }

    /// Writes the body under those conditions that are not known to hold, or not at all.
    func when(_ conditions: [Dim], _ body: () throws -> Void) rethrows {
        var open: [IndexCondition] = []
        for condition in conditions {
            guard let known = condition.constant else {
                open.append(.isNonNegative(condition))
                continue
            }
            if known < 0 { return }
        }
        if open.isEmpty { try isolated(body) } else { try writer.branch(open, then: body) }
    }
}

/// Where a work item's block of results lies, in blocks, and its tiles along the summed axes.
struct ThreadBlockBlock {
    var part: Dim
    var outer: Dim
    var row: Dim = 0
    var column: Dim = 0
    var tiles: (first: Dim, count: Dim) = (0, 0)
    /// The accumulators of a thread.
    var sums: Memory = .local(0)
}
