// The sizes of a thread block's tiles, from the shape, the dtype and the GPU; and into how many parts the summed axes are cut.
// They depend on nothing that is known at run time only, so that the same inputs give the same bits on every card.

import KilnIR

extension ThreadBlockTile {
    /// What a tile costs in time for each product, relative to the best.
    private typealias Candidate = (tile: ThreadBlockTile, cost: Double)

    static func choose(_ plan: ContractionPlan, _ matrix: MatrixKind?, _ gpu: GPU) -> ThreadBlockTile {
        func hint(_ dim: Dim) -> Double { Double(dim.evaluate { if case .symbol = $0 { 256 } else { nil } } ?? 256) }
        let (rows, columns, outer) = (hint(plan.rowCount), hint(plan.columnCount), hint(plan.size(plan.outer)))
        func time(_ candidate: Candidate) -> Double {
            let (tile, cost) = candidate
            let workItems = (rows / Double(tile.rows)).rounded(.up) * (columns / Double(tile.columns)).rounded(.up) * outer
            let waves = (workItems / Double(gpu.processors)).rounded(.up)
            return waves * Double(tile.rows * tile.columns) * cost
        }
        return (matrix.map(forWarps) ?? forThreads(plan.accumulator)).min { time($0) < time($1) }!.tile
    }

    /// Tiles for multiplying by threads. A warp is 4 × 8 threads, so these divide the block's rows and columns.
    private static func forThreads(_ accumulator: DType) -> [Candidate] {
        func tile(_ rows: Int, _ columns: Int, _ depth: Int, _ ownRows: Int, _ ownColumns: Int, _ cost: Double) -> Candidate {
            let threads = rows / ownRows * columns / ownColumns
            return (ThreadBlockTile(rows: rows, columns: columns, depth: depth, ownRows: ownRows, ownColumns: ownColumns, threads: threads,
                             resident: max(1, (accumulator.byteCount > 4 || ownRows * ownColumns >= 64 ? 256 : 512) / threads)), cost)
        }
        let small = [tile(64, 64, 8, 8, 4, 1.25), tile(32, 32, 8, 4, 4, 2), tile(16, 64, 16, 4, 4, 2.2), tile(64, 32, 8, 8, 4, 1.6)]
        if accumulator.byteCount <= 4 { return [tile(128, 128, 8, 8, 8, 1)] + small }
        // Products of 64-bit integers take registers of their own.
        return accumulator.isInteger ? small.filter { $0.tile.depth <= 8 } : small
    }
}

extension ThreadBlockTile {
    /// Tiles for tensor cores: 64 bytes of the summed axes in each of four stages.
    private static func forWarps(_ matrix: MatrixKind) -> [Candidate] {
        func tile(_ rows: Int, _ columns: Int, _ ownRows: Int, _ ownColumns: Int, resident: Int, _ cost: Double) -> Candidate {
            (ThreadBlockTile(rows: rows, columns: columns, depth: 64 / matrix.byteCount, ownRows: ownRows, ownColumns: ownColumns,
                      threads: rows / ownRows * columns / ownColumns * 32, matrix: matrix, stages: 4, resident: resident), cost)
        }
        return [tile(128, 256, 64, 64, resident: 1, 0.95), tile(128, 128, 64, 64, resident: 2, 1), tile(64, 128, 32, 64, resident: 3, 1.2),
                tile(128, 64, 64, 32, resident: 3, 1.2), tile(64, 64, 32, 32, resident: 3, 1.4), tile(32, 128, 32, 32, resident: 3, 1.6)]
    }
}

extension ThreadBlockContraction {
    /// Cuts the summed axes where blocks are too few to keep the processors busy.
    static func cut(_ plan: ContractionPlan, _ tile: ThreadBlockTile, _ depth: ThreadBlockDepth, _ gpu: GPU) -> (Int, Dim) {
        let blocks = plan.size(plan.outer) * plan.rowCount.dividedUp(by: .constant(tile.rows)) * plan.columnCount.dividedUp(by: .constant(tile.columns))
        guard let blocks = blocks.constant, blocks > 0, blocks * 2 <= gpu.processors else { return (1, depth.tiles) }
        let wanted = (2 * gpu.processors) / blocks
        // A part is worth starting for a few hundred products of each result.
        let most = depth.tiles.constant.map { $0 * tile.depth / 256 } ?? 16
        let parts = min(wanted, most, 64)
        guard parts > 1 else { return (1, depth.tiles) }
        return (parts, depth.tiles.dividedUp(by: .constant(parts)))
    }
}
