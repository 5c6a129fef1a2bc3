// What becomes of a finished block: its sums go through shared memory, so that neighbouring threads have neighbouring columns,
// and through the group's epilogue to the outputs; or, as one of several parts, to a temporary that a second launch adds up.

import KilnIR

/// The results' variables as the code after a block sees them.
struct ResultFrame {
    /// One for each axis of the result.
    let variables: [Dim]
    /// Column axes by themselves, and the run of neighbouring ones at the result's end as one.
    let single: [Int]
    let run: Dim
    let runSize: Dim
    /// Neighbouring columns that a thread stores at once, and whether such never cross an edge.
    let width: Int
    let isWhole: Bool

    init(_ contraction: ThreadBlockContraction) {
        let (plan, lowering) = (contraction.plan, contraction.lowering)
        let all = lowering.contractionVariables(plan)
        variables = Array(all[..<plan.contraction.outputRank])
        // Axes of size one lie between neighbours.
        let axes = plan.n
        var first = axes.count - 1
        while first > 0, (axes[first - 1] + 1..<axes[first]).allSatisfy({ plan.contraction.sizes[$0] == 1 }) { first -= 1 }
        single = Array(axes[..<first])
        let joined = Array(axes[first...])
        runSize = plan.size(joined)
        run = lowering.elements.makeVariable(size: runSize)
        var rest = run
        for axis in joined.reversed() {
            let size = plan.contraction.sizes[axis]
            let quotient = axis == joined.first ? 0 : rest.dividedDown(by: size, ranges: lowering.elements.ranges)
            if let id = all[axis].indices.first { lowering.elements.aliases[id] = rest - quotient * size }
            rest = quotient
        }
        let bytes = lowering.region.outputs.map { lowering.region.type(of: $0.value).dtype.byteCount }.max() ?? 4
        let wide = max(1, min(16 / bytes, 8))
        isWhole = runSize.constant.map { $0 % wide == 0 } ?? false
        width = isWhole || single.isEmpty ? wide : 1
    }
}

/// Neighbouring columns of a finished row.
struct ResultRun {
    /// The row and the first column among all rows and columns.
    var row: Dim
    var column: Dim
    /// Gives the sum of a lane (none, for one column).
    var sum: (Dim) -> ValueNumber
}

extension ThreadBlockContraction {
    /// Hands over a block's sums, neighbouring columns at a time, spread over the threads.
    func finish(_ block: ThreadBlockBlock, _ thread: ThreadBlockThread, frame: ResultFrame, _ body: (ResultRun) throws -> Void) throws {
        let (rounds, part) = tile.matrix == nil ? threadRounds : warpRounds
        let height = tile.rows / rounds
        let padding = (tile.matrix == nil ? 16 : 32) / accumulator.byteCount
        let stride = tile.columns + padding
        // The tiles are not read any more: their place is free.
        writer.sharedBytes = 0
        let memory = lowering.shared(accumulator, height * stride)
        let width = frame.width, across = tile.columns / width
        for round in 0..<rounds {
            if tile.matrix == nil { stageByThreads(block.sums, round: round, thread, to: memory, stride: stride) } else {
                stageByWarps(block.sums, round: round, thread, to: memory, stride: stride)
            }
            lowering.barrier()
            let count = height * across
            try writer.loop(to: .constant((count + tile.threads - 1) / tile.threads)) { step in
                try isolated {
                    let number = writer.bind(step * .constant(tile.threads) + thread.number)
                    let line = writer.bind(number / .constant(across))
                    let start = writer.bind(number - line * .constant(across)) * .constant(width)
                    // Each warp of a column of warps has as many of the round's lines.
                    let group = writer.bind(line / .constant(part))
                    let row = block.row * .constant(tile.rows) + group * .constant(part * (rounds - 1)) + .constant(round * part) + line
                    let column = block.column * .constant(tile.columns) + start
                    let isFull = count % tile.threads == 0
                    try when((isFull ? [] : [.constant(count - 1) - number]) + edges(row, column)) {
                        try body(ResultRun(row: row, column: column) { [writer, accumulator] lane in
                            writer.load(memory, line * .constant(stride) + start + lane, accumulator)
                        })
                    }
                }
            }
            if round + 1 < rounds { lowering.barrier() }
        }
    }

