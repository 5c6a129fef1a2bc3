// What becomes of a tile's sums on sm_90a: where tiles lie in the result, the way from fragments to lines of memory, the group's
// elementwise work, and parts of sums that are added up in order.

import KilnIR

/// A tile of the result, and the part of the depth that is summed there.
struct HopperPlace {
    /// The index of each outer group, the first row and the first column.
    var outer: [Dim]
    var row: Dim
    var column: Dim
    var part: Dim
    /// The first step along the depth.
    var firstStep: Dim
    /// How many tiles the work item did before.
    var round: Dim
}

/// Logical variables of the result, rows and columns seen as one axis each.
struct HopperFrame {
    var variables: [Dim]
    var rows: Dim
    var columns: Dim
}

extension GroupLowering {
    /// A warp's sums are transposed in shared memory 32 columns at a time; lines of 40 words keep banks apart.
    static let stagedRows = 16
    static let stagedColumns = 32
    static let stagedStride = 40
    /// Tiles in this many rows of tiles follow one another, so that what work items read at the same time is in the level-2 cache.
    private static let tallGroup = 8

    /// The place of an item: parts go outermost, then the outer axes; tiles in groups of rows, columns first.
    func hopperPlace(_ plan: HopperPlan, item: Dim, round: Dim) -> HopperPlace {
        let (rows, columns) = (plan.rowTiles, plan.columnTiles)
        // An axis of one place has no index to divide for.
        let sizes = [Dim.constant(plan.parts), plan.outerCount, rows * columns]
        let kept = sizes.indices.filter { sizes[$0] != 1 }
        var indices = [Dim](repeating: 0, count: sizes.count)
        for (axis, index) in zip(kept, kept.isEmpty ? [] : unflatten(item, kept.map { sizes[$0] })) { indices[axis] = index }
        let outer = unflatten(indices[1], plan.outerSizes)
        var (row, column): (Dim, Dim)
        if let count = rows.constant, count <= Self.tallGroup {
            column = writer.bind(indices[2] / rows)
            row = writer.bind(indices[2] - column * rows)
        } else {
            let group = writer.bind(indices[2] / (columns * .constant(Self.tallGroup)))
            let height = writer.bind(.minimum(rows - group * .constant(Self.tallGroup), .constant(Self.tallGroup)))
            let rest = writer.bind(indices[2] - group * columns * .constant(Self.tallGroup))
            column = writer.bind(rest / height)
            row = writer.bind(group * .constant(Self.tallGroup) + rest - column * height)
        }
        return HopperPlace(outer: plan.outer.isEmpty ? [] : outer, row: writer.bind(row * .constant(plan.tile.rows)),
                           column: writer.bind(column * .constant(plan.tile.columns)), part: indices[0],
                           firstStep: writer.bind(indices[0] * plan.steps), round: round)
    }

    /// Hands a finished tile over, four columns of a row at a time: each warp has 16 rows of it.
    ///
    /// PTX's fragment of 64 × columns: of 8 columns, thread l of warp w has columns 2 (l mod 4) and the next, in rows 16 w + l / 4
    /// (numbers 0 and 1) and 8 further down (2 and 3).
    func transpose(_ plan: HopperPlan, _ ring: HopperRing, _ place: HopperPlace, warp: Dim, lane: Dim, sums: Memory,
                   _ store: (HopperPlace, _ row: Dim, _ column: Dim, _ load: (Dim) -> ValueNumber) throws -> Void) throws {
        let dtype = plan.kind.accumulator
        let stride = Dim.constant(Self.stagedStride)
        let base = writer.bind(warp * .constant(Self.stagedRows * Self.stagedStride))
        let quarter = writer.bind(lane / 4), eighth = writer.bind(lane / 8)
        let written = writer.bind(base + quarter * stride + (lane - quarter * 4) * 2)
        let read = writer.bind(base + eighth * stride + (lane - eighth * 8) * 4)
        let firstRow = writer.bind(place.row + warp * .constant(Self.stagedRows) + eighth)
        let firstColumn = writer.bind(place.column + (lane - eighth * 8) * 4)
        for chunk in 0..<plan.tile.columns / Self.stagedColumns {
            writer.append(.threadBlock(.warpBarrier))
            for number in 0..<Self.stagedColumns / 2 {
                let at = number / 4 * 8 + number % 2 + number / 2 % 2 * 8 * Self.stagedStride
                writer.store(writer.load(sums, .constant(chunk * Self.stagedColumns / 2 + number), dtype), ring.staging, written + .constant(at))
            }
            writer.append(.threadBlock(.warpBarrier))
            let column = writer.bind(firstColumn + .constant(chunk * Self.stagedColumns))
            try writer.loop(to: .constant(Self.stagedRows / 4)) { line in
                let row = writer.bind(firstRow + line * 4)
                try store(place, row, column) { lane in writer.load(ring.staging, read + line * 4 * stride + lane, dtype) }
            }
        }
    }

