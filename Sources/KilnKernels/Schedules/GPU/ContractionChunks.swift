// How one operand's tiles come to a thread block's tensor cores: in pieces of 16 bytes, copied in flight where the operand lies in memory as
// it is, else computed in registers and written. Pieces are permuted within lines, so that eight lines' lie in different banks.
//
//     lines along the summed axes, 64 bytes of depth each:      lines along rows or columns, one for each summed position:
//         line i:  piece j at place j ^ (i / 2) % 4                 line i:  piece j at place j ^ i % 8

import KilnIR

/// One operand's side of a block as tensor cores read it.
struct ChunkSide {
    let side: TileSide
    let dtype: DType
    /// Whether a line holds summed positions; else it holds rows or columns, and matrices are transposed when they are read.
    let isDepthInner: Bool
    /// Elements of a piece, pieces of a line, and lines of a tile.
    let elements: Int
    let pieces: Int
    let lines: Int
    /// Elements that one copy in flight moves; 0 where there are none.
    let copied: Int
    /// Whether neighbouring threads take neighbouring lines instead of pieces.
    let isLineFast: Bool

    init(_ side: TileSide, _ depth: ThreadBlockDepth, _ tile: ThreadBlockTile, _ plan: ContractionPlan, _ variables: [Dim]) {
        self.side = side
        dtype = side.view.dtype
        func last(_ axes: [Int]) -> Dim? { axes.last { plan.contraction.sizes[$0] != 1 }.map { variables[$0] } }
        let (alongDepth, alongSpan) = (side.view.runs(along: last(depth.inner)), side.view.runs(along: last(side.axes)))
        // Only elements of 16 bits can be transposed on the way.
        isDepthInner = dtype.byteCount != 2 || alongDepth && !alongSpan
        isLineFast = isDepthInner ? alongSpan && !alongDepth : alongDepth && !alongSpan
        elements = 16 / dtype.byteCount
        lines = isDepthInner ? side.extent : tile.depth
        pieces = (isDepthInner ? tile.depth : side.extent) / elements
        let width = side.view.direct == nil ? 1
            : side.view.vectorWidth(along: isDepthInner ? depth.inner : side.axes, most: elements, variables, plan)
        copied = width * dtype.byteCount >= 4 ? width : 0
    }

    /// How far pieces are moved within a line.
    func shift(of line: Dim, _ writer: KernelWriter) -> ValueNumber {
        let part = pieces >= 8 ? line - line / 8 * 8 : line / 2 - line / 2 / .constant(pieces) * .constant(pieces)
        return writer.position(part)
    }

    /// Where a piece of a line lies, in pieces from the line's start.
    func place(_ piece: Dim, inLine line: Dim, _ writer: KernelWriter) -> Dim {
        writer.bind(value: writer.apply(.xor, writer.position(piece), shift(of: line, writer)))
    }

    /// Pieces that one thread brings of each tile.
    func share(_ tile: ThreadBlockTile) -> Int { lines * pieces / tile.threads }
}

/// A thread's share of a side's pieces within a block.
struct ChunkShare {
    let chunks: ChunkSide
    let memory: Memory
    /// For each piece: its line, its number within the line, and its place in a tile, in pieces.
    var lines: [Dim] = []
    var numbers: [Dim] = []
    var places: [Dim] = []
    /// Where computed elements are between being read and being written.
    var registers: Memory?
}

extension ThreadBlockContraction {
    /// A thread's share of a side's pieces; what does not change from tile to tile is computed here.
    func share(_ chunks: ChunkSide, _ memory: Memory, _ thread: ThreadBlockThread) -> ChunkShare {
        var share = ChunkShare(chunks: chunks, memory: memory)
        let fast = chunks.isLineFast ? chunks.lines : chunks.pieces
        let across = writer.bind(thread.number / .constant(fast))
        let along = writer.bind(thread.number - across * .constant(fast))
        for number in 0..<chunks.share(tile) {
            let next = across + .constant(number * (tile.threads / fast))
            let (line, piece) = chunks.isLineFast ? (along, next) : (next, along)
            share.lines.append(line)
            share.numbers.append(piece)
            share.places.append(line * .constant(chunks.pieces) + chunks.place(piece, inLine: line, writer))
        }
        if chunks.copied == 0 { share.registers = writer.local(chunks.dtype, .constant(chunks.share(tile) * chunks.elements)) }
        return share
    }