    /// What is to hold for a place to be one of the results.
    private func edges(_ row: Dim, _ column: Dim) -> [Dim] {
        func isWhole(_ count: Dim, _ extent: Int) -> Bool { count.constant.map { $0 % extent == 0 } ?? false }
        return (isWhole(plan.rowCount, tile.rows) ? [] : [plan.rowCount - 1 - row])
            + (isWhole(plan.columnCount, tile.columns) ? [] : [plan.columnCount - 1 - column])
    }

    /// Runs the group's elementwise work on a run of sums and stores the outputs.
    func storeOutputs(_ frame: ResultFrame, _ run: ResultRun) throws {
        let region = lowering.region
        lowering.setVariables(plan.m, frame.variables, flat: writer.bind(run.row), plan)
        var start = run.column
        if !frame.single.isEmpty {
            let quotient = writer.bind(run.column / frame.runSize)
            lowering.setVariables(frame.single, frame.variables, flat: quotient, plan)
            start = writer.bind(run.column - quotient * frame.runSize)
        }
        try inLanes(frame, run.column) { lane in
            elements.setVariable(frame.run, to: start + lane)
            let type = region.type(of: plan.value)
            elements.current[plan.value] = writer.convert(run.sum(lane), to: type.dtype)
            defer { elements.current = [:] }
            for (number, output) in region.outputs.enumerated() {
                let at = lowering.indices(of: region.type(of: output.value).shape, in: type.shape, at: frame.variables)
                lowering.storeOutput(number, try elements.element(output.value, at), at)
            }
        }
    }

    /// Runs the body for the columns from the given one on that are there.
    private func inLanes(_ frame: ResultFrame, _ column: Dim, _ body: (Dim) throws -> Void) throws {
        if frame.width == 1 { return try isolated { try body(0) } }
        let width = Dim.constant(frame.width)
        try writer.lanes(frame.width, count: frame.isWhole ? width : writer.bind(Dim.minimum(width, plan.columnCount - column)), body)
    }

    // MARK: Parts

    /// Computes the parts of each result, then adds them in order. Which part holds which products depends on the shape alone.
    func writeParts() throws {
        let frame = ResultFrame(self)
        let size = outerCount * plan.rowCount * plan.columnCount
        let sums = lowering.temporary("parts", accumulator, [.constant(parts) * size]).memory
        try blocks { block, thread in
            try self.finish(block, thread, frame: frame) { run in
                let line = writer.bind((block.part * outerCount + block.outer) * plan.rowCount + run.row)
                try inLanes(frame, run.column) { writer.store(run.sum($0), sums, line * plan.columnCount + run.column + $0) }
            }
        }
        let across = plan.columnCount.dividedUp(by: .constant(frame.width))
        try lowering.threadLaunch(workItems: outerCount * plan.rowCount * across, work: .constant(parts) * size) { workItem in
            let at = lowering.unflatten(workItem, [outerCount, plan.rowCount, across])
            setOuter(at[0], frame.variables)
            let column = at[2] * .constant(frame.width)
            let base = (at[0] * plan.rowCount + at[1]) * plan.columnCount + column
            let run = ResultRun(row: at[1], column: column) { [writer, accumulator, parts] lane in
                (1..<parts).reduce(writer.load(sums, base + lane, accumulator)) { sum, part in
                    writer.apply(.add, sum, writer.load(sums, .constant(part) * size + base + lane, accumulator))
                }
            }
            try storeOutputs(frame, run)
        }
    }
}
