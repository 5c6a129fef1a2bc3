// The schedule of reductions and of chains of them over the same axes (softmax, normalization, their gradients):
// each work item owns some kept elements, runs over the reduced axes once for each level of the chain, and stores the results.

import KilnIR
import KilnPasses

/// A reduction of a `rows` group.
struct RowReduction {
    var value: ValueID
    var operand: ValueID
    var code: ReductionCode
    var axes: [Int]
    /// The dtype of the value, where it is not what the code gives.
    var resultDType: DType?
    /// What is reduced at the domain's variables, where it is not the operand's element.
    var element: (([Dim]) throws -> ValueNumber)?

    func term(_ variables: [Dim], _ elements: ElementLowering) throws -> ValueNumber {
        try element?(variables) ?? elements.element(operand, variables)
    }

    func result(_ state: ReductionCode.State, _ writer: KernelWriter) -> ValueNumber {
        let value = code.result(state, writer)
        return resultDType.map { writer.convert(value, to: $0) } ?? value
    }
}

/// What a `rows` group computes, found once.
struct RowPlan {
    var domain: Shape
    var axes: [Int]
    /// Reductions by how many others they wait for.
    var levels: [[RowReduction]] = []
    /// Numbers of outputs of the domain's shape, and of the kept axes'.
    var fullOutputs: [Int] = []
    var keptOutputs: [Int] = []
    /// Full outputs that the pass of a level can store, since they wait for no reduction of it or a later one.
    var earlyOutputs: [Int: [Int]] = [:]
    /// Values of the domain's shape that cost more to compute again than to keep, with the level after which they are known.
    var kept: [Int: [ValueID]] = [:]
    /// The kept axis that lanes run along, where they do; nil for the innermost.
    var lanesAxis: Int?
    /// Kept axes that go through the same elements of the larger operand again: they run within a work item, after all others.
    var repeating: Set<Int> = []

    /// Whether the innermost axis is reduced.
    var lastIsReduced: Bool { axes.contains(domain.lastIndex { $0 != 1 } ?? domain.count - 1) }
    var keptAxes: [Int] { domain.indices.filter { !axes.contains($0) } }
}

/// Reductions and chains of them, by threads of the host.
struct RowReductions: Schedule {
    let plan: RowPlan
    let alongReduced: Bool
    let cost: Dim

    static func plan(_ group: GroupLowering, _ target: Target) throws -> RowReductions? {
        guard group.kind == .rows else { return nil }
        let plan = try group.rowPlan()
        // A row of a few elements fills no vector.
        let isNarrow = ((plan.domain.last { $0 != 1 } ?? 1).constant ?? 64) < 8
        return RowReductions(plan: plan, alongReduced: plan.lastIsReduced && !(isNarrow && !plan.keptAxes.isEmpty), cost: group.elementwiseCost(plan.domain))
    }

    func emit(into group: GroupLowering) throws { try group.runRows(plan, alongReduced: alongReduced) }
}

extension GroupLowering {
    func runRows(_ plan: RowPlan, alongReduced: Bool) throws {
        let split = try alongReduced ? rowsAlongReduced(plan) : rowsAlongKept(plan)
        if let split { try combineParts(plan, split) }
    }

    func rowPlan() throws -> RowPlan {
        var level: [ValueID: Int] = [:]
        var plan: RowPlan?
        for (position, operation) in region.operations.enumerated() {
            let above = operation.operands.map { level[$0] ?? 0 }.max() ?? 0
            let result = operation.results[0]
            level[result] = above
            guard case .reduce(let kind, let axes) = table.forms[position] else { continue }
            let operand = region.type(of: operation.operands[0])
            if table.forms[position].isInlinable(operands: [operand]) { continue }
            if plan == nil { plan = RowPlan(domain: operand.shape, axes: axes.sorted()) }
            guard axes.sorted() == plan!.axes, operand.shape == plan!.domain else { continue }
            level[result] = above + 1
            while plan!.levels.count <= above { plan!.levels.append([]) }
            plan!.levels[above].append(RowReduction(value: result, operand: operation.operands[0],
                code: ReductionCode(kind, operand: operand.dtype, result: region.type(of: result).dtype), axes: axes))
        }
        guard var plan else { throw InternalError("schedule", "a rows group has no reduction", context: region.name) }
        let keptShape = plan.keptAxes.map { plan.domain[$0] }
        for (number, output) in region.outputs.enumerated() {
            let shape = region.type(of: output.value).shape
            let isKept = shape.reduce(1, *) == keptShape.reduce(1, *) && (shape.reduce(1, *) != plan.domain.reduce(1, *) || shape == keptShape)
            let ready = level[output.value] ?? 0
            if isKept { plan.keptOutputs.append(number) } else if ready < plan.levels.count {
                plan.earlyOutputs[ready, default: []].append(number)
            } else { plan.fullOutputs.append(number) }
        }
        findKept(&plan, level)
        return plan
    }

