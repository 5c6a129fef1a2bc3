// The GPU's schedule of reductions, and of chains of them, along the innermost axis. A few threads, a warp or a thread block have a row:
// they go through it once for each level of the chain, and keep what later passes need in registers, or in shared memory, so that
// memory is read once and written once. What a pass keeps it finds again in the thread that kept it.
// The model is bytes over bandwidth: rows of 256 and more f32 elements should reach 0.9 of a copy.

import KilnIR
import KilnPasses

/// Values that a pass keeps for later ones. One takes the place of another whose last use is in the pass that has it first.
private struct KeptValues {
    /// By the level of the pass that keeps them.
    var values: [Int: [ValueID]] = [:]
    var slotOf: [ValueID: Int] = [:]
    var slots: [DType] = []
    private var freeFrom: [Int] = []

    mutating func add(_ value: ValueID, _ dtype: DType, from first: Int, to last: Int) {
        values[first, default: []].append(value)
        if let slot = slots.indices.first(where: { slots[$0] == dtype && freeFrom[$0] <= first }) {
            slotOf[value] = slot
            freeFrom[slot] = last
        } else {
            slotOf[value] = slots.count
            slots.append(dtype)
            freeFrom.append(last)
        }
    }
}

/// Reductions and chains of them, by thread blocks.
struct BlockReductions: Schedule {
    let plan: RowPlan
    let alongReduced: Bool
    let cost: Dim

    static func plan(_ group: GroupLowering, _ target: Target) throws -> BlockReductions? {
        guard group.kind == .rows else { return nil }
        let plan = try group.rowPlan()
        return BlockReductions(plan: plan, alongReduced: plan.lastIsReduced, cost: group.elementwiseCost(plan.domain))
    }

    func emit(into group: GroupLowering) throws { try group.threadBlockRows(plan, alongReduced: alongReduced) }
}

extension GroupLowering {
    /// Bytes of registers in which a thread keeps elements.
    private static let keptRegisterBytes = 192
    /// Bytes of shared memory in which a thread block keeps them.
    private static let keptSharedBytes = 96 << 10

    func threadBlockRows(_ plan: RowPlan, alongReduced: Bool) throws {
        if isThreadBlockSplit(plan, alongReduced: alongReduced) { return try threadBlockSplitRows(plan, alongReduced: alongReduced) }
        if alongReduced { try threadBlockRowsAlongReduced(plan) } else { try threadBlockRowsAlongKept(plan) }
    }

