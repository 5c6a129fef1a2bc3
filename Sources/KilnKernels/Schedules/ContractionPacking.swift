// Packing: an operand of a contraction is copied into panels whose elements lie in the order in which the register tile reads them.
//
//     rows panel:    k = 0: r0 r1 … r13 | k = 1: r0 r1 … r13 | …        (tileRows)
//     columns panel: k = 0: c0 c1 … c31 | k = 1: c0 c1 … c31 | …        (tileColumns)
//
// Whatever the operand's value is computed from (views, padding, elementwise work) is inlined here, once for each element.

import KilnIR

/// A range of the summed axes: all of them, or some of the outermost's positions.
struct DepthRange {
    /// The first position of the outermost summed variable, and how many there are.
    var start: Dim
    var count: Dim
    /// How many products the range holds for each element.
    var depth: Dim
}

extension GroupLowering {
    func fullDepth(_ plan: ContractionPlan) -> DepthRange {
        DepthRange(start: 0, count: plan.k.first.map { plan.contraction.sizes[$0] } ?? 1, depth: plan.depth)
    }

    /// Logical variables for all of the contraction's, with those of size one fixed at zero.
    func contractionVariables(_ plan: ContractionPlan) -> [Dim] {
        plan.contraction.sizes.map { $0 == 1 ? 0 : elements.makeVariable(size: $0) }
    }

    /// Makes the variables that packing runs over.
    func beginPacking(_ plan: inout ContractionPlan) throws {
        plan.packVariables = contractionVariables(plan)
        plan.packColumns = plan.n.count == 1 ? plan.packVariables[plan.n[0]] : try joinsColumns(plan) ? join(plan, plan.packVariables) : nil
    }

    /// Whether several column axes lie in memory as one would, so that no address shows where a line ends.
    private func joinsColumns(_ plan: ContractionPlan) throws -> Bool {
        let variables = contractionVariables(plan)
        let columns = join(plan, variables)
        return try observe { _ = try columnElement(plan, variables, []) }
            .allSatisfy { elements.resolved($0).coefficient(ofIndex: columns.indices.first!) != nil }
    }

    /// One variable for the column axes, whose own variables are defined by it.
    func join(_ plan: ContractionPlan, _ variables: [Dim]) -> Dim {
        let columns = elements.makeVariable(size: plan.columnCount)
        var rest = columns
        for number in plan.n.reversed() {
            let size = plan.contraction.sizes[number]
            let quotient = number == plan.n.first ? 0 : rest.dividedDown(by: size, ranges: elements.ranges)
            if let id = variables[number].indices.first { elements.aliases[id] = rest - quotient * size }
            rest = quotient
        }
        return columns
    }

    /// Loops over the summed axes; the body gets the position within the range, in row-major order.
    func depthLoops(_ plan: ContractionPlan, _ range: DepthRange, _ variables: [Dim], _ body: (Dim) throws -> Void) throws {
        func loops(_ rest: ArraySlice<Int>, _ position: Dim) throws {
            guard let k = rest.first else { return try body(position) }
            let isOutermost = k == plan.k.first
            let size = plan.contraction.sizes[k]
            try writer.loop(to: isOutermost ? range.count : size) { index in
                elements.setVariable(variables[k], to: isOutermost ? range.start + index : index)
                try loops(rest.dropFirst(), isOutermost ? index : position * size + index)
            }
        }
        try loops(plan.k[...], 0)
    }

    /// Summed positions that are copied across before the next row or column: what they fill stays in the nearest cache.
    private static let depthBlock = 64