    // MARK: Elements

    func hopperFrame(_ plan: HopperPlan) -> HopperFrame {
        let c = plan.contraction
        let variables = c.sizes[..<c.outputRank].map { $0 == 1 ? Dim.constant(0) : elements.makeVariable(size: $0) }
        func merged(_ numbers: [Int]) -> Dim {
            let joint = elements.makeVariable(size: plan.size(numbers))
            split(joint, numbers)
            return joint
        }
        func split(_ joint: Dim, _ numbers: [Int]) {
            var rest = joint
            for number in numbers.reversed() {
                let size = c.sizes[number]
                let quotient = number == numbers.first ? 0 : rest.dividedDown(by: size, ranges: elements.ranges)
                if let id = variables[number].indices.first { elements.aliases[id] = rest - quotient * size }
                rest = quotient
            }
        }
        return HopperFrame(variables: variables, rows: merged(plan.m), columns: merged(plan.n))
    }

    /// Sets the outer variables for the code that follows.
    private func setOuter(_ plan: HopperPlan, _ frame: HopperFrame, _ outer: [Dim]) {
        for (group, index) in zip(plan.outer, outer) {
            for (number, at) in zip(group, unflatten(index, group.map { plan.contraction.sizes[$0] })) {
                elements.setVariable(frame.variables[number], to: at)
            }
        }
    }

    /// Applies the group's elementwise work to four columns of a row, and stores the outputs where they are within the result.
    func storeHopperElements(_ plan: HopperPlan, _ frame: HopperFrame, outer: [Dim], row: Dim, column: Dim, _ load: (Dim) -> ValueNumber) throws {
        let type = region.type(of: plan.value)
        var conditions: [IndexCondition] = []
        if (plan.rowCount.constant ?? 1) % plan.tile.rows != 0 { conditions.append(.isNonNegative(plan.rowCount - 1 - row)) }
        if (plan.columnCount.constant ?? 1) % plan.tile.columns != 0 { conditions.append(.isNonNegative(plan.columnCount - 1 - column)) }
        func inside() throws {
            setOuter(plan, frame, outer)
            let isWhole = plan.columnCount.terms.allSatisfy { $0.coefficient % 4 == 0 }
            try writer.lanes(4, count: isWhole ? 4 : writer.bind(.minimum(plan.columnCount - column, 4))) { lane in
                elements.setVariable(frame.rows, to: row)
                elements.setVariable(frame.columns, to: column + lane)
                elements.current[plan.value] = writer.convert(writer.convert(load(lane), to: plan.contraction.accumulator), to: type.dtype)
                defer { elements.current = [:] }
                for (number, output) in region.outputs.enumerated() {
                    let at = indices(of: region.type(of: output.value).shape, in: type.shape, at: frame.variables)
                    storeOutput(number, try elements.element(output.value, at), at)
                }
            }
        }
        if conditions.isEmpty { try inside() } else { try writer.branch(conditions, then: inside) }
    }

    // MARK: Parts

    /// Too few tiles for all processors: work items sum up parts of the depth, and a second launch adds these in order.
    func hopperSplit(_ plan: HopperPlan, _ gpu: GPU, _ frame: HopperFrame) throws {
        let dtype = plan.kind.accumulator
        let rows = plan.rowTiles * .constant(plan.tile.rows), columns = plan.columnTiles * .constant(plan.tile.columns)
        let sums = temporary("parts", dtype, [.constant(plan.parts), plan.outerCount, rows, columns])
        try hopperProducts(plan, gpu) { place, row, column, load in
            let outer = zip(place.outer, plan.outerSizes).reduce(0) { $0 * $1.1 + $1.0 }
            let address = writer.bind(sums.address([place.part, outer, row, column]))
            writer.lanes(4, count: 4) { lane in writer.store(load(lane), sums.memory, address + lane) }
        }
        let groups = plan.columnCount.dividedUp(by: 4)
        let workItems = plan.outerCount * plan.rowCount * groups
        try threadLaunch(workItems: workItems, work: workItems * .constant(4 * plan.parts)) { workItem in
            let place = unflatten(workItem, [plan.outerCount, plan.rowCount, groups])
            let column = writer.bind(place[2] * 4)
            let first = writer.bind(sums.address([0, place[0], place[1], column]))
            try storeHopperElements(plan, frame, outer: plan.outer.isEmpty ? [] : unflatten(place[0], plan.outerSizes), row: place[1], column: column) { lane in
                (1..<plan.parts).reduce(writer.load(sums.memory, first + lane, dtype)) { sum, part in
                    writer.apply(.add, sum, writer.load(sums.memory, first + .constant(part) * sums.strides[0] + lane, dtype))
                }
            }
        }
    }
}
