// Attention a row at a time, and its gradients a row or key at a time: no tile, no scratch but a row of sums for each work item.
// It takes every dtype and size on every target, for those that no faster schedule takes.

import KilnIR

extension GroupLowering {
    func attentionPlain(_ plan: AttentionPlan) throws {
        switch plan.form.direction {
        case .forward: if plan.outer * plan.rows != 0 { try attentionPlainForward(plan) }
        case .backward:
            if plan.outputs[0] != nil, plan.outer * plan.rows != 0 { try attentionPlainRows(plan) }
            if plan.outputs[1] != nil || plan.outputs[2] != nil, plan.group * plan.keys != 0 { try attentionPlainKeys(plan) }
        }
    }

    /// A work item's row of sums over the features, in memory of its own.
    private struct Sums {
        let place: MemoryReference
        let base: Dim
        let count: Dim
        let plan: AttentionPlan
        let lowering: GroupLowering

        private func forEach(_ body: (Dim) throws -> Void) throws {
            try lowering.writer.vectors(lowering.lanes(for: plan.accumulator), count: count) { index, _ in try body(index) }
        }

        func clear() throws {
            try forEach { lowering.writer.store(lowering.writer.constant(0, plan.accumulator), place.memory, base + $0) }
        }

        /// Adds a factor times the elements, to what is there times another.
        func add(_ factor: ValueNumber, _ frame: AttentionFrame, keeping old: ValueNumber? = nil, _ element: () throws -> ValueNumber) throws {
            let writer = lowering.writer
            try forEach { index in
                lowering.elements.setVariable(frame.feature, to: index)
                var sum = writer.load(place.memory, base + index, plan.accumulator)
                if let old { sum = writer.apply(.multiply, sum, old) }
                writer.store(writer.apply(.fusedMultiplyAdd, factor, try element(), sum), place.memory, base + index)
            }
        }

        func store(_ result: Int, _ frame: AttentionFrame, _ indices: [Dim], _ value: (ValueNumber) -> ValueNumber = { $0 }) throws {
            try forEach { index in
                lowering.elements.setVariable(frame.feature, to: index)
                lowering.storeResult(plan, result, value(lowering.writer.load(place.memory, base + index, plan.accumulator)),
                                     indices)
            }
        }
    }

    private func sums(_ plan: AttentionPlan, _ place: MemoryReference, _ workItem: Dim, _ count: Dim) -> Sums {
        Sums(place: place, base: writer.bind(workItem * count), count: count, plan: plan, lowering: self)
    }

    /// The sum over the features of the products of two operands' elements.
    private func dot(_ plan: AttentionPlan, _ left: Int, _ right: Int, _ frame: AttentionFrame, _ count: Dim) throws -> ValueNumber {
        let sum = writer.local(plan.accumulator, 1)
        writer.store(writer.constant(0, plan.accumulator), sum, 0)
        try writer.loop(to: count) { index in
            elements.setVariable(frame.feature, to: index)
            let a = try attentionElement(plan, left, frame.queryIndices), b = try attentionElement(plan, right, frame.keyIndices)
            writer.store(writer.apply(.fusedMultiplyAdd, a, b, writer.load(sum, 0, plan.accumulator)), sum, 0)
        }
        return writer.load(sum, 0, plan.accumulator)
    }

    private func score(_ plan: AttentionPlan, _ frame: AttentionFrame) throws -> ValueNumber {
        let product = writer.apply(.multiply, try dot(plan, 0, 1, frame, plan.size), writer.constant(.real(plan.form.scale), plan.accumulator))
        return try masked(plan, product, frame)
    }

    private func attentionPlainForward(_ plan: AttentionPlan) throws {
        let place = temporary("sums", plan.accumulator, [plan.outer * plan.rows * plan.valueSize])
        let (products, values) = (attentionFrame(plan, features: plan.size), attentionFrame(plan, features: plan.valueSize))
        try launch(workItems: plan.outer * plan.rows, work: plan.work) { workItem in
            let indices = unflatten(workItem, plan.outerShape + [plan.rows])
            for frame in [products, values] {
                setOuter(frame, indices)
                elements.setVariable(frame.row, to: indices.last!)
            }
            let sums = sums(plan, place, workItem, plan.valueSize)
            let state = writer.local(plan.accumulator, 2)
            writer.store(writer.constant(.real(-.infinity), plan.accumulator), state, 0)
            writer.store(writer.constant(0, plan.accumulator), state, 1)
            try sums.clear()
            try writer.loop(to: writer.bind(keyLimit(plan, afterRow: indices.last!))) { key in
                for frame in [products, values] { elements.setVariable(frame.key, to: key) }
                let score = try score(plan, products)
                let before = writer.load(state, 0, plan.accumulator)
                let greatest = writer.apply(.maximum, before, score)
                let shift = shift(greatest, plan)
                let kept = writer.apply(.exp, writer.apply(.subtract, before, shift))
                let weight = writer.apply(.exp, writer.apply(.subtract, score, shift))
                writer.store(greatest, state, 0)
                writer.store(writer.apply(.fusedMultiplyAdd, writer.load(state, 1, plan.accumulator), kept, weight), state, 1)
                try sums.add(weight, values, keeping: kept) { try self.attentionElement(plan, 2, values.keyIndices) }
            }
            let sum = writer.load(state, 1, plan.accumulator)
            let greatest = writer.load(state, 0, plan.accumulator)
            storeResult(plan, 1, writer.apply(.add, shift(greatest, plan), writer.apply(.log, sum)), values.rowIndices)
            try sums.store(0, values, values.queryIndices) { self.quotient($0, sum, plan) }
        }
    }

