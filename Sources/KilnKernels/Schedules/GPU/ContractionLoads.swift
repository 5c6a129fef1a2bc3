// How one operand's tiles come to a thread block: each thread reads its share of a tile into registers, and later writes them to shared
// memory. Whatever an element is computed from (views, padding, elementwise work) is inlined at the read.

import KilnIR

/// One operand's side of a block: its rows or its columns.
struct TileSide {
    let view: OperandView
    /// The axes of rows or columns, how many there are, and how many a block has.
    let axes: [Int]
    let count: Dim
    let extent: Int
    /// Whether neighbouring threads read along the summed axes.
    let isAlongDepth: Bool
    /// Elements that a thread reads at once.
    let width: Int
    /// Whether elements beyond the end of the summed axes would not read as zero by themselves.
    let needsZeros: Bool

    init(_ view: OperandView, _ axes: [Int], extent: Int, _ depth: ThreadBlockDepth, _ tile: ThreadBlockTile, _ plan: ContractionPlan, _ variables: [Dim]) {
        self.view = view
        self.axes = axes
        self.extent = extent
        count = plan.size(axes)
        func last(_ axes: [Int]) -> Dim? { axes.last { plan.contraction.sizes[$0] != 1 }.map { variables[$0] } }
        isAlongDepth = view.runs(along: last(depth.inner)) && !view.runs(along: last(axes))
        let share = max(1, extent * tile.depth / tile.threads)
        let most = min(16 / max(view.dtype.byteCount, plan.accumulator.byteCount), share, isAlongDepth ? tile.depth : extent)
        width = view.vectorWidth(along: isAlongDepth ? depth.inner : axes, most: most, variables, plan)
        needsZeros = !depth.isWhole && view.direct == nil
    }

    /// Vectors of a tile that one thread reads.
    func vectors(_ tile: ThreadBlockTile) -> Int { extent * tile.depth / tile.threads / width }
    /// Elements from a summed position to the next in shared memory; 16 bytes more keep writes across out of one another's banks.
    func stride(_ accumulator: DType) -> Int { extent + (isAlongDepth ? 16 / accumulator.byteCount : 0) }
}

/// A thread's share of one side's tiles within a block.
struct TileShare {
    let side: TileSide
    /// The first vector's place in the tile, and how far it is to the next one's.
    var span: Dim
    var depth: Dim
    let step: Int
    /// The position within the rows or columns of each vector, and what that makes of their axes.
    var flats: [Dim]
    var positions: [[Dim]]
    /// Where elements are between the read and the write.
    let registers: Memory
    let dtype: DType
}

extension ThreadBlockContraction {
    /// A thread's share of a side's tiles; what does not change from tile to tile is computed here.
    func share(_ side: TileSide, _ block: Dim, _ thread: ThreadBlockThread, _ dtype: DType) -> TileShare {
        let line = (side.isAlongDepth ? tile.depth : side.extent) / side.width
        let across = writer.bind(thread.number / .constant(line))
        let along = writer.bind(thread.number - across * .constant(line)) * .constant(side.width)
        let vectors = side.vectors(tile)
        var share = TileShare(side: side, span: side.isAlongDepth ? across : along, depth: side.isAlongDepth ? along : across,
                              step: tile.threads / line, flats: [], positions: [],
                              registers: writer.local(dtype, .constant(vectors * side.width)), dtype: dtype)
        for vector in 0..<(side.isAlongDepth ? vectors : 1) {
            let flat = block * .constant(side.extent) + share.span + .constant(vector * share.step)
            share.flats.append(flat)
            share.positions.append(split(flat, side.axes, of: [side.view]))
        }
        return share
    }

    /// A position on axes that are seen as one, as positions on each; bound to variables where that takes divisions.
    func split(_ flat: Dim, _ axes: [Int], of views: [OperandView]) -> [Dim] {
        let isLinear = views.allSatisfy { $0.isLinear(axes, variables, plan) }
        var rest = flat
        var result: [Dim] = []
        for axis in axes.reversed() {
            let size = plan.contraction.sizes[axis]
            if size == 1 || axis == axes.first {
                result.append(size == 1 ? 0 : rest)
                continue
            }
            let quotient = isLinear ? rest / size : writer.bind(rest / size)
            result.append(isLinear ? rest - quotient * size : writer.bind(rest - quotient * size))
            rest = quotient
        }
        return result.reversed()
    }

    /// Sets the variables of the summed axes that are the same throughout a tile, and gives the tile's first position on the others.
    func enter(_ number: Dim) -> Dim {
        if depth.outer.isEmpty { return number * .constant(tile.depth) }
        let outer = writer.bind(number / depth.tilesEach)
        lowering.setVariables(depth.outer, variables, flat: outer, plan)
        return writer.bind(number - outer * depth.tilesEach) * .constant(tile.depth)
    }

    /// Reads a thread's share of the tile with the number into registers.
    func read(_ share: TileShare, tile number: Dim) throws {
        let side = share.side
        for vector in 0..<side.vectors(tile) {
            try isolated {
                let start = enter(number)
                let at = start + share.depth + (side.isAlongDepth ? 0 : .constant(vector * share.step))
                let place = side.isAlongDepth ? vector : 0
                var conditions: [IndexCondition] = []
                if !(side.count.constant.map { $0 % side.extent == 0 } ?? false) { conditions.append(.isNonNegative(side.count - 1 - share.flats[place])) }
                if !depth.isWhole { conditions.append(.isNonNegative(depth.size - 1 - at)) }
                set(depth.inner, to: split(at, depth.inner, of: [rows.view, columns.view]))
                set(side.axes, to: share.positions[place])
                try readVector(share, vector, conditions)
            }
        }
    }

    private func set(_ axes: [Int], to positions: [Dim]) {
        for (axis, position) in zip(axes, positions) { elements.setVariable(variables[axis], to: position) }
    }

    private func readVector(_ share: TileShare, _ vector: Int, _ conditions: [IndexCondition]) throws {
        let side = share.side
        func element(at address: Dim) throws {
            var value = writer.convert(try elements.factor(side.view.piece, side.view.operand, variables, conditions), to: share.dtype)
            if side.needsZeros {
                let isThere = writer.define(.holds(conditions), .bool)
                value = writer.apply(.select, isThere, value, writer.constant(0, share.dtype))
            }
            writer.store(value, share.registers, address)
        }
        if side.width == 1 { return try element(at: .constant(vector)) }
        let axis = variables[(side.isAlongDepth ? depth.inner : side.axes).last { plan.contraction.sizes[$0] != 1 }!]
        let start = elements.substitution[axis.indices.first!]!
        try writer.lanes(side.width, count: .constant(side.width)) { lane in
            elements.setVariable(axis, to: start + lane)
            try element(at: .constant(vector * side.width) + lane)
        }
    }
}
