// Multiplying on tensor cores (mma.sync): four stages of tiles in shared memory, of which three are in flight while a warp
// multiplies its part of the fourth. Fragments come by ldmatrix.
//
// A warp of 64 × 64 results takes 8 ldmatrix for 32 products of one step, so that tensor cores, not shared memory, set the pace:
// a step reads 64 · 16 · 2 elements of 16 bits, 4 KiB in 32 cycles' worth of shared memory, against 32 · 8 = 256 cycles of products a warp
// on one of four tensor cores. Beside them stand per step 4 copies with their addresses (about 8 adds) and a barrier for two steps.

import KilnIR

extension MatrixKind {
    /// What multiplies the operands on the target, if anything does without giving up precision that was not given up.
    static func choose(_ plan: ContractionPlan, _ rows: DType, _ columns: DType, _ gpu: GPU) -> MatrixKind? {
        guard rows == columns else { return nil }
        let kind: MatrixKind? = switch rows {
        case .f16: .f16
        case .bf16: .bf16
        case .i8: .i8
        case .u8: .u8
        case .f32: gpu.fastMath ? .tf32 : nil
        default: nil
        }
        return kind.flatMap { $0.accumulator == plan.accumulator ? $0 : nil }
    }
}

/// Where a warp reads one side's matrices: offsets in pieces for each step of the summed axes or for each group of 16 lines.
private struct WarpSide {
    let chunks: ChunkSide
    let memory: Memory
    let offsets: [Dim]

    /// The thread's address for the matrices at a step and a group of 16 rows or columns.
    func access(_ stage: Dim, step: Int, group: Int) -> Access {
        let lines = chunks.isDepthInner ? group * 16 : step * 16
        let offset = offsets[chunks.isDepthInner ? step : group] + .constant(lines * chunks.pieces)
        return Access(memory, (stage * .constant(chunks.lines * chunks.pieces) + offset) * .constant(chunks.elements))
    }
}

extension ThreadBlockContraction {
    /// Steps of a tile along the summed axes.
    private var steps: Int { tile.depth / tile.matrix!.depth }
    private var warpGroups: (rows: Int, columns: Int) { (tile.ownRows / 16, tile.ownColumns / 16) }

    /// A warp's first row and column in the block, and the thread's number within the warp.
    private func warpPlace(_ thread: ThreadBlockThread) -> (row: Dim, column: Dim, lane: Dim) {
        let across = tile.columns / tile.ownColumns
        let warp = writer.bind(thread.number / 32)
        let row = writer.bind(warp / .constant(across))
        return (row * .constant(tile.ownRows), (warp - row * .constant(across)) * .constant(tile.ownColumns), writer.bind(thread.number - warp * 32))
    }

    /// The four matrices that a load brings lie two by two: `second` steps along the line axis for rows, along the summed for columns.
    private func warpSide(_ chunks: ChunkSide, _ memory: Memory, origin: Dim, lane: Dim, isRows: Bool) -> WarpSide {
        let matrix = writer.bind(lane / 8)
        let high = writer.bind(matrix / 2), low = writer.bind(matrix - high * 2), within = lane - matrix * 8
        let (span, depth) = isRows ? (low, high) : (high, low)
        var offsets: [Dim] = []
        if chunks.isDepthInner {
            let line = writer.bind(origin + span * 8 + within)
            for step in 0..<steps {
                offsets.append(writer.bind(line * .constant(chunks.pieces) + chunks.place(.constant(step * 2) + depth, inLine: line, writer)))
            }
        } else {
            let line = writer.bind(depth * 8 + within)
            for group in 0..<(isRows ? warpGroups.rows : warpGroups.columns) {
                let piece = origin / .constant(chunks.elements) + .constant(group * 2) + span
                offsets.append(writer.bind(line * .constant(chunks.pieces) + chunks.place(piece, inLine: line, writer)))
            }
        }
        return WarpSide(chunks: chunks, memory: memory, offsets: offsets)
    }