    /// Costly values of the domain's shape that more than one pass needs.
    private func findKept(_ plan: inout RowPlan, _ level: [ValueID: Int]) {
        let early = plan.earlyOutputs.values.flatMap { $0 }.sorted().map { region.outputs[$0].value }
        let passes = plan.levels.flatMap { $0.map(\.operand) } + early + plan.fullOutputs.map { region.outputs[$0].value }
        let reductions = Set(plan.levels.flatMap { $0.map(\.value) })
        func costly(from root: ValueID) -> Set<ValueID> {
            var found: Set<ValueID> = []
            var seen: Set<ValueID> = []
            func visit(_ value: ValueID) {
                guard seen.insert(value).inserted, !reductions.contains(value), let position = table.definitions[value] else { return }
                if InlineCost.of(table.forms[position]) >= 8, region.type(of: value).shape == plan.domain { found.insert(value) }
                region.operations[position].operands.forEach(visit)
            }
            visit(root)
            return found
        }
        var first: [ValueID: Int] = [:]
        var uses: [ValueID: Set<Int>] = [:]
        for (number, root) in passes.enumerated() {
            let pass = number < passes.count - plan.fullOutputs.count ? level[root] ?? 0 : plan.levels.count
            for value in costly(from: root) {
                first[value] = min(first[value] ?? pass, pass)
                uses[value, default: []].insert(pass)
            }
        }
        for (value, pass) in first.sorted(by: { $0.key < $1.key }) where uses[value]!.count > 1 { plan.kept[pass, default: []].append(value) }
    }

    // MARK: Lanes along the reduced axis

    /// Gives the way in which the reduction was cut, if it was.
    private func rowsAlongReduced(_ plan: RowPlan) throws -> SplitReduction? {
        let variables = makeAxes(plan.domain)
        var (outer, inner) = try mergedRowAxes(plan, variables)
        let split = splitReduction(plan, inner, workItems: outer.reduce(1) { $0 * $1.size }, elementsPerPosition: 1)
        if let split { outer.insert(split.partAxis, at: 0) }
        let workItems = outer.reduce(1) { $0 * $1.size }
        let work = plan.domain.reduce(1, *) * .constant(costPerElement)
        let steps = inner.reduce(1) { $0 * $1.size }
        let repeats = plan.repeating.reduce(1) { $0 * plan.domain[$1] }
        let rows = max(1, 4096 / max(steps.constant ?? 4096, 1)) * (split == nil ? max(repeats.constant ?? 1, 1) : 1)
        try launch(workItems: workItems.dividedUp(by: .constant(rows)), work: work) { workItem in
            let buffers = keptBuffers(plan, steps)
            let first = workItem * .constant(rows)
            try writer.loop(from: first, to: rows == 1 ? first + 1 : writer.bind(Dim.minimum(first + .constant(rows), workItems))) { row in
                for (axis, index) in zip(outer, unflatten(row, outer.map(\.size))) { elements.setVariable(axis.variable, to: index) }
                split?.limit(&inner, elements, writer)
                try rowBody(plan, variables.map(\.variable), inner, buffers, split)
            }
        }
        return split
    }

    /// The domain's axes, merged among the kept and among the reduced.
    func mergedRowAxes(_ plan: RowPlan, _ axes: [DomainAxis]) throws -> ([DomainAxis], [DomainAxis]) {
        let expressions = try observe { try self.writeAll(plan, axes.map(\.variable)) }
        // A position in an argmax is the index itself.
        let positions = plan.levels.flatMap { $0 }.contains { $0.code.hasPosition } ? plan.axes.map { axes[$0].variable } : []
        let keptAxes = plan.keptAxes.filter { !plan.repeating.contains($0) } + plan.keptAxes.filter(plan.repeating.contains)
        let outer = merged(keptAxes.map { axes[$0] }, expressions: expressions)
        let inner = merged(plan.axes.map { axes[$0] }, expressions: expressions + positions)
        return (outer, inner)
    }

    /// All terms and outputs at one element, for looking at.
    func writeAll(_ plan: RowPlan, _ variables: [Dim]) throws {
        defer { elements.current = [:] }
        for reduction in plan.levels.flatMap({ $0 }) {
            _ = try reduction.term(variables, elements)
            elements.current[reduction.value] = writer.constant(0, region.type(of: reduction.value).dtype)
        }
        try storeOutputs(plan, plan.earlyOutputs.values.flatMap { $0 }.sorted() + plan.fullOutputs + plan.keptOutputs, variables)
    }

