// Reductions with few results and many elements on a GPU: each level is cut into parts, as many as the shape and the GPU's model say;
// the parts' states go to memory, a second launch combines them in a fixed order, and what is as large as the operand is a third launch.

import KilnIR

extension GroupLowering {
    /// Into how many parts a reduction is cut; nil where its results alone keep the processors busy.
    private func threadBlockParts(_ plan: RowPlan, alongReduced: Bool) -> Int? {
        guard let processors = target.gpu?.processors, let kept = plan.keptAxes.reduce(1, { $0 * plan.domain[$1] }).constant, kept > 0 else { return nil }
        let workItems = alongReduced ? kept : (kept + 63) / 64
        guard workItems * 2 <= processors else { return nil }
        let isChain = plan.levels.count > 1 || !plan.fullOutputs.isEmpty || !plan.earlyOutputs.isEmpty
        let most = max(2, processors * (alongReduced ? 4 : 2) / workItems)
        guard let count = plan.axes.reduce(1, { $0 * plan.domain[$1] }).constant else { return workItems <= 16 && !isChain ? min(most, 128) : nil }
        let least = alongReduced ? isChain ? 1 << 16 : 1 << 14 : 512
        let parts = min(count / least, most)
        return parts >= 2 ? parts : nil
    }

    func isThreadBlockSplit(_ plan: RowPlan, alongReduced: Bool) -> Bool { threadBlockParts(plan, alongReduced: alongReduced) != nil }

    /// The states of a level's reductions, over `[kept…, parts]`.
    private struct PartStates {
        let parts: Int
        let places: [(value: MemoryReference, position: MemoryReference?)]
    }

    func threadBlockSplitRows(_ plan: RowPlan, alongReduced: Bool) throws {
        guard let parts = threadBlockParts(plan, alongReduced: alongReduced) else { return }
        let keptShape = plan.keptAxes.map { plan.domain[$0] }
        for level in plan.levels.indices {
            let states = PartStates(parts: parts, places: plan.levels[level].map { reduction in
                (temporary("parts", reduction.code.accumulator, keptShape + [.constant(parts)]),
                 reduction.code.hasPosition ? temporary("positions", .i64, keptShape + [.constant(parts)]) : nil)
            })
            if alongReduced { try partsAlongReduced(plan, level, states) } else { try partsAlongKept(plan, level, states) }
            try combineThreadBlockParts(plan, level, states)
        }
        if !plan.fullOutputs.isEmpty { try threadBlockPointwise(plan.fullOutputs, over: plan.domain) }
    }

    private func store(_ state: ReductionCode.State, _ place: (value: MemoryReference, position: MemoryReference?), _ indices: [Dim]) {
        writer.store(state.value, place.value.memory, elements.physical(place.value.address(indices)))
        if let positions = place.position { writer.store(state.position!, positions.memory, elements.physical(positions.address(indices))) }
    }

    private func partsAlongReduced(_ plan: RowPlan, _ level: Int, _ states: PartStates) throws {
        let threads = 256
        let axes = makeAxes(plan.domain)
        let variables = axes.map(\.variable)
        let (outer, inner) = try mergedRowAxes(plan, axes)
        let width = try rowWidth(plan, inner, variables)
        let rows = outer.reduce(1) { $0 * $1.size }
        var span = ThreadBlockSpan(axes: inner, width: width, group: threads, isUnrolled: false, unroll: costPerElement <= 60 ? 4 : 2,
                            slot: elements.makeVariable(size: 1))
        let all = span.vectors
        let share = all.dividedUp(by: .constant(states.parts))
        try threadBlockLaunch(workItems: rows * .constant(states.parts), threads: threads, work: plan.domain.reduce(1, *), resident: 4) { workItem, thread in
            let place = unflatten(workItem, outer.map(\.size) + [.constant(states.parts)])
            for (axis, index) in zip(outer, place) { elements.setVariable(axis.variable, to: index) }
            let part = place.last!
            span.first = share * part
            let isEven = all.constant.map { $0 % states.parts == 0 } ?? false
            span.vectors = isEven ? share : writer.bind(Dim.maximum(Dim.minimum(all - share * part, share), 0))
            let reductions = plan.levels[level]
            let accumulators = reductions.map { ThreadAccumulator($0.code, width: width, parts: span.unroll, self) }
            try eachVector(span, thread.number) { lane, part in
                try accumulate(reductions, accumulators, variables, inner, lane, part)
                try storeOutputs(plan, plan.earlyOutputs[level] ?? [], variables)
            }
            let totals = combined(accumulators.map { $0.total(writer) }, reductions.map(\.code), group: threads, thread)
            writer.branch([.isZero(thread.number)]) {
                for (total, place) in zip(totals, states.places) { store(total, place, plan.keptAxes.map { variables[$0] } + [part]) }
            }
        }
    }

