// The schedule of depthwise and grouped convolutions, in which no two results share an image and a weight: a block of an image's lines is
// copied, with its border of zeros, to where a register tile of lines × vectors of results reads it without edges to look out for.

import KilnIR
import KilnPasses

/// A sliding contraction by threads of the host.
struct SlidingWindows: Schedule {
    let contraction: Contraction
    let sliding: SlidingContraction
    let operation: Operation
    var cost: Dim { contraction.sizes.reduce(1, *) }

    static func plan(_ group: GroupLowering, _ target: Target) throws -> SlidingWindows? {
        guard let (contraction, operation) = try group.contractionRoot(), let sliding = contraction.sliding else { return nil }
        return SlidingWindows(contraction: contraction, sliding: sliding, operation: operation)
    }

    func emit(into group: GroupLowering) throws { try group.slidingContraction(contraction, sliding, operation) }
}

/// Sizes of the blocks, copies and register tiles of a sliding contraction.
struct SlidingPlan {
    let contraction: Contraction
    let sliding: SlidingContraction
    let value: ValueID
    let images: IndexMap.Piece
    let imagesOperand: ValueID
    let weights: IndexMap.Piece
    let weightsOperand: ValueID
    let lanes: Int
    /// Lines and vectors of a register tile.
    var tileRows = 1
    var tileVectors = 1
    /// Lines and columns of the result that a copy serves; multiples of the tile's.
    var blockRows = 1
    var blockColumns = 1

    var accumulator: DType { contraction.accumulator }
    var columns: SlidingContraction.Line { sliding.columns }
    var rowTaps: Int { sliding.rows?.tapCount ?? 1 }
    var rowStride: Int { sliding.rows?.stride ?? 1 }
    var rowDilation: Int { sliding.rows?.dilation ?? 1 }
    var rowCount: Dim { sliding.rows.map { contraction.sizes[$0.output] } ?? 1 }
    var columnCount: Dim { contraction.sizes[columns.output] }
    var rowBlocks: Dim { rowCount.dividedUp(by: .constant(blockRows)) }
    var columnBlocks: Dim { columnCount.dividedUp(by: .constant(blockColumns)) }
    var tileColumns: Int { tileVectors * lanes }
    var channelCount: Dim { sliding.channels.reduce(1) { $0 * contraction.sizes[$1] } }

    // A copied line holds, one after the other, the columns that are 0, 1, … past a multiple of the stride, so that results side by side
    // read columns side by side:     stride 2:   0 2 4 6 … | 1 3 5 7 …

    /// The remainders of columns that taps read.
    var phases: [Int] { Array(Set((0..<columns.tapCount).map { $0 * columns.dilation % columns.stride })).sorted() }
    /// Elements of one phase of a line.
    var phasePitch: Int { (blockColumns + (columns.tapCount - 1) * columns.dilation / columns.stride + lanes).roundedUp(to: lanes) }
    var linePitch: Int { phasePitch * phases.count }
    func lines(_ rows: Int) -> Int { (rows - 1) * rowStride + (rowTaps - 1) * rowDilation + 1 }
    var planeSize: Int { lines(blockRows) * linePitch }
    /// Where a phase's first column lies in a line: so that the images' first lies at a whole vector.
    func phaseStart(_ phase: Int) -> Int {
        let before = columns.start.constant.map { ($0 - phase + columns.stride - 1) / columns.stride } ?? 0
        return phases.firstIndex(of: phase)! * phasePitch + (lanes - max(before, 0) % lanes) % lanes
    }
}

extension Int {
    fileprivate func roundedUp(to multiple: Int) -> Int { (self + multiple - 1) / multiple * multiple }
}

/// The logical variables of a sliding contraction's code: those of the contraction, and the positions in the images' padded lines.
struct SlidingFrame {
    var variables: [Dim]
    var line: Dim
    var column: Dim
}