    /// A score's weight, and its gradient over the scale.
    private func gradient(_ plan: AttentionPlan, _ products: AttentionFrame, _ values: AttentionFrame) throws -> (weight: ValueNumber, excess: ValueNumber) {
        let weight = writer.apply(.exp, writer.apply(.subtract, try score(plan, products), try rowLogarithm(plan, products)))
        let product = try dot(plan, 4, 2, values, plan.valueSize)
        let excess = writer.apply(.multiply, weight, writer.apply(.subtract, product, try elements.element(plan.operands[5], products.rowIndices)))
        return (weight, writer.apply(.multiply, excess, writer.constant(.real(plan.form.scale), plan.accumulator)))
    }

    /// The queries' gradient.
    private func attentionPlainRows(_ plan: AttentionPlan) throws {
        let place = temporary("sums", plan.accumulator, [plan.outer * plan.rows * plan.size])
        let (products, values) = (attentionFrame(plan, features: plan.size), attentionFrame(plan, features: plan.valueSize))
        let sources = attentionFrame(plan, features: plan.size)
        try launch(workItems: plan.outer * plan.rows, work: plan.work) { workItem in
            let indices = unflatten(workItem, plan.outerShape + [plan.rows])
            for frame in [products, values, sources] {
                setOuter(frame, indices)
                elements.setVariable(frame.row, to: indices.last!)
            }
            let sums = sums(plan, place, workItem, plan.size)
            try sums.clear()
            try writer.loop(to: writer.bind(keyLimit(plan, afterRow: indices.last!))) { key in
                for frame in [products, values, sources] { elements.setVariable(frame.key, to: key) }
                let (_, excess) = try gradient(plan, products, values)
                try sums.add(excess, sources) { try self.attentionElement(plan, 1, sources.keyIndices) }
            }
            try sums.store(0, sources, sources.queryIndices)
        }
    }

    /// The keys' and the values' gradients, over all heads that share them.
    private func attentionPlainKeys(_ plan: AttentionPlan) throws {
        let keySums = temporary("sums", plan.accumulator, [plan.group * plan.keys * plan.size])
        let valueSums = temporary("sums", plan.accumulator, [plan.group * plan.keys * plan.valueSize])
        let (products, values) = (attentionFrame(plan, features: plan.size), attentionFrame(plan, features: plan.valueSize))
        let (keySources, valueSources) = (attentionFrame(plan, features: plan.size), attentionFrame(plan, features: plan.valueSize))
        let frames = [products, values, keySources, valueSources]
        try launch(workItems: plan.group * plan.keys, work: plan.work) { workItem in
            let indices = unflatten(workItem, plan.groupShape + [plan.keys])
            for frame in frames {
                setOuter(frame, Array(indices.dropLast()))
                elements.setVariable(frame.key, to: indices.last!)
            }
            let (ofKey, ofValue) = (sums(plan, keySums, workItem, plan.size), sums(plan, valueSums, workItem, plan.valueSize))
            try ofKey.clear()
            try ofValue.clear()
            let start = writer.bind(rowStart(plan, key: indices.last!))
            try writer.loop(to: .constant(plan.ratio)) { head in
                for frame in frames { elements.setVariable(frame.outer.last!, to: head) }
                try writer.loop(from: start, to: plan.rows) { row in
                    for frame in frames { elements.setVariable(frame.row, to: row) }
                    let (weight, excess) = try gradient(plan, products, values)
                    try ofKey.add(excess, keySources) { try self.attentionElement(plan, 0, keySources.queryIndices) }
                    try ofValue.add(weight, valueSources) { try self.attentionElement(plan, 4, valueSources.queryIndices) }
                }
            }
            try ofKey.store(1, keySources, keySources.keyIndices)
            try ofValue.store(2, valueSources, valueSources.keyIndices)
        }
    }
}
