// The register tile: rows times columns of accumulators that stay in vector registers over the summed axes, and what becomes of them.

import KilnIR

extension GroupLowering {
    /// Accumulates one tile over `depth` products, from packed panels, and hands over the tile in stack memory: row by row, `tilePitch` apart.
    func tile(_ plan: ContractionPlan, rows: (Memory, Dim), columns: (Memory, Dim), depth: Dim, into tile: Memory) throws {
        let (broadcast, vectors) = plan.isTransposed ? (columns, rows) : (rows, columns)
        let count = plan.isTransposed ? plan.tileColumns : plan.tileRows
        let (lanes, width) = (plan.lanes, plan.tileVectors * plan.lanes)
        try accumulate(plan, lines: count, into: tile) { products in
            try writer.loop(to: depth) { k in
                if plan.fetchesRows { fetch(rows, k, plan.tileRows, plan.accumulator) }
                if plan.fetchesColumns { fetch(columns, k, plan.tileColumns, plan.accumulator) }
                try products { line, vector in
                    (writer.load(broadcast.0, broadcast.1 + k * .constant(count) + .constant(line), plan.accumulator),
                     writer.load(vectors.0, vectors.1 + k * .constant(width) + .constant(vector * lanes) + writer.currentLane!, plan.accumulator))
                }
            }
        }
    }

    /// The same with columns that are read where they lie, from column `start` on, because each serves few rows.
    func tileInPlace(_ plan: ContractionPlan, rows: (Memory, Dim), columnsFrom start: Dim, _ columns: Dim, _ source: PlannedLoad, _ range: DepthRange, into tile: Memory) throws {
        let isWhole = plan.columnCount.constant.map { $0 % plan.tileColumns == 0 } ?? false
        let stride = plan.packVariables[plan.k.last!].indices.first.flatMap { source.address.coefficient(ofIndex: $0) } ?? 0
        try accumulate(plan, lines: plan.tileRows, into: tile) { products in
            try depthLoops(plan, range, plan.packVariables) { k in
                // Lines of the columns lie far apart, where nothing but this fetches them ahead.
                for first in Swift.stride(from: 0, to: plan.tileColumns, by: max(64 / source.dtype.byteCount, 1)) {
                    elements.setVariable(columns, to: start + .constant(first))
                    writer.prefetch(source.memory, elements.physical(source.address) + .constant(Self.productsAhead) * stride)
                }
                try products { line, vector in
                    let column = start + .constant(vector * plan.lanes) + writer.currentLane!
                    elements.setVariable(columns, to: column)
                    let inside: [IndexCondition] = isWhole ? [] : [.isNonNegative(plan.columnCount - 1 - column)]
                    return (writer.load(rows.0, rows.1 + k * .constant(plan.tileRows) + .constant(line), plan.accumulator),
                            writer.convert(try columnElement(plan, plan.packVariables, inside), to: plan.accumulator))
                }
            }
        }
    }

    /// Accumulators for `lines` lines of vectors, to which the body adds products by calling what it is given: the factors for each line
    /// and vector. Then the tile, row by row.
    private func accumulate(_ plan: ContractionPlan, lines count: Int, into tile: Memory,
                            _ body: (_ products: (_ factors: (Int, Int) throws -> (ValueNumber, ValueNumber)) throws -> Void) throws -> Void) throws {
        let (lanes, width) = (plan.lanes, plan.tileVectors * plan.lanes)
        let accumulators = writer.local(plan.accumulator, .constant(count * width))
        func forEachVector(_ body: (Int, Int, Dim) throws -> Void) rethrows {
            // Line by line: an element that is broadcast serves all vectors at once, then its register is free.
            for line in 0..<count {
                for vector in 0..<plan.tileVectors {
                    try writer.lanes(lanes, count: .constant(lanes)) { try body(line, vector, .constant(line * width + vector * lanes) + $0) }
                }
            }
        }
        forEachVector { _, _, address in writer.store(writer.constant(0, plan.accumulator), accumulators, address) }
        try body { factors in
            try forEachVector { line, vector, address in
                let (a, b) = try factors(line, vector)
                let sum = writer.load(accumulators, address, plan.accumulator)
                writer.store(multiplyAdd(a, b, sum, plan.accumulator), accumulators, address)
            }
        }
        if plan.isTransposed {
            for vector in 0..<plan.tileVectors {
                writer.append(.transpose(Transposition(count, by: lanes, from: Access(accumulators, .constant(vector * lanes)), pitch: width,
                                                       to: Access(tile, .constant(vector * lanes * plan.tilePitch)), pitch: plan.tilePitch)))
            }
        } else {
            forEachVector { _, _, address in writer.store(writer.load(accumulators, address, plan.accumulator), tile, address) }
        }
    }

