// The GPU's schedule of reductions whose innermost axis stays: neighbouring threads have neighbouring columns, so that accesses are
// whole lines, and the rows of a thread block stride along the reduced axes; their states meet in shared memory, in order.
//
//     columns →   t0  t1  t2  … t31
//     reduced ↓   t32 t33 t34 … t63       then again from the top, `height` places further on

import KilnIR

extension GroupLowering {
    private static let columnThreads = 256

    func threadBlockRowsAlongKept(_ plan: RowPlan) throws {
        let axes = makeAxes(plan.domain)
        let variables = axes.map(\.variable)
        let (outer, inner) = try mergedRowAxes(plan, axes)
        let columns = try columnLayout(plan, outer, variables)
        let work = plan.domain.reduce(1, *) * .constant(costPerElement)
        try threadBlockLaunch(workItems: columns.workItems, threads: Self.columnThreads, work: work, resident: 2) { workItem, thread in
            let place = columnPlace(columns, workItem, thread)
            defer { elements.currentLoads = [:] }
            for (level, reductions) in plan.levels.enumerated() {
                let accumulators = reductions.map { ThreadAccumulator($0.code, width: columns.width, parts: 1, self) }
                try eachRow(columns, place, inner, from: 0, to: inner.reduce(1) { $0 * $1.size }) { lane in
                    try accumulate(reductions, accumulators, variables, inner, lane, 0)
                    try storeOutputs(plan, plan.earlyOutputs[level] ?? [], variables)
                }
                combineColumns(columns, place, accumulators)
                for (reduction, accumulator) in zip(reductions, accumulators) {
                    elements.currentLoads[reduction.value] = { [writer] in
                        reduction.result(accumulator.lanes.load(at: writer.currentLane ?? 0, writer), writer)
                    }
                }
            }
            if !plan.keptOutputs.isEmpty {
                try writer.branch([.isZero(place.y)] + place.conditions) {
                    try columnLanes(columns, place) { _ in try storeOutputs(plan, plan.keptOutputs, variables) }
                }
            }
            if plan.fullOutputs.isEmpty { return }
            try eachRow(columns, place, inner, from: 0, to: inner.reduce(1) { $0 * $1.size }) { _ in try storeOutputs(plan, plan.fullOutputs, variables) }
        }
    }

    // MARK: Threads

    /// How a thread block is laid over columns.
    struct ColumnLayout {
        var outer: [DomainAxis]
        var column: DomainAxis?
        var width: Int
        /// Threads along the columns, and along the reduced axes.
        var across: Int
        var height: Int
        var blocks: Dim
        var workItems: Dim
    }

    struct ColumnPlace {
        /// The first of the thread's columns.
        var column: Dim
        var x: Dim
        var y: Dim
        /// Whether the columns are there.
        var conditions: [IndexCondition]
    }

    func columnLayout(_ plan: RowPlan, _ outer: [DomainAxis], _ variables: [Dim]) throws -> ColumnLayout {
        let width = min(4, try rowWidth(plan, outer, variables))
        let vectors = outer.last.map { $0.size.dividedUp(by: .constant(width)) } ?? 1
        var across = ThreadBlock.warp
        while across > 1, let count = vectors.constant, count <= across / 2 { across /= 2 }
        // A short reduced axis needs no more threads than it has elements.
        if let count = plan.axes.reduce(1, { $0 * plan.domain[$1] }).constant {
            while across < Self.columnThreads, Self.columnThreads / across >= max(2 * count, 2) { across *= 2 }
        }
        let blocks = vectors.dividedUp(by: .constant(across))
        let workItems = outer.dropLast().reduce(blocks) { $0 * $1.size }
        return ColumnLayout(outer: outer, column: outer.last, width: width, across: across, height: Self.columnThreads / across,
                            blocks: blocks, workItems: workItems)
    }

