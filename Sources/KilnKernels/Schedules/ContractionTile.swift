// The register tile: rows times columns of accumulators that stay in vector registers over the summed axes, and what becomes of them.

import KilnIR

extension GroupLowering {
    /// Accumulates one tile over `depth` products, from packed panels, and hands over the tile in stack memory (row by row).
    func tile(_ plan: ContractionPlan, rows: (Memory, Dim), columns: (Memory, Dim), depth: Dim, into tile: Memory) {
        let (mr, lanes, width) = (plan.tileRows, plan.lanes, plan.tileColumns)
        let accumulators = writer.local(plan.accumulator, .constant(mr * width))
        func forEachVector(_ body: (Int, Int, Dim) -> Void) {
            // Row by row: an element of the rows serves all vectors of columns at once, then its register is free.
            for row in 0..<mr {
                for vector in 0..<plan.tileVectors {
                    writer.lanes(lanes, count: .constant(lanes)) { body(row, vector, .constant(row * width + vector * lanes) + $0) }
                }
            }
        }
        forEachVector { _, _, address in writer.store(writer.constant(0, plan.accumulator), accumulators, address) }
        writer.loop(to: depth) { k in
            forEachVector { row, vector, address in
                let a = writer.load(rows.0, rows.1 + k * .constant(mr) + .constant(row), plan.accumulator)
                let b = writer.load(columns.0, columns.1 + k * .constant(width) + .constant(vector * lanes) + writer.currentLane!, plan.accumulator)
                let sum = writer.load(accumulators, address, plan.accumulator)
                writer.store(multiplyAdd(a, b, sum, plan.accumulator), accumulators, address)
            }
        }
        forEachVector { _, _, address in writer.store(writer.load(accumulators, address, plan.accumulator), tile, address) }
    }

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
        let firstRow = writer.bind(rowPanel * .constant(mr))
        let isWhole = plan.rowCount.constant.map { $0 % mr == 0 } ?? false
        let rows: Dim = isWhole ? .constant(mr) : writer.bind(Dim.minimum(plan.rowCount - firstRow, .constant(mr)))
        let firstColumn = writer.bind(columnPanel * .constant(width))
        try writer.loop(to: rows) { row in
            setVariables(plan.m, frame.variables, flat: writer.bind(firstRow + row), plan)
            for vector in 0..<plan.tileVectors {
                let start = firstColumn + .constant(vector * lanes)
                func inLanes(_ count: Dim) throws {
                    try writer.lanes(lanes, count: count) { lane in
                        self.elements.setVariable(frame.columns, to: start + lane)
                        try body(row * .constant(width) + .constant(vector * lanes) + lane)
                    }
                }
                if let n = plan.columnCount.constant, n % width == 0 {
                    try inLanes(.constant(lanes))
                    continue
                }
                let rest = plan.columnCount - start
                if let known = rest.constant {
                    if known > 0 { try inLanes(.constant(min(known, lanes))) }
                    continue
                }
                try writer.branch([.isNonNegative(rest - .constant(lanes))], then: { try inLanes(.constant(lanes)) }) {
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
