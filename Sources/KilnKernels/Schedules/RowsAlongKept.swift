// Reductions whose innermost axis stays: lanes run along it, each with a state of its own, and the reduced axes are loops around.

import KilnIR

extension GroupLowering {
    /// Gives the way in which the reduction was cut, if it was.
    func rowsAlongKept(_ plan: RowPlan) throws -> SplitReduction? {
        let axes = makeAxes(plan.domain)
        let variables = axes.map(\.variable)
        let keptAxes = plan.keptAxes.filter { $0 != plan.lanesAxis } + [plan.lanesAxis].compactMap { $0 }
        let kept = keptAxes.map { axes[$0] }.filter { $0.size != 1 }
        for axis in axes where axis.size == 1 { elements.aliases[axis.variable.indices.first!] = 0 }
        let reduced = plan.axes.map { axes[$0] }.filter { $0.size != 1 }
        let work = plan.domain.reduce(1, *) * .constant(costPerElement)
        let width = lanes(for: computeDType)
        guard let inner = kept.last else {
            let split = splitReduction(plan, reduced, workItems: 1, elementsPerPosition: 1)
            try launch(workItems: split?.parts ?? 1, work: work) { workItem in
                if let split { elements.setVariable(split.partAxis.variable, to: workItem) }
                try columnBody(plan, variables, reduced, split, vectors: 1, width: 1) { body in try writer.lanes(1, count: 1) { try body($0, 0) } }
            }
            return split
        }
        let vectors = columnVectors(inner.size, width)
        let block = width * vectors
        let blocks = inner.size.dividedUp(by: .constant(block))
        let split = splitReduction(plan, reduced, workItems: kept.dropLast().reduce(blocks) { $0 * $1.size },
                                   elementsPerPosition: .constant(min(inner.size.constant ?? block, block)))
        let outer = (split.map { [$0.partAxis] } ?? []) + kept.dropLast()
        try launch(workItems: outer.reduce(1) { $0 * $1.size } * blocks, work: work) { workItem in
            let place = unflatten(workItem, outer.map(\.size) + [blocks])
            for (axis, index) in zip(outer, place) { elements.setVariable(axis.variable, to: index) }
            let base = place.last! * .constant(block)
            func full() throws {
                try columnBody(plan, variables, reduced, split, vectors: vectors, width: width) { body in
                    for part in 0..<vectors {
                        try writer.lanes(width, count: .constant(width)) { lane in
                            elements.setVariable(inner.variable, to: base + .constant(part * width) + lane)
                            try body(lane + .constant(part * width), part)
                        }
                    }
                }
            }
            func partial() throws {
                for part in 0..<vectors {
                    let start = base + .constant(part * width)
                    let count = writer.bind(Dim.minimum(inner.size - start, .constant(width)))
                    try writer.branch([.isNonNegative(count - 1)]) {
                        try columnBody(plan, variables, reduced, split, vectors: 1, width: width) { body in
                            try writer.lanes(width, count: count) { lane in
                                elements.setVariable(inner.variable, to: start + lane)
                                try body(lane, 0)
                            }
                        }
                    }
                }
            }
            if let n = inner.size.constant, n % block == 0 { return try full() }
            if let n = inner.size.constant, n < block { return try partial() }
            try writer.branch([.isNonNegative(inner.size - base - .constant(block))], then: full, otherwise: partial)
        }
        return split
    }

    /// How many vectors of columns a work item works on at once.
    private func columnVectors(_ size: Dim, _ width: Int) -> Int {
        guard let n = size.constant else { return 2 }
        return n >= width * 8 ? 4 : n >= width * 2 ? 2 : 1
    }

    /// All levels and outputs for one block of columns; `forEachColumn` opens the lanes and gives the slot of each.
    private func columnBody(_ plan: RowPlan, _ variables: [Dim], _ reduced: [DomainAxis], _ split: SplitReduction?, vectors: Int,
                            width: Int, _ forEachColumn: (_ body: (Dim, Int) throws -> Void) throws -> Void) throws {
        defer { elements.currentLoads = [:] }
        var reduced = reduced
        split?.limit(&reduced, elements, writer)
        var position: Dim = 0
        for axis in plan.axes { position = position * plan.domain[axis] + variables[axis] }
        for (number, level) in plan.levels.enumerated() {
            let accumulators = level.map { LaneAccumulator($0.code, count: width * vectors, writer) }
            for accumulator in accumulators { accumulator.clear(width: width, writer) }
            try loops(reduced[...]) {
                try forEachColumn { slot, part in
                    writer.currentPart = part
                    defer { writer.currentPart = 0 }
                    for (reduction, accumulator) in zip(level, accumulators) {
                        let number = try reduction.term(variables, elements)
                        let at = reduction.code.hasPosition ? writer.position(elements.physical(position)) : 0
                        accumulator.add(number, at, at: slot, writer)
                    }
                    try storeOutputs(plan, plan.earlyOutputs[number] ?? [], variables)
                }
            }
            if let split {
                return try forEachColumn { slot, _ in
                    for (reduction, accumulator) in zip(level, accumulators) {
                        split.store(accumulator.load(at: slot, writer), of: reduction.value, at: plan.keptAxes.map { variables[$0] }, elements, writer)
                    }
                }
            }
            for (reduction, accumulator) in zip(level, accumulators) {
                elements.currentLoads[reduction.value] = { [writer] in
                    reduction.result(accumulator.load(at: writer.currentLane.map { $0 + .constant(writer.currentPart * width) } ?? 0, writer), writer)
                }
            }
        }
        func store(_ numbers: [Int], _ part: Int) throws {
            writer.currentPart = part
            defer { writer.currentPart = 0 }
            try storeOutputs(plan, numbers, variables)
        }
        if !plan.keptOutputs.isEmpty { try forEachColumn { try store(plan.keptOutputs, $1) } }
        if !plan.fullOutputs.isEmpty { try loops(reduced[...]) { try forEachColumn { try store(plan.fullOutputs, $1) } } }
    }

    private func loops(_ axes: ArraySlice<DomainAxis>, _ body: () throws -> Void) throws {
        guard let axis = axes.first else { return try body() }
        try writer.loop(from: axis.start, to: axis.start + axis.count) { index in
            elements.setVariable(axis.variable, to: index)
            try loops(axes.dropFirst(), body)
        }
    }
}