    /// Loops over the summed axes in blocks of the innermost. The block's body runs over its positions by calling what it is given,
    /// once for each row or column.
    func depthBlocks(_ plan: ContractionPlan, _ range: DepthRange, _ variables: [Dim],
                     _ block: (_ positions: (_ body: (Dim) throws -> Void) throws -> Void) throws -> Void) throws {
        guard let last = plan.k.last, (plan.contraction.sizes[last].constant ?? Self.depthBlock) > Self.depthBlock else {
            return try block { body in try depthLoops(plan, range, variables, body) }
        }
        let isAlone = plan.k.count == 1
        let size = isAlone ? range.count : plan.contraction.sizes[last]
        func inBlocks(_ before: Dim) throws {
            try writer.loop(to: size.dividedUp(by: .constant(Self.depthBlock))) { number in
                let start = writer.bind(number * .constant(Self.depthBlock))
                let count = writer.bind(Dim.minimum(size - start, .constant(Self.depthBlock)))
                try block { body in
                    try writer.loop(to: count) { index in
                        elements.setVariable(variables[last], to: (isAlone ? range.start : 0) + start + index)
                        try body(before * size + start + index)
                    }
                }
            }
        }
        if isAlone { return try inBlocks(0) }
        var outer = plan
        outer.k.removeLast()
        try depthLoops(outer, range, variables, inBlocks)
    }

    func setVariables(_ numbers: [Int], _ variables: [Dim], flat: Dim, _ plan: ContractionPlan) {
        let active = numbers.filter { plan.contraction.sizes[$0] != 1 }
        for (number, index) in zip(active, unflatten(flat, active.map { plan.contraction.sizes[$0] })) {
            elements.setVariable(variables[number], to: index)
        }
    }

    private func memoryStride(_ piece: IndexMap.Piece, _ operand: ValueID, _ variable: Int) -> Dim? {
        zip(piece.indices, region.type(of: operand).strides).reduce(0) { $0 + $1.0 * $1.1 }.coefficient(ofIndex: variable)
    }

    /// Packs one panel of rows for a range of the summed axes to `base` of a memory.
    func packRows(_ plan: ContractionPlan, panel: Dim, range: DepthRange, to memory: Memory, base: Dim) throws {
        let variables = plan.packVariables
        let tile = plan.tileRows
        let isWhole = plan.rowCount.constant.map { $0 % tile == 0 } ?? false
        if plan.m.count == 1, memoryStride(plan.rows, plan.rowsOperand, plan.m[0]) == 1 {
            let width = 16
            let first = panel * .constant(tile)
            return try depthLoops(plan, range, variables) { k in
                try writer.lanes(width, count: .constant(tile)) { lane in
                    elements.setVariable(variables[plan.m[0]], to: first + lane)
                    let inside: [IndexCondition] = isWhole ? [] : [.isNonNegative(plan.rowCount - 1 - first - lane)]
                    let value = try elements.factor(plan.rows, plan.rowsOperand, variables, inside)
                    writer.store(writer.convert(value, to: plan.accumulator), memory, base + k * .constant(tile) + lane)
                }
            }
        }
        try depthBlocks(plan, range, variables) { positions in
            try writer.loop(to: .constant(tile)) { row in
                let flat = writer.bind(panel * .constant(tile) + row)
                setVariables(plan.m, variables, flat: flat, plan)
                let inside: [IndexCondition] = isWhole ? [] : [.isNonNegative(plan.rowCount - 1 - flat)]
                try positions { k in
                    let value = try elements.factor(plan.rows, plan.rowsOperand, variables, inside)
                    writer.store(writer.convert(value, to: plan.accumulator), memory, base + k * .constant(tile) + row)
                }
            }
        }
    }

    /// Packs panels `first ..< first + count` of columns for a range of the summed axes; each panel takes `depth * tileColumns` elements.
    func packColumns(_ plan: ContractionPlan, first: Dim, count: Dim, range: DepthRange, to memory: Memory, base: Dim) throws {
        if let columns = plan.packColumns {
            return try writer.loop(to: count) { p in
                try packColumnPanel(plan, columns, panel: first + p, range, memory, base + p * range.depth * .constant(plan.tileColumns))
            }
        }
        try packColumnRuns(plan, first: first, count: count, range, memory, base)
    }

