// The schedules of scans, one element after the other along the axis, and of scatters, which apply updates in row-major order.

import KilnIR

extension GroupLowering {
    /// The operation of the region that has the given kind of form, with its position.
    func root(_ isRoot: (Form) -> Bool) throws -> Int {
        guard let position = table.forms.firstIndex(where: isRoot) else {
            throw InternalError("schedule", "the group lacks its root operation", context: region.name)
        }
        return position
    }

    func scan() throws {
        let position = try root { if case .scan = $0 { true } else { false } }
        guard case .scan(let kind, let axis, let reverse, let exclusive) = table.forms[position] else { return }
        let operand = region.operations[position].operands[0]
        let type = region.type(of: operand)
        let result = region.type(of: region.outputs[0].value)
        let code = ReductionCode(kind, operand: type.dtype, result: result.dtype)
        let axes = makeAxes(type.shape)
        let variables = axes.map(\.variable)
        let others = axes.indices.filter { $0 != axis }
        let lanesAxis = axis == axes.count - 1 ? nil : others.last
        let outer = others.filter { $0 != lanesAxis }
        let units = outer.reduce(1) { $0 * axes[$1].size }
        let width = lanes(for: computeDType)
        func run(_ slots: Int) throws {
            let size = axes[axis].size
            let accumulator = LaneAccumulator(code, count: slots, writer)
            let slot = writer.currentLane ?? 0
            accumulator.store(code.identity(writer), at: slot, writer)
            try writer.loop(to: size) { step in
                elements.setVariable(variables[axis], to: reverse ? size - 1 - step : step)
                let before = accumulator.load(at: slot, writer)
                let lifted = code.lift(try elements.element(operand, variables), position: 0, writer)
                let after = code.combine(before, lifted, writer)
                accumulator.store(after, at: slot, writer)
                storeOutput(0, code.result(exclusive ? before : after, writer), variables)
            }
        }
        try phase(units: units, work: type.elementCount * .constant(costPerElement)) { unit in
            for (axis, index) in zip(outer, unflatten(unit, outer.map { axes[$0].size })) { elements.setVariable(variables[axis], to: index) }
            guard let lanesAxis else { return try run(1) }
            try writer.vectors(width, count: axes[lanesAxis].size) { index, _ in
                elements.setVariable(variables[lanesAxis], to: index)
                try run(width)
            }
        }
    }

    func scatter() throws {
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
        let units = free.filter { $0 != lanesAxis }
        let serial = axes.indices.filter { !free.contains($0) }
        func update() throws {
            let (indices, conditions) = try scatterIndices(coordinates, operation.operands, target, variables)
            let value = writer.convert(try elements.element(operation.operands[1], variables), to: target.dtype)
            let address = elements.physical(place.address(indices))
            let checks = conditions.map { $0.mapping(elements.physical) }
            let new = kind == .set ? value : combined(kind, writer.load(place.memory, address, target.dtype, where: checks), value)
            writer.store(new, place.memory, address, where: checks)
        }
        func loops(_ rest: ArraySlice<Int>) throws {
            if let axis = rest.first {
                return try writer.loop(to: axes[axis].size) { index in
                    elements.setVariable(variables[axis], to: index)
                    try loops(rest.dropFirst())
                }
            }
            guard let lanesAxis else { return try update() }
            try writer.vectors(lanes(for: computeDType), count: axes[lanesAxis].size) { index, _ in
                elements.setVariable(variables[lanesAxis], to: index)
                try update()
            }
        }
        try phase(units: units.reduce(1) { $0 * axes[$1].size }, work: updates.elementCount * 4) { unit in
            for (axis, index) in zip(units, unflatten(unit, units.map { axes[$0].size })) { elements.setVariable(variables[axis], to: index) }
            try loops(serial[...])
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
        let expressions = try observe { _ = try self.elements.element(operand, axes.map(\.variable)); _ = self.elements.physical(place.address(axes.map(\.variable))) }
        let loops = merged(axes, expressions: expressions)
        let outer = loops.dropLast()
        try phase(units: outer.reduce(1) { $0 * $1.size }, work: type.elementCount) { unit in
            for (axis, index) in zip(outer, unflatten(unit, outer.map(\.size))) { elements.setVariable(axis.variable, to: index) }
            func copy() throws {
                let number = try elements.element(operand, axes.map(\.variable))
                writer.store(number, place.memory, elements.physical(place.address(axes.map(\.variable))))
            }
            guard let inner = loops.last else { return try copy() }
            try writer.vectors(lanes(for: computeDType), count: inner.size) { index, _ in
                elements.setVariable(inner.variable, to: index)
                try copy()
            }
        }
    }
}