    func outputIndices(_ plan: RowPlan, _ number: Int, _ variables: [Dim]) -> [Dim] {
        let shape = region.type(of: region.outputs[number].value).shape
        if plan.keptOutputs.contains(number) {
            return indices(of: shape, in: plan.keptAxes.map { plan.domain[$0] }, at: plan.keptAxes.map { variables[$0] })
        }
        return indices(of: shape, in: plan.domain, at: variables)
    }

    private func keptBuffers(_ plan: RowPlan, _ steps: Dim) -> [ValueID: MemoryReference] {
        var buffers: [ValueID: MemoryReference] = [:]
        for value in plan.kept.values.flatMap({ $0 }) {
            let dtype = region.type(of: value).dtype
            buffers[value] = MemoryReference(memory: scratchOrStack(dtype, steps), strides: [1], dtype: dtype)
        }
        return buffers
    }

    /// All levels and outputs for one kept element.
    private func rowBody(_ plan: RowPlan, _ variables: [Dim], _ inner: [DomainAxis], _ buffers: [ValueID: MemoryReference],
                         _ split: SplitReduction?) throws {
        defer {
            elements.current = [:]
            elements.kept = [:]
        }
        for (number, level) in plan.levels.enumerated() {
            let states = try reduceRow(level, plan.kept[number] ?? [], variables, inner, buffers) {
                try self.storeOutputs(plan, plan.earlyOutputs[number] ?? [], variables)
            }
            for (reduction, state) in zip(level, states) {
                if let split {
                    split.store(state, of: reduction.value, at: plan.keptAxes.map { variables[$0] }, elements, writer)
                } else { elements.current[reduction.value] = reduction.result(state, writer) }
            }
            if split != nil { return }
        }
        try storeOutputs(plan, plan.keptOutputs, variables)
        if plan.fullOutputs.isEmpty { return }
        try innerLoops(inner, unroll: 1) { _ in try self.storeOutputs(plan, plan.fullOutputs, variables) }
    }

    func storeOutputs(_ plan: RowPlan, _ numbers: [Int], _ variables: [Dim]) throws {
        for number in numbers {
            let at = outputIndices(plan, number, variables)
            storeOutput(number, try elements.element(region.outputs[number].value, at), at)
        }
    }

    /// Loops over the reduced axes, the last in vectors.
    private func innerLoops(_ inner: [DomainAxis], unroll: Int, _ body: (Int) throws -> Void) throws {
        guard let last = inner.last else {
            return try body(0)
        }
        func loops(_ axes: ArraySlice<DomainAxis>) throws {
            if let axis = axes.first {
                return try writer.loop(from: axis.start, to: axis.start + axis.count) { index in
                    elements.setVariable(axis.variable, to: index)
                    try loops(axes.dropFirst())
                }
            }
            try writer.vectors(lanes(for: computeDType), from: last.start, count: last.count, unroll: unroll) { index, part in
                elements.setVariable(last.variable, to: index)
                try body(part)
            }
        }
        try loops(inner.dropLast())
    }

    /// The position within the reduced axes, in row-major order.
    func innerPosition(_ inner: [DomainAxis]) -> Dim {
        var position: Dim = 0
        for axis in inner { position = position * axis.size + axis.variable }
        return position
    }

    private func reduceRow(_ level: [RowReduction], _ keep: [ValueID], _ variables: [Dim], _ inner: [DomainAxis],
                           _ buffers: [ValueID: MemoryReference], storeEarly: () throws -> Void) throws -> [ReductionCode.State] {
        let width = lanes(for: computeDType)
        let isLong = (inner.last?.size.constant ?? 1024) >= width * 4
        let unroll = isLong && costPerElement <= 40 ? 4 : 1
        let accumulators = level.map { LaneAccumulator($0.code, count: width * unroll, writer) }
        for accumulator in accumulators { accumulator.clear(width: width, writer) }
        try innerLoops(inner, unroll: unroll) { part in
            for value in keep {
                let number = try elements.element(value, variables)
                let place = buffers[value]!
                writer.store(number, place.memory, elements.physical(innerPosition(inner)))
            }
            for (reduction, accumulator) in zip(level, accumulators) {
                let number = try reduction.term(variables, elements)
                let position = reduction.code.hasPosition ? writer.position(elements.physical(innerPosition(inner))) : 0
                accumulator.add(number, position, at: laneAddress(part, width), writer)
            }
            try storeEarly()
        }
        for value in keep { elements.kept[value] = (buffers[value]!, innerPosition(inner)) }
        return accumulators.map { $0.total(writer) }
    }

    /// The lane's own slot in an accumulator: the lane variable alone, without the block's start.
    private func laneAddress(_ part: Int, _ width: Int) -> Dim { (writer.currentLane ?? 0) + .constant(part * width) }
}