    /// Sets the kept axes' variables but the last one's.
    func columnPlace(_ columns: ColumnLayout, _ workItem: Dim, _ thread: ThreadBlockThread) -> ColumnPlace {
        let indices = unflatten(workItem, columns.outer.dropLast().map(\.size) + [columns.blocks])
        for (axis, index) in zip(columns.outer.dropLast(), indices) { elements.setVariable(axis.variable, to: index) }
        let across = Dim.constant(columns.across)
        let y = writer.bind(thread.number / across)
        let x = writer.bind(thread.number - y * across)
        let vector = indices.last! * across + x
        guard let size = columns.column?.size else { return ColumnPlace(column: 0, x: x, y: y, conditions: [.isZero(x)]) }
        let isEven = size.constant.map { $0 % (columns.across * columns.width) == 0 } ?? false
        let conditions: [IndexCondition] = isEven ? [] : [.isNonNegative(size - 1 - vector * .constant(columns.width))]
        return ColumnPlace(column: vector * .constant(columns.width), x: x, y: y, conditions: conditions)
    }

    func columnLanes(_ columns: ColumnLayout, _ place: ColumnPlace, _ body: (Dim) throws -> Void) rethrows {
        try threadLanes(columns.width) { lane in
            if let axis = columns.column { elements.setVariable(axis.variable, to: place.column + lane) }
            try body(lane)
        }
    }

    /// The thread's share of the reduced positions between two.
    func eachRow(_ columns: ColumnLayout, _ place: ColumnPlace, _ inner: [DomainAxis], from start: Dim, to end: Dim,
                 _ body: (Dim) throws -> Void) throws {
        let parts = 4
        func one(_ position: Dim) throws {
            for (axis, index) in zip(inner, unflatten(position, inner.map(\.size))) { elements.setVariable(axis.variable, to: index) }
            try columnLanes(columns, place, body)
        }
        func rows() throws {
            let (height, count) = (Dim.constant(columns.height), end - start)
            let first = start + place.y
            // Positions that the thread has, in blocks of some and then one by one.
            let own = writer.bind((count - place.y + height - 1) / height)
            let blocks = writer.bind(own / .constant(parts))
            try writer.loop(to: blocks) { block in
                for part in 0..<parts { try one(writer.bind(first + (block * .constant(parts) + .constant(part)) * height)) }
            }
            try writer.loop(from: blocks * .constant(parts), to: own) { try one(writer.bind(first + $0 * height)) }
        }
        if place.conditions.isEmpty { return try rows() }
        try writer.branch(place.conditions, then: rows)
    }

    /// Leaves the states of a column's threads together in each of them.
    func combineColumns(_ columns: ColumnLayout, _ place: ColumnPlace, _ accumulators: [ThreadAccumulator]) {
        if columns.height == 1 { return }
        let pitch = Dim.constant(columns.across * columns.width)
        let slots = accumulators.map { accumulator in
            let count = columns.across * columns.width * columns.height
            return (values: shared(accumulator.code.accumulator, count), positions: accumulator.code.hasPosition ? shared(.i64, count) : nil)
        }
        func at(_ y: Dim, _ lane: Dim) -> Dim { y * pitch + place.x * .constant(columns.width) + lane }
        threadLanes(columns.width) { lane in
            for (accumulator, slot) in zip(accumulators, slots) {
                let state = accumulator.lanes.load(at: lane, writer)
                writer.store(state.value, slot.values, at(place.y, lane))
                if let positions = slot.positions { writer.store(state.position!, positions, at(place.y, lane)) }
            }
        }
        barrier()
        // Halves are added to halves, so that the sum of many is as good as that of a tree.
        var height = columns.height / 2
        while height > 0 {
            writer.branch([.isNonNegative(.constant(height - 1) - place.y)]) {
                threadLanes(columns.width) { lane in
                    for (accumulator, slot) in zip(accumulators, slots) {
                        func state(_ y: Dim) -> ReductionCode.State {
                            ReductionCode.State(value: writer.load(slot.values, at(y, lane), accumulator.code.accumulator),
                                                position: slot.positions.map { writer.load($0, at(y, lane), .i64) })
                        }
                        let both = accumulator.code.combine(state(place.y), state(place.y + .constant(height)), writer)
                        writer.store(both.value, slot.values, at(place.y, lane))
                        if let positions = slot.positions { writer.store(both.position!, positions, at(place.y, lane)) }
                    }
                }
            }
            barrier()
            height /= 2
        }
        threadLanes(columns.width) { lane in
            for (accumulator, slot) in zip(accumulators, slots) {
                accumulator.lanes.store(ReductionCode.State(value: writer.load(slot.values, at(0, lane), accumulator.code.accumulator),
                    position: slot.positions.map { writer.load($0, at(0, lane), .i64) }), at: lane, writer)
            }
        }
    }
}
