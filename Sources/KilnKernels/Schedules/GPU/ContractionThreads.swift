// Multiplying by threads: a thread accumulates a tile of results in registers, reading rows and columns from shared memory, where
// they lie as positions of the summed axes one after the other. One tile is read while the one before is multiplied.
//
// With 8 × 8 results of f32 a thread reads 4 vectors of 16 bytes for 64 products, which shared memory keeps up with.

import KilnIR

extension ThreadBlockContraction {
    /// A thread's place in the block: which of its groups of neighbouring rows and of columns. A warp is 4 × 8 threads.
    private func threadPlace(_ thread: ThreadBlockThread) -> (row: Dim, column: Dim) {
        let across = tile.columns / tile.ownColumns / 8
        let warp = writer.bind(thread.number / 32)
        let lane = writer.bind(thread.number - warp * 32)
        let warpRow = writer.bind(warp / .constant(across))
        let laneRow = writer.bind(lane / 8)
        let row = writer.bind(warpRow * 4 + laneRow)
        return (row, writer.bind((warp - warpRow * .constant(across)) * 8 + lane - laneRow * 8))
    }

    /// Neighbouring rows or columns of a thread: what 16 bytes hold.
    private func run(_ own: Int) -> Int { min(16 / accumulator.byteCount, own) }

    /// Computes a block's sums by threads; gives a thread's, row by row.
    func multiplyByThreads(_ block: ThreadBlockBlock, _ thread: ThreadBlockThread) throws -> Memory {
        let (rowShare, columnShare) = (share(rows, block.row, thread, accumulator), share(columns, block.column, thread, accumulator))
        let rowStride = rows.stride(accumulator), columnStride = columns.stride(accumulator)
        let sharedRows = lowering.shared(accumulator, 2 * tile.depth * rowStride)
        let sharedColumns = lowering.shared(accumulator, 2 * tile.depth * columnStride)
        let sums = writer.local(accumulator, .constant(tile.ownRows * tile.ownColumns))
        let width = run(tile.ownColumns)
        for start in stride(from: 0, to: tile.ownRows * tile.ownColumns, by: width) {
            writer.lanes(width, count: .constant(width)) { writer.store(writer.constant(0, accumulator), sums, .constant(start) + $0) }
        }
        func fill(_ buffer: Dim) {
            write(rowShare, to: sharedRows, rowStride, buffer)
            write(columnShare, to: sharedColumns, columnStride, buffer)
        }
        let (first, count) = block.tiles
        try when([count - 1]) {
            try read(rowShare, tile: first)
            try read(columnShare, tile: first)
            fill(0)
        }
        lowering.barrier()
        let place = threadPlace(thread)
        try writer.loop(to: count) { number in
            let buffer = writer.bind(number - number / 2 * 2)
            try when([count - 2 - number]) {
                try read(rowShare, tile: first + number + 1)
                try read(columnShare, tile: first + number + 1)
            }
            multiplyTile((sharedRows, rowStride), (sharedColumns, columnStride), buffer, place, into: sums)
            when([count - 2 - number]) { fill(1 - buffer) }
            lowering.barrier()
        }
        return sums
    }

    /// Writes a thread's share from registers to one of the two tiles in shared memory.
    private func write(_ share: TileShare, to memory: Memory, _ stride: Int, _ buffer: Dim) {
        let side = share.side
        for vector in 0..<side.vectors(tile) {
            let offset = Dim.constant(vector * share.step)
            let span = share.span + (side.isAlongDepth ? offset : 0)
            let depth = share.depth + (side.isAlongDepth ? 0 : offset)
            let base = (buffer * .constant(tile.depth) + depth) * .constant(stride) + span
            func store(_ lane: Dim) {
                let value = writer.load(share.registers, .constant(vector * side.width) + lane, accumulator)
                writer.store(value, memory, base + (side.isAlongDepth ? lane * .constant(stride) : lane))
            }
            if side.width == 1 { isolated { store(0) } } else { writer.lanes(side.width, count: .constant(side.width)) { store($0) } }
        }
    }

    private func multiplyTile(_ rows: (Memory, Int), _ columns: (Memory, Int), _ buffer: Dim, _ place: (row: Dim, column: Dim), into sums: Memory) {
        let (height, width) = (run(tile.ownRows), run(tile.ownColumns))
        let own = (rows: writer.local(accumulator, .constant(tile.ownRows)), columns: writer.local(accumulator, .constant(tile.ownColumns)))
        writer.loop(to: .constant(tile.depth), .unrolled) { k in
            func fetch(_ source: (memory: Memory, stride: Int), _ extent: Int, _ count: Int, _ run: Int, _ place: Dim, to target: Memory) {
                let base = (buffer * .constant(tile.depth) + k) * .constant(source.stride) + place * .constant(run)
                for group in 0..<count / run {
                    writer.lanes(run, count: .constant(run)) { lane in
                        let value = writer.load(source.memory, base + .constant(group * (extent / (count / run))) + lane, accumulator)
                        writer.store(value, target, .constant(group * run) + lane)
                    }
                }
            }
            fetch(rows, tile.rows, tile.ownRows, height, place.row, to: own.rows)
            fetch(columns, tile.columns, tile.ownColumns, width, place.column, to: own.columns)
            writer.loop(to: .constant(tile.ownRows), .unrolled) { row in
                for start in stride(from: 0, to: tile.ownColumns, by: width) {
                    writer.lanes(width, count: .constant(width)) { lane in
                        let at = row * .constant(tile.ownColumns) + .constant(start) + lane
                        let (a, b) = (writer.load(own.rows, row, accumulator), writer.load(own.columns, .constant(start) + lane, accumulator))
                        let sum = writer.load(sums, at, accumulator)
                        let next = accumulator.isFloat ? writer.apply(.fusedMultiplyAdd, a, b, sum) : writer.apply(.add, sum, writer.apply(.multiply, a, b))
                        writer.store(next, sums, at)
                    }
                }
            }
        }
    }

    /// How many times a thread's sums go through shared memory, and the rows of the block that each time has.
    var threadRounds: (count: Int, rows: Int) {
        let count = tile.ownRows / run(tile.ownRows)
        return (count, tile.rows / count)
    }

    /// Writes one group of a thread's rows to shared memory.
    func stageByThreads(_ sums: Memory, round: Int, _ thread: ThreadBlockThread, to memory: Memory, stride: Int) {
        let (height, width) = (run(tile.ownRows), run(tile.ownColumns))
        let place = threadPlace(thread)
        for row in 0..<height {
            for group in 0..<tile.ownColumns / width {
                writer.lanes(width, count: .constant(width)) { lane in
                    let column = place.column * .constant(width) + .constant(group * (tile.columns / (tile.ownColumns / width))) + lane
                    let value = writer.load(sums, .constant((round * height + row) * tile.ownColumns + group * width) + lane, accumulator)
                    writer.store(value, memory, (place.row * .constant(height) + .constant(row)) * .constant(stride) + column)
                }
            }
        }
    }
}