    private func threadBlockRowsAlongReduced(_ plan: RowPlan) throws {
        let axes = makeAxes(plan.domain)
        let variables = axes.map(\.variable)
        let (outer, inner) = try mergedRowAxes(plan, axes)
        let rows = outer.reduce(1) { $0 * $1.size }
        let width = try rowWidth(plan, inner, variables)
        let kept = keptValues(plan)
        let layout = rowLayout(rows, ThreadBlockSpan.sizes(inner, width).reduce(1, *), width, kept)
        let slot = elements.makeVariable(size: inner.reduce(1) { $0 * $1.size })
        let span = ThreadBlockSpan(axes: inner, width: width, group: layout.group, isUnrolled: layout.isUnrolled, unroll: layout.unroll, slot: slot)
        let perThreadBlock = Dim.constant(layout.threads / layout.group)
        let work = plan.domain.reduce(1, *) * .constant(costPerElement)
        try threadBlockLaunch(workItems: rows.dividedUp(by: perThreadBlock), threads: layout.threads, work: work, resident: layout.resident) { workItem, thread in
            let group = Dim.constant(layout.group)
            let own = layout.group == layout.threads ? 0 : writer.bind(thread.number / group)
            let row = layout.group == layout.threads ? workItem : writer.bind(workItem * perThreadBlock + own)
            let number = layout.group == layout.threads ? thread.number : writer.bind(thread.number - own * group)
            for (axis, index) in zip(outer, unflatten(row, outer.map(\.size))) { elements.setVariable(axis.variable, to: index) }
            let isWhole = layout.group == layout.threads || (rows.constant.map { $0 % (layout.threads / layout.group) == 0 } ?? false)
            /// The passes run for rows that are there; threads work together outside of them.
            func pass(_ body: () throws -> Void) throws {
                if isWhole { return try body() }
                try writer.branch([.isNonNegative(rows - 1 - row)], then: body)
            }
            let places = keptPlaces(kept, layout, span, own)
            defer {
                elements.current = [:]
                elements.kept = [:]
            }
            for (level, reductions) in plan.levels.enumerated() {
                let accumulators = reductions.map { ThreadAccumulator($0.code, width: width, parts: layout.isUnrolled ? 1 : layout.unroll, self) }
                let keep = places.isEmpty ? [] : kept.values[level] ?? []
                try pass {
                    try eachVector(span, number, keepsInShared: layout.keepsInShared) { lane, part in
                        let numbers = try keep.map { try elements.element($0, variables) }
                        try accumulate(reductions, accumulators, variables, inner, lane, part)
                        try storeOutputs(plan, plan.earlyOutputs[level] ?? [], variables)
                        // Last, since the place may be another value's whose last use this was.
                        for (value, number) in zip(keep, numbers) {
                            let place = places[value]!
                            writer.store(number, place.memory, elements.physical(place.offset + slot))
                        }
                    }
                }
                for value in keep { elements.kept[value] = (places[value]!, places[value]!.offset + slot) }
                let states = combined(accumulators.map { $0.total(writer) }, reductions.map(\.code), group: layout.group, thread)
                for (reduction, state) in zip(reductions, states) { elements.current[reduction.value] = reduction.result(state, writer) }
            }
            if !plan.keptOutputs.isEmpty {
                let isLast: [IndexCondition] = isWhole ? [] : [.isNonNegative(rows - 1 - row)]
                try writer.branch(layout.group == 1 ? isLast : isLast + [.isZero(number)]) { try storeOutputs(plan, plan.keptOutputs, variables) }
            }
            if plan.fullOutputs.isEmpty { return }
            try pass {
                try eachVector(span, number, keepsInShared: layout.keepsInShared) { _, _ in try storeOutputs(plan, plan.fullOutputs, variables) }
            }
        }
    }

    /// Combines the reductions' terms at the current element into the accumulators.
    func accumulate(_ reductions: [RowReduction], _ accumulators: [ThreadAccumulator], _ variables: [Dim], _ inner: [DomainAxis],
                    _ lane: Dim, _ part: Int) throws {
        for (reduction, accumulator) in zip(reductions, accumulators) {
            let term = try reduction.term(variables, elements)
            let position = reduction.code.hasPosition ? writer.position(elements.physical(innerPosition(inner))) : 0
            accumulator.add(reduction.code.lift(term, position: position, writer), part: part, lane: lane, writer)
        }
    }

    /// Elements of a thread's access along the last of the axes.
    func rowWidth(_ plan: RowPlan, _ axes: [DomainAxis], _ variables: [Dim]) throws -> Int {
        guard let last = axes.last else { return 1 }
        let width = try survey(last) { try self.writeAll(plan, variables) }.width(dividing: last.size)
        return plan.levels.joined().contains { $0.code.hasPosition } ? min(width, 4) : width
    }

    // MARK: Threads

    private struct RowLayout {
        var threads: Int
        var group: Int
        var isUnrolled: Bool
        var unroll: Int
        var keepsInShared = false
        var resident: Int
    }

    private func rowLayout(_ rows: Dim, _ vectors: Dim, _ width: Int, _ kept: KeptValues) -> RowLayout {
        let bytes = kept.slots.reduce(0) { $0 + $1.byteCount }
        let unroll = costPerElement <= 60 ? 4 : 2
        guard let count = vectors.constant else { return RowLayout(threads: 256, group: 256, isUnrolled: false, unroll: unroll, resident: 2) }
        var group = 1
        while group < count, group < ThreadBlock.warp { group *= 2 }
        // Longer rows, and rows too few to give every processor its warps, are a thread block's.
        if count > ThreadBlock.warp * 8 || count > ThreadBlock.warp && (rows.constant ?? 1 << 20) < (target.gpu?.processors ?? 108) * 16 {
            group = count <= 1024 ? 128 : count <= 4096 ? 256 : count <= 16384 ? 512 : 1024
        }
        var threads = max(128, group)
        if group <= ThreadBlock.warp, let rows = rows.constant, let processors = target.gpu?.processors {
            while threads > 32, rows * group < threads * processors { threads /= 2 }
        }
        let chunks = (count + group - 1) / group
        let mostBytes = group == 1024 ? Self.keptRegisterBytes / 2 : Self.keptRegisterBytes
        var layout = RowLayout(threads: threads, group: group, isUnrolled: chunks <= 16 && chunks * width * max(bytes, 1) <= mostBytes,
                               unroll: unroll, resident: max(1, 1024 / threads))
        if layout.isUnrolled { return layout }
        layout.keepsInShared = bytes > 0 && bytes * count * width * (threads / group) <= Self.keptSharedBytes
        return layout
    }