    /// Starts to bring a thread's share of the tile with the number to the given stage; what has to be computed is read into registers.
    func start(_ share: ChunkShare, _ block: Dim, tile number: Dim, stage: Dim) throws {
        for piece in share.lines.indices {
            try isolated {
                if let registers = share.registers {
                    try read(share, piece, block, number, to: registers)
                } else { copy(share, piece, block, number, stage) }
            }
        }
    }

    /// Writes what was computed to its stage.
    func complete(_ share: ChunkShare, stage: Dim) {
        guard let registers = share.registers else { return }
        let chunks = share.chunks
        for piece in share.lines.indices {
            writer.lanes(chunks.elements, count: .constant(chunks.elements)) { lane in
                let value = writer.load(registers, .constant(piece * chunks.elements) + lane, chunks.dtype)
                writer.store(value, share.memory, address(share, piece, stage) + lane)
            }
        }
    }

    private func address(_ share: ChunkShare, _ piece: Int, _ stage: Dim) -> Dim {
        (stage * .constant(share.chunks.lines * share.chunks.pieces) + share.places[piece]) * .constant(share.chunks.elements)
    }

    /// The first element of a piece: its place among rows or columns, and along the summed axes.
    private func origin(_ share: ChunkShare, _ piece: Int, _ block: Dim, _ number: Dim) -> (span: Dim, depth: Dim) {
        let chunks = share.chunks
        let inner = share.numbers[piece] * .constant(chunks.elements)
        let first = block * .constant(chunks.side.extent), start = enter(number)
        return chunks.isDepthInner ? (first + share.lines[piece], start + inner) : (first + inner, start + share.lines[piece])
    }

    private func copy(_ share: ChunkShare, _ piece: Int, _ block: Dim, _ number: Dim, _ stage: Dim) {
        let (chunks, direct) = (share.chunks, share.chunks.side.view.direct!)
        let origin = origin(share, piece, block, number)
        for part in stride(from: 0, to: chunks.elements, by: chunks.copied) {
            let span = origin.span + (chunks.isDepthInner ? 0 : .constant(part))
            let depth = origin.depth + (chunks.isDepthInner ? .constant(part) : 0)
            set(span: span, depth: depth, chunks.side)
            let conditions = edges(span: span, depth: depth, chunks.side) + direct.conditions.map { $0.mapping(elements.physical) }
            writer.append(.threadBlock(.copy(to: Access(share.memory, address(share, piece, stage) + .constant(part)),
                                      from: Access(direct.place.memory, elements.physical(direct.address), where: conditions),
                                      bytes: chunks.copied * chunks.dtype.byteCount)))
        }
    }

    private func read(_ share: ChunkShare, _ piece: Int, _ block: Dim, _ number: Dim, to registers: Memory) throws {
        let (chunks, side) = (share.chunks, share.chunks.side)
        let origin = origin(share, piece, block, number)
        try writer.lanes(chunks.elements, count: .constant(chunks.elements)) { lane in
            let span = origin.span + (chunks.isDepthInner ? 0 : lane), depth = origin.depth + (chunks.isDepthInner ? lane : 0)
            set(span: span, depth: depth, side)
            let conditions = edges(span: span, depth: depth, side)
            var value = try elements.factor(side.view.piece, side.view.operand, variables, conditions)
            if side.needsZeros {
                value = writer.apply(.select, writer.define(.holds(conditions), .bool), value, writer.constant(0, chunks.dtype))
            }
            writer.store(value, registers, .constant(piece * chunks.elements) + lane)
        }
    }

    private func set(span: Dim, depth at: Dim, _ side: TileSide) {
        set(side.axes, to: unbound(span, side.axes))
        set(depth.inner, to: unbound(at, depth.inner))
    }

    private func set(_ axes: [Int], to positions: [Dim]) {
        for (axis, position) in zip(axes, positions) { elements.setVariable(variables[axis], to: position) }
    }

    /// A position on axes that are seen as one, as positions on each.
    private func unbound(_ flat: Dim, _ axes: [Int]) -> [Dim] {
        var rest = flat
        var result: [Dim] = []
        for axis in axes.reversed() {
            let size = plan.contraction.sizes[axis]
            let quotient = axis == axes.first ? 0 : rest / size
            result.append(size == 1 ? 0 : rest - quotient * size)
            rest = quotient
        }
        return result.reversed()
    }

    /// What is to hold for an element to be one of the operand's.
    private func edges(span: Dim, depth at: Dim, _ side: TileSide) -> [IndexCondition] {
        let isWhole = side.count.constant.map { $0 % side.extent == 0 } ?? false
        return (isWhole ? [] : [.isNonNegative(side.count - 1 - span)]) + (depth.isWhole ? [] : [.isNonNegative(depth.size - 1 - at)])
    }
}