/// A block of results: where it begins and how much of it is there.
struct SlidingBlock {
    var firstRow: Dim
    var firstColumn: Dim
    var rows: Dim
    var columns: Dim
}

extension GroupLowering {
    /// Products of one work item, about.
    private static let workItemProducts = 1 << 16

    fileprivate func slidingContraction(_ c: Contraction, _ sliding: SlidingContraction, _ operation: Operation) throws {
        let isLeft = sliding.imagesAreLeft
        var lanes = max(target.vectorBytes / c.accumulator.byteCount, 1)
        while let n = c.sizes[sliding.columns.output].constant, lanes / 2 >= max(n, 1) { lanes /= 2 }
        var plan = SlidingPlan(contraction: c, sliding: sliding, value: operation.results[0], images: isLeft ? c.left : c.right,
            imagesOperand: operation.operands[isLeft ? 0 : 1], weights: isLeft ? c.right : c.left,
            weightsOperand: operation.operands[isLeft ? 1 : 0], lanes: lanes)
        plan.chooseTile(registers: target.vectorRegisters)
        plan.chooseBlocks(bytes: target.level1Bytes * 3 / 4, bytesOfAll: target.level2Bytes / 4)
        let frame = SlidingFrame(variables: c.sizes.map { $0 == 1 ? 0 : elements.makeVariable(size: $0) },
                                 line: elements.makeVariable(size: sliding.rows?.extent(plan.rowCount) ?? 1),
                                 column: elements.makeVariable(size: sliding.columns.extent(plan.columnCount)))
        // Of neighbours that see the same images one work item has them all.
        let shared = sliding.sharing?.count ?? 1
        let sizes = sliding.outer.map { $0 == sliding.sharing?.variable ? c.sizes[$0] / .constant(shared) : c.sizes[$0] }
        let positions = sizes.reduce(1, *)
        let block = min(plan.rowCount.constant ?? 32, plan.blockRows) * min(plan.columnCount.constant ?? 64, plan.blockColumns)
        let chunk = Dim.constant(max(1, min(32, Self.workItemProducts / max(block * (c.steps.constant ?? 64) * shared, 1))))
        let chunks = positions.dividedUp(by: chunk)
        try launch(workItems: chunks * plan.rowBlocks * plan.columnBlocks, work: c.sizes.reduce(1, *) / 4) { workItem in
            let place = unflatten(workItem, [chunks, plan.rowBlocks, plan.columnBlocks])
            let block = slidingBlock(plan, place[1], place[2])
            let plane = scratch(plan.accumulator, plan.channelCount * .constant(plan.planeSize) + .constant(plan.tileColumns))
            let weights = slidingWeights(plan)
            try clearBorder(plan, block, plane)
            let first = place[0] * chunk
            try writer.loop(from: first, to: chunk == 1 ? first + 1 : writer.bind(Dim.minimum(first + chunk, positions))) { position in
                let indices = unflatten(writer.bind(position), sizes)
                func setOuter(_ member: Dim) {
                    for (number, index) in zip(sliding.outer, indices) {
                        let isShared = number == sliding.sharing?.variable
                        elements.setVariable(frame.variables[number], to: isShared ? index * .constant(shared) + member : index)
                    }
                }
                setOuter(0)
                try copyPlane(plan, frame, block, plane)
                try writer.loop(to: .constant(shared)) { member in
                    setOuter(member)
                    try copyWeights(plan, frame, weights)
                    try slidingTiles(plan, frame, block, plane, weights)
                }
            }
        }
    }

    private func slidingBlock(_ plan: SlidingPlan, _ row: Dim, _ column: Dim) -> SlidingBlock {
        let (rows, columns) = (Dim.constant(plan.blockRows), Dim.constant(plan.blockColumns))
        let (firstRow, firstColumn) = (writer.bind(row * rows), writer.bind(column * columns))
        func rest(_ count: Dim, _ first: Dim, _ block: Dim) -> Dim {
            if let n = count.constant, n % block.constant! == 0 { return block }
            return writer.bind(Dim.minimum(count - first, block))
        }
        return SlidingBlock(firstRow: firstRow, firstColumn: firstColumn, rows: rest(plan.rowCount, firstRow, rows),
                            columns: rest(plan.columnCount, firstColumn, columns))
    }
}

