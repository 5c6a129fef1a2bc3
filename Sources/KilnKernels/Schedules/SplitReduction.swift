// Reductions with few results and many elements: the outermost reduced axis is cut into a number of parts that the shape alone sets,
// each part's state goes to memory, and a second phase combines the parts in order.

import KilnIR

/// How a reduction is cut, and where the parts' states are.
struct SplitReduction {
    /// The loop over the parts.
    let partAxis: DomainAxis
    let parts: Dim
    /// States over `[parts, kept…]`, and positions for argmax and argmin.
    let places: [ValueID: (value: Place, position: Place?)]

    /// Restricts the first reduced axis to the current part.
    func limit(_ axis: inout DomainAxis, _ elements: ElementLowering, _ writer: KernelWriter) {
        let part = elements.physical(partAxis.variable)
        let partSize = axis.size.dividedUp(by: parts)
        let start = writer.bind(part * partSize)
        axis.part = (start, writer.bind(Dim.maximum(Dim.minimum(axis.size - start, partSize), 0)))
    }

    func store(_ state: ReductionCode.State, of value: ValueID, at kept: [Dim], _ elements: ElementLowering, _ writer: KernelWriter) {
        let (values, positions) = places[value]!
        let indices = [partAxis.variable] + kept
        writer.store(state.value, values.memory, elements.physical(values.address(indices)))
        if let positions { writer.store(state.position!, positions.memory, elements.physical(positions.address(indices))) }
    }
}

extension GroupLowering {
    /// The most parts that a reduction is cut into.
    private static let mostParts = 16

    /// How to cut the group's reduction, where its results alone are too few to share among threads.
    func splitReduction(_ plan: RowPlan, alongReduced: Bool) -> SplitReduction? {
        guard plan.levels.count == 1, plan.fullOutputs.isEmpty, plan.earlyOutputs.isEmpty else { return nil }
        let keptShape = plan.keptAxes.map { plan.domain[$0] }
        let kept = keptShape.reduce(1, *)
        let block = alongReduced ? 1 : lanes(for: computeDType) * 2
        guard let results = kept.constant, results / block < 8 else { return nil }
        if let all = plan.domain.reduce(1, *).constant, all < 1 << 16 { return nil }
        let parts = Dim.constant(Self.mostParts)
        var places: [ValueID: (value: Place, position: Place?)] = [:]
        for reduction in plan.levels[0] {
            places[reduction.value] = (temporary("parts", reduction.code.accumulator, [parts] + keptShape),
                                       reduction.code.hasPosition ? temporary("positions", .i64, [parts] + keptShape) : nil)
        }
        let axis = DomainAxis(variable: elements.makeVariable(size: parts), size: parts)
        return SplitReduction(partAxis: axis, parts: parts, places: places)
    }

    /// The second phase: combines the parts of each kept element in order, and stores the outputs.
    func combineParts(_ plan: RowPlan, _ split: SplitReduction) throws {
        let keptShape = plan.keptAxes.map { plan.domain[$0] }
        let axes = makeAxes(keptShape)
        let variables = axes.map(\.variable)
        let width = keptShape.isEmpty ? 1 : lanes(for: computeDType)
        let count = keptShape.reduce(1, *)
        let ids = plan.keptAxes
        try phase(units: 1, work: count * split.parts) { _ in
            func body(_ slots: Int) throws {
                let states = plan.levels[0].map { reduction -> ValueNumber in
                    let accumulator = LaneAccumulator(reduction.code, count: slots, writer)
                    let (values, positions) = split.places[reduction.value]!
                    let slot = writer.currentLane ?? 0
                    accumulator.store(reduction.code.identity(writer), at: slot, writer)
                    writer.loop(to: split.parts) { part in
                        let value = elements.load(values, [part] + variables)
                        let position = positions.map { elements.load($0, [part] + variables) }
                        accumulator.store(reduction.code.combine(accumulator.load(at: slot, writer),
                            ReductionCode.State(value: value, position: position), writer), at: slot, writer)
                    }
                    return reduction.result(accumulator.load(at: slot, writer), writer)
                }
                for (reduction, state) in zip(plan.levels[0], states) { elements.current[reduction.value] = state }
                defer { elements.current = [:] }
                var full = [Dim](repeating: 0, count: plan.domain.count)
                for (axis, variable) in zip(ids, variables) { full[axis] = variable }
                try storeOutputs(plan, plan.keptOutputs, full)
            }
            guard let last = axes.last else { return try body(1) }
            func loops(_ rest: ArraySlice<DomainAxis>) throws {
                if let axis = rest.first {
                    return try writer.loop(to: axis.size) { index in
                        elements.setVariable(axis.variable, to: index)
                        try loops(rest.dropFirst())
                    }
                }
                try writer.vectors(width, count: last.size) { index, _ in
                    elements.setVariable(last.variable, to: index)
                    try body(width)
                }
            }
            try loops(axes.dropLast())
        }
    }
}
