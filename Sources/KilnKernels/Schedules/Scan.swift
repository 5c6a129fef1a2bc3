// The schedule of scans: each element combined with those before it along an axis. Lanes run along an axis beside it, if there is one.
// Where that leaves few work items, the axis is cut into parts: first what each part comes to, then what comes before each part, then the
// parts by themselves (reduce, then scan).
//
//     elements   | part 0 | part 1 | part 2 | …      1. total of each part
//     before       e        t0       t0+t1           2. scan of the totals
//     results      scan of each part, begun with what comes before it

import KilnIR

/// What a scan's kernel is about.
struct ScanPlan: Schedule {
    var code: ReductionCode
    var operand: ValueID
    var axes: [DomainAxis]
    var axis: Int
    var isReverse: Bool
    var isExclusive: Bool
    /// The axis that lanes run along; nil where the scanned one is the innermost.
    var lanesAxis: Int?
    /// Columns of the lanes' axis that a work item has.
    var columns = 1
    var cut: WorkDivision.Cut?
    var cost: Dim

    /// Parts that a work item scans at once along the innermost axis: each waits for its own last element only.
    fileprivate static let atOnce = 8

    static func plan(_ group: GroupLowering, _ target: Target) throws -> ScanPlan? {
        guard group.kind == .scan else { return nil }
        let position = try group.root { if case .scan = $0 { true } else { false } }
        guard case .scan(let kind, let axis, let reverse, let exclusive) = group.table.forms[position] else { return nil }
        let operand = group.region.operations[position].operands[0]
        let type = group.region.type(of: operand)
        let code = ReductionCode(kind, operand: type.dtype, result: group.region.type(of: group.region.outputs[0].value).dtype)
        var plan = ScanPlan(code: code, operand: operand, axes: group.makeAxes(type.shape), axis: axis, isReverse: reverse, isExclusive: exclusive,
                            cost: group.elementwiseCost(type.shape))
        plan.lanesAxis = type.shape.indices.last { $0 > axis && type.shape[$0] != 1 }
        plan.columns = group.lanes(for: group.computeDType) * 4
        let width = plan.lanesAxis.map { plan.axes[$0].size.constant.map { Dim.constant(min($0, plan.columns)) } ?? .constant(plan.columns) } ?? 1
        plan.cut = WorkDivision.cut(plan.size, elementsPerPosition: width, workItems: plan.sizes.reduce(1, *), multiple: plan.lanesAxis == nil ? atOnce : 1)
        return plan
    }

    func emit(into group: GroupLowering) throws { try group.scan(self) }

    var variables: [Dim] { axes.map(\.variable) }
    var size: Dim { axes[axis].size }
    /// All but the scanned axis and the lanes'.
    var outer: [Int] { axes.indices.filter { $0 != axis && $0 != lanesAxis } }
    var others: [Int] { axes.indices.filter { $0 != axis } }
    var blocks: Dim { lanesAxis.map { axes[$0].size.dividedUp(by: .constant(columns)) } ?? 1 }
    /// The sizes of the axes that work items are laid over.
    var sizes: [Dim] { outer.map { axes[$0].size } + [blocks] }
}

/// A part of the scanned axis, in the order in which it is scanned.
private struct ScanPart {
    var first: Dim
    var count: Dim
}

extension GroupLowering {
    fileprivate func scan(_ plan: ScanPlan) throws {
        guard let cut = plan.cut else {
            return try launch(workItems: plan.sizes.reduce(1, *), work: plan.cost) { workItem in
                let block = setScanAxes(plan, unflatten(workItem, plan.sizes))
                try eachScanColumn(plan, block) { try scanPart(plan, ScanPart(first: 0, count: plan.size), slots: $0, before: nil) }
            }
        }
        try scanInParts(plan, cut)
    }

    /// Sets the outer variables, and gives the number of the block of columns.
    private func setScanAxes(_ plan: ScanPlan, _ place: [Dim]) -> Dim {
        for (axis, index) in zip(plan.outer, place) { elements.setVariable(plan.axes[axis].variable, to: index) }
        return place.last!
    }