    // MARK: What passes keep

    private func keptPlaces(_ kept: KeptValues, _ layout: RowLayout, _ span: ThreadBlockSpan, _ own: Dim) -> [ValueID: MemoryReference] {
        guard layout.isUnrolled || layout.keepsInShared, let vectors = span.vectors.constant, let chunks = span.chunks else { return [:] }
        let slots = kept.slots.map { dtype -> MemoryReference in
            if layout.isUnrolled { return MemoryReference(memory: writer.local(dtype, .constant(chunks * span.width)), strides: [1], dtype: dtype) }
            let memory = shared(dtype, vectors * span.width * (layout.threads / layout.group))
            return MemoryReference(memory: memory, strides: [1], offset: own * .constant(vectors * span.width), dtype: dtype)
        }
        return kept.slotOf.mapValues { slots[$0] }
    }

    /// Values that more than one pass needs, and that cost a load or much arithmetic, with the level that has them first.
    private func keptValues(_ plan: RowPlan) -> KeptValues {
        let reductions = Set(plan.levels.joined().map(\.value))
        var passes: [(level: Int, roots: [ValueID])] = plan.levels.enumerated().map { number, level in
            (number, level.filter { $0.element == nil }.map(\.operand) + (plan.earlyOutputs[number] ?? []).map { region.outputs[$0].value })
        }
        passes.append((plan.levels.count, plan.fullOutputs.map { region.outputs[$0].value }))
        var uses: [ValueID: Set<Int>] = [:]
        for (level, roots) in passes {
            var seen: Set<ValueID> = []
            func visit(_ value: ValueID) {
                guard !reductions.contains(value), seen.insert(value).inserted else { return }
                if region.type(of: value).shape == plan.domain, isReadInPlace(value) {
                    if isLoaded(value) { uses[value, default: []].insert(level) } else if let position = table.definitions[value],
                        InlineCost.of(table.forms[position]) >= 8 { uses[value, default: []].insert(level) }
                }
                guard let position = table.definitions[value] else { return }
                region.operations[position].operands.forEach(visit)
            }
            roots.forEach(visit)
        }
        // What is only read to compute what is kept already needs no place of its own.
        var kept: [Int: [ValueID]] = [:]
        for value in uses.keys.sorted() where uses[value]!.count > 1 { kept[uses[value]!.min()!, default: []].append(value) }
        let all = Set(kept.values.joined())
        var last: [ValueID: Int] = [:]
        for (level, roots) in passes {
            var seen: Set<ValueID> = []
            func visit(_ value: ValueID) {
                guard !reductions.contains(value), seen.insert(value).inserted else { return }
                if all.contains(value), uses[value]!.min()! < level {
                    last[value] = level
                    return
                }
                guard let position = table.definitions[value] else { return }
                region.operations[position].operands.forEach(visit)
            }
            roots.forEach(visit)
        }
        var result = KeptValues()
        for level in kept.keys.sorted() {
            for value in kept[level]! {
                if let last = last[value] { result.add(value, region.type(of: value).dtype, from: level, to: last) }
            }
        }
        return result
    }

    private func isLoaded(_ value: ValueID) -> Bool {
        if elements.places[value] != nil { return true }
        guard let position = table.definitions[value] else { return false }
        switch table.forms[position] {
        case .view, .gather: return true
        default: return false
        }
    }

    /// Whether all that read the value read the element that they are at themselves.
    private func isReadInPlace(_ value: ValueID) -> Bool {
        region.operations.enumerated().allSatisfy { position, operation in
            guard operation.operands.contains(value) else { return true }
            switch table.forms[position] {
            case .elementwise, .reduce: return true
            default: return false
            }
        }
    }
}