    private func packColumnPanel(_ plan: ContractionPlan, _ columns: Dim, panel: Dim, _ range: DepthRange, _ memory: Memory, _ base: Dim) throws {
        let variables = plan.packVariables
        let tile = plan.tileColumns
        let isWhole = plan.columnCount.constant.map { $0 % tile == 0 } ?? false
        let start = writer.bind(panel * .constant(tile))
        func inside(_ column: Dim) -> [IndexCondition] { isWhole ? [] : [.isNonNegative(plan.columnCount - 1 - column)] }
        let alongColumns = memoryStride(plan.columns, plan.columnsOperand, plan.n.last!) == 1
        let alongDepth = plan.k.last.map { memoryStride(plan.columns, plan.columnsOperand, $0) == 1 } ?? false
        if !alongColumns, alongDepth {
            return try depthBlocks(plan, range, variables) { positions in
                try writer.loop(to: .constant(tile)) { column in
                    elements.setVariable(columns, to: start + column)
                    try positions { k in
                        let value = try columnElement(plan, variables, inside(start + column))
                        writer.store(writer.convert(value, to: plan.accumulator), memory, base + k * .constant(tile) + column)
                    }
                }
            }
        }
        try depthLoops(plan, range, variables) { k in
            for first in stride(from: 0, to: tile, by: plan.lanes) {
                try writer.lanes(plan.lanes, count: .constant(min(plan.lanes, tile - first))) { lane in
                    let column = start + .constant(first) + lane
                    elements.setVariable(columns, to: column)
                    let value = try columnElement(plan, variables, inside(column))
                    writer.store(writer.convert(value, to: plan.accumulator), memory, base + k * .constant(tile) + .constant(first) + lane)
                }
            }
        }
    }

    /// Several column axes: a vector of a panel may lie on two or more lines of the innermost axis. Each line in turn writes the
    /// lanes from its first on, by a masked load and, but for the vector's first line, a masked store.
    ///
    ///     columns   0 …………… 15          line 0: x = 40 … 55    lanes 0 – 7, the others nothing that counts
    ///               └ line 0 ┘└ line 1 ┘   line 1: x = 0 … 7      lanes 8 – 15
    private func packColumnRuns(_ plan: ContractionPlan, first: Dim, count: Dim, _ range: DepthRange, _ memory: Memory, _ base: Dim) throws {
        let inner = plan.n.last!
        let run = plan.contraction.sizes[inner]
        let tile = Dim.constant(plan.tileColumns)
        try writer.loop(to: count) { p in
            for start in stride(from: 0, to: plan.tileColumns, by: plan.lanes) {
                let lanes = Dim.constant(min(plan.lanes, plan.tileColumns - start)), offset = Dim.constant(start)
                let start = writer.bind((first + p) * tile + offset)
                let left = writer.bind(plan.columnCount - start)
                let line = writer.bind(start / run)
                func pack(line: Dim, isFirst: Bool) throws {
                    let frame = pieceVariables(plan, line: line)
                    // The lane at which the line begins.
                    let begin = writer.bind(frame.line * run - start)
                    try depthLoops(plan, range, plan.packVariables) { k in
                        for number in plan.k { elements.copyVariable(plan.packVariables[number], to: frame.variables[number]) }
                        try writer.lanes(plan.lanes, count: lanes) { lane in
                            elements.setVariable(frame.variables[inner], to: lane - begin)
                            let begun: [IndexCondition] = isFirst ? [] : [.isNonNegative(lane - begin)]
                            let within = begun + [.isNonNegative(begin + run - 1 - lane), .isNonNegative(left - 1 - lane)]
                            let value = writer.convert(try columnElement(plan, frame.variables, within), to: plan.accumulator)
                            writer.store(value, memory, base + (p * range.depth + k) * tile + offset + lane, where: begun)
                        }
                    }
                }
                try pack(line: line, isFirst: true)
                let lines = writer.bind((Dim.minimum(lanes, left) + start - 1) / run - line + 1)
                try writer.loop(from: 1, to: lines) { try pack(line: line + $0, isFirst: false) }
            }
        }
    }

    /// Variables like the packing ones, for the columns of one line.
    private func pieceVariables(_ plan: ContractionPlan, line: Dim) -> (variables: [Dim], line: Dim) {
        let variables = contractionVariables(plan)
        let line = writer.bind(line)
        for number in plan.outer where plan.contraction.sizes[number] != 1 { elements.copyVariable(plan.packVariables[number], to: variables[number]) }
        setVariables(Array(plan.n.dropLast()), variables, flat: line, plan)
        return (variables, line)
    }
}