    /// Runs the body for each vector of columns of a block, or once where there are none; it gets the number of lanes.
    private func eachScanColumn(_ plan: ScanPlan, _ block: Dim, _ body: (Int) throws -> Void) throws {
        guard let lanesAxis = plan.lanesAxis else { return try body(1) }
        let (size, width) = (plan.axes[lanesAxis].size, lanes(for: computeDType))
        let isOne = size.constant.map { $0 <= plan.columns } ?? false
        let base = isOne ? 0 : writer.bind(block * .constant(plan.columns))
        let isWhole = size.constant.map { $0 % plan.columns == 0 } ?? false
        let count = isOne ? size : isWhole ? .constant(plan.columns) : writer.bind(Dim.minimum(size - base, .constant(plan.columns)))
        try writer.vectors(width, from: base, count: count) { index, _ in
            elements.setVariable(plan.axes[lanesAxis].variable, to: index)
            try body(width)
        }
    }

    /// Scans a part, an element or a vector at a time, and stores the results.
    private func scanPart(_ plan: ScanPlan, _ part: ScanPart, slots: Int, before: MemoryReference?, number: Dim = 0) throws {
        let accumulator = LaneAccumulator(plan.code, count: slots, writer)
        let slot = writer.currentLane ?? 0
        accumulator.store(before.map { stateBefore(plan, $0, number) } ?? plan.code.identity(writer), at: slot, writer)
        try writer.loop(to: part.count) { step in try scanStep(plan, part.first + step, accumulator, slot) }
    }

    private func scanStep(_ plan: ScanPlan, _ step: Dim, _ accumulator: LaneAccumulator, _ slot: Dim) throws {
        elements.setVariable(plan.axes[plan.axis].variable, to: plan.isReverse ? plan.size - 1 - step : step)
        let before = accumulator.load(at: slot, writer)
        let after = plan.code.combine(before, plan.code.lift(try elements.element(plan.operand, plan.variables), position: 0, writer), writer)
        accumulator.store(after, at: slot, writer)
        storeOutput(0, plan.code.result(plan.isExclusive ? before : after, writer), plan.variables, mayStream: plan.lanesAxis != nil)
    }

    // MARK: In parts

    private func stateBefore(_ plan: ScanPlan, _ totals: MemoryReference, _ number: Dim) -> ReductionCode.State {
        ReductionCode.State(value: writer.load(totals.memory, elements.physical(totals.address([number] + plan.others.map { plan.variables[$0] })), totals.dtype))
    }

