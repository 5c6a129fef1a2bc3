// Reductions with few results and many elements: the longest reduced axis is cut into a number of parts that the shape alone sets,
// each part's state goes to memory, and a second launch combines the parts in order.

import KilnIR

/// How a reduction is cut, and where the parts' states are.
struct SplitReduction {
    /// The loop over the parts.
    let partAxis: DomainAxis
    let cut: WorkDivision.Cut
    /// The number of the axis that is cut, among the reduced ones.
    let axis: Int
    /// States over `[parts, kept…]`, and positions for argmax and argmin.
    let places: [ValueID: (value: MemoryReference, position: MemoryReference?)]

    var parts: Dim { cut.parts }

    /// Restricts the axis that is cut to the current part.
    func limit(_ axes: inout [DomainAxis], _ elements: ElementLowering, _ writer: KernelWriter) {
        let start = writer.bind(elements.physical(partAxis.variable) * .constant(cut.partSize))
        axes[axis].part = (start, writer.bind(Dim.minimum(axes[axis].size - start, .constant(cut.partSize))))
    }

    func store(_ state: ReductionCode.State, of value: ValueID, at kept: [Dim], _ elements: ElementLowering, _ writer: KernelWriter) {
        let (values, positions) = places[value]!
        let indices = [partAxis.variable] + kept
        writer.store(state.value, values.memory, elements.physical(values.address(indices)))
        if let positions { writer.store(state.position!, positions.memory, elements.physical(positions.address(indices))) }
    }
}

extension GroupLowering {
    /// How to cut the group's reduction over the given axes, where its `workItems` alone are too few to share among threads.
    func splitReduction(_ plan: RowPlan, _ reduced: [DomainAxis], workItems: Dim, elementsPerPosition: Dim) -> SplitReduction? {
        guard plan.levels.count == 1, plan.fullOutputs.isEmpty, plan.earlyOutputs.isEmpty else { return nil }
        let keptShape = plan.keptAxes.map { plan.domain[$0] }
        guard keptShape.reduce(1, *).constant != nil,
            let axis = reduced.indices.max(by: { (reduced[$0].size.constant ?? .max) < (reduced[$1].size.constant ?? .max) }) else { return nil }
        let others = reduced.indices.filter { $0 != axis }.reduce(elementsPerPosition) { $0 * reduced[$1].size }
        guard let cut = WorkDivision.cut(reduced[axis].size, elementsPerPosition: others, workItems: workItems) else { return nil }
        let parts = cut.parts
        var places: [ValueID: (value: MemoryReference, position: MemoryReference?)] = [:]
        for reduction in plan.levels[0] {
            places[reduction.value] = (temporary("parts", reduction.code.accumulator, [parts] + keptShape),
                                       reduction.code.hasPosition ? temporary("positions", .i64, [parts] + keptShape) : nil)
        }
        let partAxis = DomainAxis(variable: elements.makeVariable(size: parts), size: parts)
        return SplitReduction(partAxis: partAxis, cut: cut, axis: axis, places: places)
    }

    /// The second launch: combines the parts of each kept element in order, and stores the outputs.
    func combineParts(_ plan: RowPlan, _ split: SplitReduction) throws {
        let keptShape = plan.keptAxes.map { plan.domain[$0] }
        let axes = makeAxes(keptShape)
        let variables = axes.map(\.variable)
        let width = lanes(for: computeDType)
        let ids = plan.keptAxes
        func combine(_ slots: Int) throws {
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
        let work = keptShape.reduce(1, *) * split.parts
        guard let last = axes.last else { return try launch(workItems: 1, work: work) { _ in try combine(1) } }
        // Each work item combines the parts of some neighbouring results.
        let columns = Dim.constant(width * 4)
        let sizes = axes.dropLast().map(\.size) + [last.size.dividedUp(by: columns)]
        try launch(workItems: sizes.reduce(1, *), work: work) { workItem in
            let place = unflatten(workItem, sizes)
            for (axis, index) in zip(axes.dropLast(), place) { elements.setVariable(axis.variable, to: index) }
            let base = writer.bind(place.last! * columns)
            try writer.vectors(width, from: base, count: writer.bind(Dim.minimum(last.size - base, columns))) { index, _ in
                elements.setVariable(last.variable, to: index)
                try combine(width)
            }
        }
    }
}