    /// Computes a block's sums on tensor cores; gives a thread's part of its warp's, 16 × 8 results after the other.
    func multiplyByWarps(_ block: ThreadBlockBlock, _ thread: ThreadBlockThread) throws -> Memory {
        let (rowChunks, columnChunks) = (ChunkSide(rows, depth, tile, plan, variables), ChunkSide(columns, depth, tile, plan, variables))
        func memory(_ chunks: ChunkSide) -> Memory {
            lowering.shared(chunks.dtype, tile.stages * chunks.lines * chunks.pieces * chunks.elements, alignment: 128)
        }
        let (sharedRows, sharedColumns) = (memory(rowChunks), memory(columnChunks))
        let shares = [(share(rowChunks, sharedRows, thread), block.row), (share(columnChunks, sharedColumns, thread), block.column)]
        let place = warpPlace(thread)
        let left = warpSide(rowChunks, sharedRows, origin: place.row, lane: place.lane, isRows: true)
        let right = warpSide(columnChunks, sharedColumns, origin: place.column, lane: place.lane, isRows: false)
        let sums = writer.local(accumulator, .constant(tile.ownRows * tile.ownColumns / 32))
        writer.loop(to: .constant(tile.ownRows * tile.ownColumns / 32), .unrolled) { writer.store(writer.constant(0, accumulator), sums, $0) }
        let (first, count) = block.tiles
        let ahead = tile.stages - 1
        for number in 0..<ahead {
            try when([count - 1 - .constant(number)]) {
                for (share, at) in shares {
                    try start(share, at, tile: first + .constant(number), stage: .constant(number))
                    complete(share, stage: .constant(number))
                }
            }
            writer.append(.threadBlock(.commitCopies))
        }
        try writer.loop(to: count) { number in
            let stages = Dim.constant(tile.stages)
            let stage = writer.bind(number - number / stages * stages)
            let next = number + .constant(ahead)
            let freed = writer.bind(next - next / stages * stages)
            writer.append(.threadBlock(.waitCopies(pending: ahead - 1)))
            lowering.barrier()
            try when([count - 1 - next]) { for (share, at) in shares { try start(share, at, tile: first + next, stage: freed) } }
            writer.append(.threadBlock(.commitCopies))
            isolated { multiply(left, right, stage, into: sums) }
            when([count - 1 - next]) { for (share, _) in shares { complete(share, stage: freed) } }
        }
        writer.append(.threadBlock(.waitCopies(pending: 0)))
        lowering.barrier()
        return sums
    }

    private func multiply(_ left: WarpSide, _ right: WarpSide, _ stage: Dim, into sums: Memory) {
        let (height, width) = warpGroups
        let rows = writer.local(.u32, .constant(height * 4)), columns = writer.local(.u32, .constant(width * 4))
        for step in 0..<steps {
            func load(_ side: WarpSide, _ count: Int, to registers: Memory) {
                for group in 0..<count {
                    writer.append(.threadBlock(.loadMatrices(to: Access(registers, .constant(group * 4)), from: side.access(stage, step: step, group: group),
                                                      count: 4, isTransposed: !side.chunks.isDepthInner)))
                }
            }
            load(left, height, to: rows)
            load(right, width, to: columns)
            for row in 0..<height {
                for column in 0..<width * 2 {
                    writer.append(.threadBlock(.multiplyAdd(tile.matrix!, sum: Access(sums, .constant((row * width * 2 + column) * 4)),
                                                     left: Access(rows, .constant(row * 4)), right: Access(columns, .constant(column * 2)))))
                }
            }
        }
    }

    /// How many times a warp's sums go through shared memory, and the rows of a warp that each time has.
    var warpRounds: (count: Int, rows: Int) {
        var rows = tile.ownRows
        while rows > 16, tile.rows / tile.ownRows * rows * tile.columns > 8 << 10 { rows /= 2 }
        return (tile.ownRows / rows, rows)
    }

    /// Writes some rows of each warp to shared memory.
    func stageByWarps(_ sums: Memory, round: Int, _ thread: ThreadBlockThread, to memory: Memory, stride: Int) {
        let place = warpPlace(thread)
        let (count, height) = warpRounds
        let group = writer.bind(place.lane / 4)
        let column = place.column + (place.lane - group * 4) * 2
        let line = writer.bind(place.row / .constant(count) + group)
        let width = warpGroups.columns * 2
        for row in 0..<height / 8 {
            for part in 0..<width {
                let source = ((round * height / 16 + row / 2) * width + part) * 4 + row % 2 * 2
                writer.lanes(2, count: 2) { lane in
                    writer.store(writer.load(sums, .constant(source) + lane, accumulator), memory,
                                 (line + .constant(row * 8)) * .constant(stride) + column + .constant(part * 8) + lane)
                }
            }
        }
    }
}