    private func partsAlongKept(_ plan: RowPlan, _ level: Int, _ states: PartStates) throws {
        let axes = makeAxes(plan.domain)
        let variables = axes.map(\.variable)
        let (outer, inner) = try mergedRowAxes(plan, axes)
        let columns = try columnLayout(plan, outer, variables)
        let count = inner.reduce(1) { $0 * $1.size }
        let share = count.dividedUp(by: .constant(states.parts))
        try threadBlockLaunch(workItems: columns.workItems * .constant(states.parts), threads: columns.across * columns.height, work: plan.domain.reduce(1, *),
                      resident: 4) { workItem, thread in
            let at = unflatten(workItem, [columns.workItems, .constant(states.parts)])
            let part = at[1]
            let place = columnPlace(columns, at[0], thread)
            let start = writer.bind(share * part)
            // Parts past the end have nothing.
            let end = writer.bind(Dim.maximum(Dim.minimum(start + share, count), start))
            let reductions = plan.levels[level]
            let accumulators = reductions.map { ThreadAccumulator($0.code, width: columns.width, parts: 1, self) }
            try eachRow(columns, place, inner, from: start, to: end) { lane in
                try accumulate(reductions, accumulators, variables, inner, lane, 0)
                try storeOutputs(plan, plan.earlyOutputs[level] ?? [], variables)
            }
            combineColumns(columns, place, accumulators)
            writer.branch([.isZero(place.y)] + place.conditions) {
                columnLanes(columns, place) { lane in
                    for (accumulator, place) in zip(accumulators, states.places) {
                        store(accumulator.lanes.load(at: lane, writer), place, plan.keptAxes.map { variables[$0] } + [part])
                    }
                }
            }
        }
    }

    /// Combines the parts of each kept element, and stores what waits for the level's results alone.
    private func combineThreadBlockParts(_ plan: RowPlan, _ level: Int, _ states: PartStates) throws {
        let reductions = plan.levels[level]
        let isLast = level == plan.levels.count - 1
        let keptShape = plan.keptAxes.map { plan.domain[$0] }
        let axes = makeAxes(keptShape)
        let variables = axes.map(\.variable)
        let rows = keptShape.reduce(1, *)
        var group = 1
        while group < states.parts, group < 256 { group *= 2 }
        let threads = max(ThreadBlock.warp, group)
        let perThreadBlock = Dim.constant(threads / group)
        let part = DomainAxis(variable: elements.makeVariable(size: .constant(states.parts)), size: .constant(states.parts))
        let span = ThreadBlockSpan(axes: [part], width: 1, group: group, isUnrolled: false, unroll: 1, slot: elements.makeVariable(size: 1))
        // Later launches find the results in memory.
        let isRead = !isLast || !plan.fullOutputs.isEmpty
        let results = isRead ? reductions.map { temporary("results", region.type(of: $0.value).dtype, keptShape) } : []
        try threadBlockLaunch(workItems: rows.dividedUp(by: perThreadBlock), threads: threads, work: rows * .constant(states.parts)) { workItem, thread in
            let own = writer.bind(thread.number / .constant(group))
            let number = writer.bind(thread.number - own * .constant(group))
            let row = writer.bind(workItem * perThreadBlock + own)
            for (axis, index) in zip(axes, unflatten(row, keptShape)) { elements.setVariable(axis.variable, to: index) }
            let isThere: [IndexCondition] = [.isNonNegative(rows - 1 - row)]
            let accumulators = reductions.map { ThreadAccumulator($0.code, width: 1, parts: 1, self) }
            try writer.branch(isThere) {
                try eachVector(span, number) { lane, _ in
                    for (accumulator, place) in zip(accumulators, states.places) {
                        let at = variables + [part.variable]
                        accumulator.add(ReductionCode.State(value: elements.load(place.value, at), position: place.position.map { elements.load($0, at) }),
                                        part: 0, lane: lane, writer)
                    }
                }
            }
            let totals = combined(accumulators.map { $0.total(writer) }, reductions.map(\.code), group: group, thread)
            try writer.branch(isThere + [.isZero(number)]) {
                for (reduction, total) in zip(reductions, totals) { elements.current[reduction.value] = reduction.result(total, writer) }
                defer { elements.current = [:] }
                for (reduction, place) in zip(reductions, results) {
                    writer.store(elements.current[reduction.value]!, place.memory, elements.physical(place.address(variables)))
                }
                if !isLast { return }
                var full = [Dim](repeating: 0, count: plan.domain.count)
                for (axis, variable) in zip(plan.keptAxes, variables) { full[axis] = variable }
                try storeOutputs(plan, plan.keptOutputs, full)
            }
        }
        for (reduction, place) in zip(reductions, results) { elements.places[reduction.value] = place }
    }
}
