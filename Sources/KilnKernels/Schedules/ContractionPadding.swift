// Padding of a convolution's input, made once: a copy with its border of zeros, so that packing, which reads each element many
// times over, has no edges to look out for.

import KilnIR

extension GroupLowering {
    /// Writes the padded copies that the contraction reads many times over, and makes the plan read them.
    func materializePadding(_ plan: inout ContractionPlan) throws {
        if isExpanding(plan, plan.rowsOperand, plan.rowsOuter + plan.m) { try materializePaddingViews(plan.rowsOperand) }
        guard isExpanding(plan) else { return }
        try materializePaddingViews(plan.columnsOperand)
        guard !plan.columns.conditions.isEmpty, let border = border(plan) else { return }
        let type = region.type(of: plan.columnsOperand)
        let shape = zip(type.shape, border).map { $0 + $1.low + $1.high }
        let operand = plan.columnsOperand
        plan.columnsPlace = try materialize("padded", type.dtype, shape) { indices in
            var conditions: [IndexCondition] = []
            let source = type.shape.indices.map { axis -> Dim in
                let (low, high) = border[axis]
                let index = indices[axis] - low
                if low != 0 { conditions.append(.isNonNegative(index)) }
                if high != 0 { conditions.append(.isNonNegative(type.shape[axis] - 1 - index)) }
                return index
            }
            return try elements.factor(IndexMap.Piece(indices: source, conditions: conditions), operand, [])
        }
        plan.columns = IndexMap.Piece(indices: zip(plan.columns.indices, border).map { $0 + $1.low })
    }

    /// How far the columns' indices reach past each axis of their operand; nil where their conditions say more than that.
    private func border(_ plan: ContractionPlan) -> [(low: Dim, high: Dim)]? {
        let shape = region.type(of: plan.columnsOperand).shape
        let ranges = IndexRanges(shape: plan.contraction.sizes)
        var border: [(low: Dim, high: Dim)] = []
        var expected: Set<IndexCondition> = []
        for (index, size) in zip(plan.columns.indices, shape) {
            guard let least = ranges.bound(index, upper: false), let most = ranges.bound(index, upper: true) else { return nil }
            border.append((.maximum(-least, 0), .maximum(most.withoutRounding - size + 1, 0)))
            expected.insert(.isNonNegative(index))
            expected.insert(.isNonNegative(size - 1 - index))
        }
        return plan.columns.conditions.allSatisfy(expected.contains) ? border : nil
    }

    /// The same for views with conditions between the contraction and its operand in memory.
    private func materializePaddingViews(_ value: ValueID) throws {
        guard elements.places[value] == nil, let position = table.definitions[value], case .view(let map) = table.forms[position],
            map.pieces.count == 1 else { return }
        let source = region.operations[position].operands[map.pieces[0].operand]
        try materializePaddingViews(source)
        if map.pieces[0].conditions.isEmpty { return }
        let type = region.type(of: value)
        elements.places[value] = try materialize("padded", type.dtype, type.shape) { try elements.element(value, $0) }
    }

    /// A launch that computes a dense temporary element by element, in vectors along the innermost axis.
    private func materialize(_ name: String, _ dtype: DType, _ shape: Shape, _ element: ([Dim]) throws -> ValueNumber) throws -> MemoryReference {
        let place = temporary(name, dtype, shape)
        let variables = shape.map { $0 == 1 ? 0 : elements.makeVariable(size: $0) }
        let outer = shape.indices.dropLast()
        // Short lines: several to a work item.
        let lines = Dim.constant(max(1, 4096 / max(shape.last?.constant ?? 4096, 1)))
        let count = outer.reduce(1) { $0 * shape[$1] }
        try launch(workItems: count.dividedUp(by: lines), work: shape.reduce(1, *)) { workItem in
            let first = workItem * lines
            try writer.loop(from: first, to: writer.bind(Dim.minimum(first + lines, count))) { line in
                for (axis, index) in zip(outer, unflatten(line, outer.map { shape[$0] })) { elements.setVariable(variables[axis], to: index) }
                try writer.vectors(lanes(for: dtype), count: shape.last ?? 1) { index, _ in
                    if let last = variables.last { elements.setVariable(last, to: index) }
                    writer.store(try element(variables), place.memory, elements.physical(place.address(variables)))
                }
            }
        }
        return place
    }

    /// An element of the columns' operand.
    func columnElement(_ plan: ContractionPlan, _ variables: [Dim], _ conditions: [IndexCondition]) throws -> ValueNumber {
        guard let place = plan.columnsPlace else { return try elements.factor(plan.columns, plan.columnsOperand, variables, conditions) }
        return elements.load(place, plan.columns.indices.map { $0.substituting(indices: variables, ranges: elements.ranges) }, where: conditions)
    }
}

extension Dim {
    /// A bound from above that holds no quotients rounded down which are multiplied again, as those of strides are: `2 * floor(n / 2)`
    /// gives `n`.
    fileprivate var withoutRounding: Dim {
        terms.reduce(0) { sum, term in
            guard term.coefficient > 0, term.atoms.count == 1, case .floorDivide(let whole, let by) = term.atoms[0], let divisor = by.constant,
                term.coefficient % divisor == 0 else { return sum + Dim(terms: [term]) }
            return sum + .constant(term.coefficient / divisor) * whole
        }
    }
}
