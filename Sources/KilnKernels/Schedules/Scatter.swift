// The schedule of scatters: a copy of the base, then updates in row-major order. Axes on which updates never meet are shared out; where
// those are few and updates many, the target's places have owners too (ScatterByOwners).

import KilnIR

/// A scatter by threads of the host.
struct HostScatter: Schedule {
    let cost: Dim

    static func plan(_ group: GroupLowering, _ target: Target) throws -> HostScatter? {
        guard group.kind == .scatter else { return nil }
        return HostScatter(cost: group.elementwiseCost(group.region.type(of: group.region.outputs[0].value).shape))
    }

    func emit(into group: GroupLowering) throws { try group.scatter() }
}

extension GroupLowering {
    /// The operation of the region that has the given kind of form, with its position.
    func root(_ isRoot: (Form) -> Bool) throws -> Int {
        guard let position = table.forms.firstIndex(where: isRoot) else {
            throw InternalError("schedule", "the group lacks its root operation", context: region.name)
        }
        return position
    }

    fileprivate func scatter() throws {
        let position = try root { if case .scatter = $0 { true } else { false } }
        guard case .scatter(let kind, let coordinates) = table.forms[position] else { return }
        let operation = region.operations[position]
        try copyBase(operation.operands[0])
        let updates = region.type(of: operation.operands[1])
        let target = region.type(of: operation.results[0])
        let axes = makeAxes(updates.shape)
        let variables = axes.map(\.variable)
        let place = Self.place(outputs[0], target)
        // Updates that may meet in one element go in order; axes that lead straight to an axis of their own never meet.
        let free = axes.indices.filter { axis in isFree(axis, coordinates) }
        let lanesAxis = free.last.flatMap { $0 == axes.count - 1 ? $0 : nil }
        let outer = free.filter { $0 != lanesAxis }
        let serial = axes.indices.filter { !free.contains($0) }
        let width = lanes(for: computeDType)
        func update() throws {
            let (indices, conditions) = try scatterIndices(coordinates, operation.operands, target, variables)
            let value = writer.convert(try elements.element(operation.operands[1], variables), to: target.dtype)
            let address = elements.physical(place.address(indices))
            let checks = conditions.map { $0.mapping(elements.physical) }
            let new = kind == .set ? value : combined(kind, writer.load(place.memory, address, target.dtype, where: checks), value)
            writer.store(new, place.memory, address, where: checks)
        }
        let owners = scatterOwners(ScatterAxes(coordinates: coordinates, operands: operation.operands, target: target, axes: axes,
                                               outer: outer, lanesAxis: lanesAxis, serial: serial))
        if let owners {
            return try scatter(by: owners) {
                guard let lanesAxis else { return try update() }
                try writer.vectors(width, count: axes[lanesAxis].size) { index, _ in
                    elements.setVariable(variables[lanesAxis], to: index)
                    try update()
                }
            }
        }
        // Every work item goes through all indices, and a vector is the least that it can have of each update: wide ones, where they are enough.
        var columns = width * 4
        let length = lanesAxis.flatMap { axes[$0].size.constant } ?? 0
        while columns > width, length / columns * (outer.reduce(1) { $0 * axes[$1].size }.constant ?? WorkDivision.fairWorkItems) < WorkDivision.fairWorkItems { columns /= 2 }
        let isCut = length >= columns * 2
        let blocks = isCut ? axes[lanesAxis!].size.dividedUp(by: .constant(columns)) : 1
        func loops(_ rest: ArraySlice<Int>, _ block: Dim) throws {
            if let axis = rest.first {
                return try writer.loop(to: axes[axis].size) { index in
                    elements.setVariable(variables[axis], to: index)
                    try loops(rest.dropFirst(), block)
                }
            }
            guard let lanesAxis else { return try update() }
            let first = block * .constant(columns)
            let count = isCut ? Dim.minimum(axes[lanesAxis].size - first, .constant(columns)) : axes[lanesAxis].size
            try writer.vectors(width, from: isCut ? first : 0, count: isCut ? writer.bind(count) : count) { index, _ in
                elements.setVariable(variables[lanesAxis], to: index)
                try update()
            }
        }
        let sizes = outer.map { axes[$0].size } + [blocks]
        try launch(workItems: sizes.reduce(1, *), work: updates.elementCount * 4) { workItem in
            let place = unflatten(workItem, sizes)
            for (axis, index) in zip(outer, place) { elements.setVariable(variables[axis], to: index) }
            try loops(serial[...], place.last!)
        }
    }

    /// Whether an axis of the updates is an axis of the target by itself, so that different positions never meet.
    func isFree(_ axis: Int, _ coordinates: [Coordinate]) -> Bool {
        coordinates.contains { if case .affine(let dim) = $0 { dim == .index(axis) } else { false } }
    }

    func combined(_ kind: ScatterKind, _ old: ValueNumber, _ new: ValueNumber) -> ValueNumber {
        let isBool = writer.dtypes[old] == .bool
        return switch kind {
        case .set: new
        case .add: writer.apply(isBool ? .or : .add, old, new)
        case .multiply: writer.apply(isBool ? .and : .multiply, old, new)
        case .maximum: writer.apply(isBool ? .or : .maximum, old, new)
        case .minimum: writer.apply(isBool ? .and : .minimum, old, new)
        }
    }

    func scatterIndices(_ coordinates: [Coordinate], _ operands: [ValueID], _ target: TensorType,
                                _ variables: [Dim]) throws -> ([Dim], [IndexCondition]) {
        var conditions: [IndexCondition] = []
        let indices = try coordinates.enumerated().map { axis, coordinate -> Dim in
            switch coordinate {
            case .affine(let dim): return dim.substituting(indices: variables, ranges: elements.ranges)
            case .lookup(let operand, let at):
                let number = try elements.element(operands[operand], at.map { $0.substituting(indices: variables, ranges: elements.ranges) })
                let variable = writer.bind(value: elements.wrapNegative(number, size: target.shape[axis]))
                conditions.append(.isNonNegative(variable))
                conditions.append(.isNonNegative(target.shape[axis] - 1 - variable))
                return variable
            }
        }
        return (indices, conditions)
    }

    private func copyBase(_ operand: ValueID) throws {
        let type = region.type(of: operand)
        let place = Self.place(outputs[0], type)
        let axes = makeAxes(type.shape)
        let variables = axes.map(\.variable)
        func copy() throws {
            writer.store(try elements.element(operand, variables), place.memory, elements.physical(place.address(variables)), streaming: isStreaming(type))
        }
        let expressions = try observe(copy)
        try overElements(merged(axes, expressions: expressions), work: type.elementCount, copy)
    }
}