    /// Fetches what the products some way on will read of a panel.
    private func fetch(_ panel: (Memory, Dim), _ k: Dim, _ width: Int, _ dtype: DType) {
        for start in stride(from: 0, to: width, by: 64 / dtype.byteCount) {
            writer.prefetch(panel.0, panel.1 + (k + .constant(Self.productsAhead)) * .constant(width) + .constant(start))
        }
    }

    /// Products between the fetching of an element and its use: some thousand cycles, in which memory answers.
    private static let productsAhead = 64

    func multiplyAdd(_ a: ValueNumber, _ b: ValueNumber, _ sum: ValueNumber, _ dtype: DType) -> ValueNumber {
        dtype.isFloat ? writer.apply(.fusedMultiplyAdd, a, b, sum) : writer.apply(.add, sum, writer.apply(.multiply, a, b))
    }

    /// Applies the group's elementwise work to a finished tile and stores the outputs, without what lies past the edges.
    func storeTile(_ plan: ContractionPlan, _ tile: Memory, rowPanel: Dim, columnPanel: Dim, _ frame: EpilogueFrame) throws {
        try forEachTileVector(plan, rowPanel: rowPanel, columnPanel: columnPanel, frame) { address in
            let type = region.type(of: plan.value)
            let sum = writer.load(tile, address, plan.accumulator)
            elements.current[plan.value] = writer.convert(sum, to: type.dtype)
            defer { elements.current = [:] }
            for (number, output) in region.outputs.enumerated() {
                let at = indices(of: region.type(of: output.value).shape, in: type.shape, at: frame.variables)
                storeOutput(number, try elements.element(output.value, at), at)
            }
        }
    }

    /// Runs the body in lanes for each vector of a tile that lies within the result, with the frame's variables set.
    func forEachTileVector(_ plan: ContractionPlan, rowPanel: Dim, columnPanel: Dim, _ frame: EpilogueFrame,
                           _ body: (_ address: Dim) throws -> Void) throws {
        let writer = self.writer
        let (mr, lanes, width) = (plan.tileRows, plan.lanes, plan.tileColumns)
        let pitch = Dim.constant(plan.tilePitch)
        let firstRow = writer.bind(rowPanel * .constant(mr))
        let isWhole = plan.rowCount.constant.map { $0 % mr == 0 } ?? false
        let rows: Dim = isWhole ? .constant(mr) : writer.bind(Dim.minimum(plan.rowCount - firstRow, .constant(mr)))
        let firstColumn = writer.bind(columnPanel * .constant(width))
        try writer.loop(to: rows) { row in
            setVariables(plan.m, frame.variables, flat: writer.bind(firstRow + row), plan)
            for first in stride(from: 0, to: width, by: lanes) {
                let start = firstColumn + .constant(first)
                let most = min(lanes, width - first)
                func inLanes(_ count: Dim) throws {
                    try writer.lanes(lanes, count: count) { lane in
                        self.elements.setVariable(frame.columns, to: start + lane)
                        try body(row * pitch + .constant(first) + lane)
                    }
                }
                if let n = plan.columnCount.constant, n % width == 0 {
                    try inLanes(.constant(most))
                    continue
                }
                let rest = plan.columnCount - start
                if let known = rest.constant {
                    if known > 0 { try inLanes(.constant(min(known, most))) }
                    continue
                }
                try writer.branch([.isNonNegative(rest - .constant(most))], then: { try inLanes(.constant(most)) }) {
                    try writer.branch([.isNonNegative(rest - 1)]) { try inLanes(rest) }
                }
            }
        }
    }

    /// Logical variables of the result, with the column axes seen as one.
    func epilogueFrame(_ plan: ContractionPlan) -> EpilogueFrame {
        let variables = contractionVariables(plan)
        let columns = join(plan, variables)
        return EpilogueFrame(variables: Array(variables[..<plan.contraction.outputRank]), columns: columns)
    }
}

/// The variables that the code after a tile runs over.
struct EpilogueFrame {
    /// One for each axis of the result.
    var variables: [Dim]
    /// The column axes as one; the variables of those axes are defined by it.
    var columns: Dim
}