// MARK: Sizes

extension SlidingPlan {
    /// The most multiply-adds that are unrolled for a tile.
    private static let mostUnrolled = 1024

    var isUnrolled: Bool { tileRows * tileVectors * rowTaps * columns.tapCount <= Self.mostUnrolled }
    /// Whether no tile reaches past the result, but for lanes of its only vectors.
    var isWhole: Bool {
        guard let rows = rowCount.constant, let columns = columnCount.constant else { return false }
        return rows % tileRows == 0 && (columns % tileColumns == 0 || columns < tileColumns)
    }
    /// Whether the taps of a line are unrolled, inside of a loop over the lines.
    var hasUnrolledLines: Bool { tileRows * tileVectors * columns.tapCount <= Self.mostUnrolled / 4 }

    /// The tile that takes the least time for all of the result.
    mutating func chooseTile(registers: Int) {
        let vectors = columnCount.constant.map { max(($0 + lanes - 1) / lanes, 1) }
        let rows = rowCount.constant.map { max($0, 1) }
        var best: (cost: Double, rows: Int, vectors: Int)?
        for v in 1...min(vectors ?? 2, 8) {
            for r in 1...min(rows ?? 4, 16) where r * v <= registers - 6 {
                (tileRows, tileVectors) = (r, v)
                let tiles = Double(((rows ?? 32) + r - 1) / r * (((vectors ?? 8) + v - 1) / v))
                let cost = tiles * tileCost(registers)
                if cost < best?.cost ?? .infinity { best = (cost, r, v) }
            }
        }
        (_, tileRows, tileVectors) = best!
    }

    /// Half cycles that a tile takes: of the multiply-adds or of the loads, whichever are more, and of the stores.
    private func tileCost(_ registers: Int) -> Double {
        let taps = rowTaps * columns.tapCount
        let products = Double(taps * tileRows * tileVectors)
        // Each vector of images lies on two lines of the cache, mostly.
        let linesRead = isUnrolled ? lines(tileRows) : tileRows * rowTaps
        let weightsStay = rowTaps + tileRows * tileVectors + tileVectors <= registers
        let loads = 1.9 * Double(linesRead * columns.tapCount * tileVectors) + Double(isUnrolled && !weightsStay ? taps * tileRows : taps)
        // A multiply-add takes four cycles, two begin in each.
        return max(products, loads, Double(taps * 8)) + Double(tileRows * tileVectors) * 2 + 8
    }

    /// The greatest blocks whose copies fit the caches.
    mutating func chooseBlocks(bytes: Int, bytesOfAll: Int) {
        let channels = channelCount.constant ?? 8
        let most = max(channels == 1 ? bytes : bytesOfAll / max(channels, 1), 4096)
        func fits() -> Bool { planeSize * accumulator.byteCount <= most }
        func even(_ count: Int?, _ tile: Int, _ most: Int) -> Int {
            guard let count = count.map({ max($0, 1) }) else { return most }
            let blocks = (count + most - 1) / most
            return ((count + blocks - 1) / blocks).roundedUp(to: tile)
        }
        blockRows = tileRows
        blockColumns = even(columnCount.constant, tileColumns, (columnCount.constant == nil ? 128 : 256).roundedUp(to: tileColumns))
        while !fits(), blockColumns > tileColumns { blockColumns -= tileColumns }
        let limit = even(rowCount.constant, tileRows, 64.roundedUp(to: tileRows))
        while blockRows < limit {
            blockRows += tileRows
            if !fits() {
                blockRows -= tileRows
                break
            }
        }
        blockRows = even(rowCount.constant, tileRows, blockRows)
    }
}