    private func scanInParts(_ plan: ScanPlan, _ cut: WorkDivision.Cut) throws {
        // Along the innermost axis a work item's part is made of several, which are scanned at once.
        let atOnce = plan.lanesAxis == nil ? ScanPlan.atOnce : 1
        // An odd number of cache lines, so that what is scanned at once does not meet in one set of the cache.
        let partSize = Dim.constant(atOnce == 1 ? cut.partSize : (cut.partSize / atOnce + 31) / 32 * 32 + 16)
        let parts = plan.size.dividedUp(by: partSize)
        let totals = temporary("totals", plan.code.accumulator, [parts] + plan.others.map { plan.axes[$0].size })
        func part(_ number: Dim) -> ScanPart {
            let first = writer.bind(number * partSize)
            return ScanPart(first: first, count: writer.bind(Dim.minimum(plan.size - first, partSize)))
        }
        let workItems = plan.sizes.reduce(1, *)
        try launch(workItems: parts * workItems, work: plan.cost) { workItem in
            let place = unflatten(workItem, [parts] + plan.sizes)
            let block = setScanAxes(plan, Array(place.dropFirst()))
            try scanTotal(plan, block, part(place[0]), number: place[0], to: totals)
        }
        try launch(workItems: workItems, work: parts * workItems * .constant(plan.columns)) { workItem in
            let block = setScanAxes(plan, unflatten(workItem, plan.sizes))
            try eachScanColumn(plan, block) { slots in
                let accumulator = LaneAccumulator(plan.code, count: slots, writer)
                let slot = writer.currentLane ?? 0
                accumulator.store(plan.code.identity(writer), at: slot, writer)
                writer.loop(to: parts) { number in
                    let total = stateBefore(plan, totals, number)
                    let before = accumulator.load(at: slot, writer)
                    writer.store(before.value, totals.memory, elements.physical(totals.address([number] + plan.others.map { plan.variables[$0] })))
                    accumulator.store(plan.code.combine(before, total, writer), at: slot, writer)
                }
            }
        }
        let groups = parts.dividedUp(by: .constant(atOnce))
        try launch(workItems: groups * workItems, work: plan.cost) { workItem in
            let place = unflatten(workItem, [groups] + plan.sizes)
            let block = setScanAxes(plan, Array(place.dropFirst()))
            guard atOnce > 1 else {
                let part = part(place[0])
                return try eachScanColumn(plan, block) { try scanPart(plan, part, slots: $0, before: totals, number: place[0]) }
            }
            let first = writer.bind(place[0] * .constant(atOnce))
            let isWhole = plan.size - (first + .constant(atOnce)) * partSize
            try writer.branch([.isNonNegative(isWhole)], then: { try scanAtOnce(plan, first, atOnce, partSize, totals) }) {
                try writer.loop(from: first, to: writer.bind(Dim.minimum(first + .constant(atOnce), parts))) { number in
                    try scanPart(plan, part(number), slots: 1, before: totals, number: number)
                }
            }
        }
    }

    /// Several parts side by side, each with a state of its own.
    private func scanAtOnce(_ plan: ScanPlan, _ first: Dim, _ count: Int, _ partSize: Dim, _ totals: MemoryReference) throws {
        let accumulator = LaneAccumulator(plan.code, count: count, writer)
        for slot in 0..<count { accumulator.store(stateBefore(plan, totals, first + .constant(slot)), at: .constant(slot), writer) }
        try writer.loop(to: partSize) { step in
            for slot in 0..<count { try writer.scoped { try scanStep(plan, (first + .constant(slot)) * partSize + step, accumulator, .constant(slot)) } }
        }
    }

    /// What a part comes to.
    private func scanTotal(_ plan: ScanPlan, _ block: Dim, _ part: ScanPart, number: Dim, to totals: MemoryReference) throws {
        let start = plan.isReverse ? writer.bind(plan.size - part.first - part.count) : part.first
        let variable = plan.axes[plan.axis].variable
        func lifted() throws -> ValueNumber { try elements.element(plan.operand, plan.variables) }
        func store(_ state: ReductionCode.State) {
            writer.store(state.value, totals.memory, elements.physical(totals.address([number] + plan.others.map { plan.variables[$0] })))
        }
        guard plan.lanesAxis == nil else {
            return try eachScanColumn(plan, block) { slots in
                let accumulator = LaneAccumulator(plan.code, count: slots, writer)
                let slot = writer.currentLane ?? 0
                accumulator.store(plan.code.identity(writer), at: slot, writer)
                try writer.loop(to: part.count) { step in
                    elements.setVariable(variable, to: start + step)
                    accumulator.add(try lifted(), 0, at: slot, writer)
                }
                store(accumulator.load(at: slot, writer))
            }
        }
        let width = lanes(for: computeDType)
        let accumulator = LaneAccumulator(plan.code, count: width * 4, writer)
        accumulator.clear(width: width, writer)
        try writer.vectors(width, from: start, count: part.count, unroll: 4) { index, vector in
            elements.setVariable(variable, to: index)
            accumulator.add(try lifted(), 0, at: (writer.currentLane ?? 0) + .constant(vector * width), writer)
        }
        store(accumulator.total(writer))
    }
}
