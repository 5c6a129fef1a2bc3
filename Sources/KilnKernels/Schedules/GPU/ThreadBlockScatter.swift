// The GPU's schedule of scatters, without atomics for floats: each element of the target has an owner, which goes through the updates in
// order and applies its own. Integers' sums and extremes do not depend on the order: there all updates go at once.
//
//     a thread block owns a range of the looked-up axis; its threads are laid over the free axes (→) and over the places of the range (↓);
//     tiles of 256 indices come through shared memory, and warps' tiles in which the thread block has nothing are passed over

import KilnIR

/// A scatter by thread blocks.
struct BlockScatter: Schedule {
    let cost: Dim

    static func plan(_ group: GroupLowering, _ target: Target) throws -> BlockScatter? {
        guard group.kind == .scatter else { return nil }
        return BlockScatter(cost: group.elementwiseCost(group.region.type(of: group.region.outputs[0].value).shape))
    }

    func emit(into group: GroupLowering) throws { try group.threadBlockScatter() }
}

extension GroupLowering {
    private static let scatterThreads = 256

    /// What a scatter's kernel is about.
    private struct ThreadBlockScatter {
        var kind: ScatterKind
        var coordinates: [Coordinate]
        var operands: [ValueID]
        var target: TensorType
        var place: MemoryReference
        var axes: [DomainAxis]
        /// Axes of the updates on which different places never meet, and the others.
        var free: [Int]
        var serial: [Int]

        var variables: [Dim] { axes.map(\.variable) }
        func size(_ numbers: [Int]) -> Dim { numbers.reduce(1) { $0 * axes[$1].size } }
        func sizes(_ numbers: [Int]) -> [Dim] { numbers.map { axes[$0].size } }
    }

    fileprivate func threadBlockScatter() throws {
        let position = try root { if case .scatter = $0 { true } else { false } }
        guard case .scatter(let kind, let coordinates) = table.forms[position] else { return }
        let operation = region.operations[position]
        let target = region.type(of: operation.results[0])
        let axes = makeAxes(region.type(of: operation.operands[1]).shape)
        let free = axes.indices.filter { isFree($0, coordinates) }
        let scatter = ThreadBlockScatter(kind: kind, coordinates: coordinates, operands: operation.operands, target: target,
                                  place: Self.place(outputs[0], target), axes: axes, free: free, serial: axes.indices.filter { !free.contains($0) })
        try threadBlockElements(over: target.shape, [target.dtype]) { _, variables in try elements.element(operation.operands[0], variables) } store: {
            writer.store($1, scatter.place.memory, elements.physical(scatter.place.address($2)))
        }
        let isCountable = target.dtype.isInteger && target.dtype.byteCount >= 4 && kind != .set && kind != .multiply
        let serial = scatter.size(scatter.serial)
        if isCountable || serial == 1 { return try scatterAtOnce(scatter, isAtomic: serial != 1) }
        let isWide = (scatter.size(free).constant ?? 0) >= 1 << 15 || (serial.constant ?? 64) <= 8
        if let axis = ownedAxis(scatter), !isWide { return try scatterByOwners(scatter, axis) }
        try scatterByThreads(scatter)
    }

    private func setAxes(_ scatter: ThreadBlockScatter, _ numbers: [Int], _ position: Dim) {
        for (axis, index) in zip(numbers, unflatten(position, scatter.sizes(numbers))) { elements.setVariable(scatter.axes[axis].variable, to: index) }
    }

    /// Applies the update at the axes' variables.
    private func update(_ scatter: ThreadBlockScatter, isAtomic: Bool = false) throws {
        let (indices, conditions) = try scatterIndices(scatter.coordinates, scatter.operands, scatter.target, scatter.variables)
        try update(scatter, at: indices, where: conditions.map { $0.mapping(elements.physical) }, isAtomic: isAtomic)
    }

    private func update(_ scatter: ThreadBlockScatter, at indices: [Dim], where checks: [IndexCondition], isAtomic: Bool = false) throws {
        let value = writer.convert(try elements.element(scatter.operands[1], scatter.variables), to: scatter.target.dtype)
        let (memory, address) = (scatter.place.memory, elements.physical(scatter.place.address(indices)))
        if isAtomic { return writer.append(.atomic(scatter.kind, Access(memory, address, where: checks), value)) }
        let new = scatter.kind == .set ? value : combined(scatter.kind, writer.load(memory, address, scatter.target.dtype, where: checks), value)
        writer.store(new, memory, address, where: checks)
    }

    private func scatterAtOnce(_ scatter: ThreadBlockScatter, isAtomic: Bool) throws {
        let all = Array(scatter.axes.indices)
        try threadLaunch(workItems: scatter.size(all), work: scatter.size(all) * 4) { position in
            setAxes(scatter, all, position)
            try update(scatter, isAtomic: isAtomic)
        }
    }

    /// Each thread has a place of the free axes, and goes through the others.
    private func scatterByThreads(_ scatter: ThreadBlockScatter) throws {
        try threadLaunch(workItems: scatter.size(scatter.free), work: scatter.size(Array(scatter.axes.indices)) * 4) { position in
            setAxes(scatter, scatter.free, position)
            func loops(_ rest: ArraySlice<Int>) throws {
                guard let axis = rest.first else { return try update(scatter) }
                try writer.loop(to: scatter.axes[axis].size) { index in
                    elements.setVariable(scatter.axes[axis].variable, to: index)
                    try loops(rest.dropFirst())
                }
            }
            try loops(scatter.serial[...])
        }
    }

    // MARK: Owners

    /// The target's axis whose places have owners: the only one that is looked up.
    private func ownedAxis(_ scatter: ThreadBlockScatter) -> Int? {
        let looked = scatter.coordinates.indices.filter { if case .lookup = scatter.coordinates[$0] { true } else { false } }
        return looked.count == 1 ? looked[0] : nil
    }

    private func scatterByOwners(_ scatter: ThreadBlockScatter, _ axis: Int) throws {
        guard case .lookup(let operand, let at) = scatter.coordinates[axis] else { return }
        // Free axes that the index depends on are the thread block's; the others are laid over its threads.
        let used = Set(at.flatMap(\.indices))
        let outer = scatter.free.filter { used.contains($0) }, across = scatter.free.filter { !used.contains($0) }
        let threads = Self.scatterThreads
        let width = scatter.size(across)
        var columns = threads
        while columns > 1, let width = width.constant, width <= columns / 2 { columns /= 2 }
        let owners = Dim.constant(threads / columns)
        let blocks = width.dividedUp(by: .constant(columns))
        let size = scatter.target.shape[axis]
        let ranges = scatterRanges(blocks * scatter.size(outer), size, threads / columns)
        let range = size.dividedUp(by: .constant(ranges))
        let count = scatter.size(scatter.serial)
        let sizes = scatter.sizes(outer) + [.constant(ranges), blocks]
        try threadBlockLaunch(workItems: sizes.reduce(1, *), threads: threads, work: count * sizes.reduce(1, *), resident: 4) { workItem, thread in
            let place = unflatten(workItem, sizes)
            for (axis, index) in zip(outer, place) { elements.setVariable(scatter.axes[axis].variable, to: index) }
            let start = writer.bind(place[outer.count] * range)
            let row = writer.bind(thread.number / .constant(columns))
            let column = writer.bind(place[outer.count + 1] * .constant(columns) + thread.number - row * .constant(columns))
            setAxes(scatter, across, column)
            let found = shared(.i64, threads)
            let hasAny = shared(.bool, threads / ThreadBlock.warp)
            let warp = writer.bind(thread.number / .constant(ThreadBlock.warp))
            try writer.loop(to: writer.bind(count.dividedUp(by: .constant(threads)))) { tile in
                let own = writer.local(.i64, 1)
                writer.store(writer.constant(-1, .i64), own, 0)
                let position = tile * .constant(threads) + thread.number
                try writer.branch([.isNonNegative(count - 1 - position)]) {
                    setAxes(scatter, scatter.serial, position)
                    let places = at.map { $0.substituting(indices: scatter.variables, ranges: elements.ranges) }
                    let index = writer.bind(value: elements.wrapNegative(try elements.element(scatter.operands[operand], places), size: size))
                    let isOwn = writer.define(.holds([.isNonNegative(index), .isNonNegative(size - 1 - index), .isNonNegative(index - start),
                                                      .isNonNegative(start + range - 1 - index)]), .bool)
                    writer.store(writer.apply(.select, isOwn, writer.position(index), writer.constant(-1, .i64)), own, 0)
                }
                let index = writer.bind(value: writer.load(own, 0, .i64))
                writer.store(writer.position(index), found, thread.number)
                let any = writer.define(.vote(.any, writer.define(.holds([.isNonNegative(index)]), .bool)), .bool)
                writer.branch([.isZero(thread.number - warp * .constant(ThreadBlock.warp))]) { writer.store(any, hasAny, warp) }
                barrier()
                try writer.loop(to: .constant(threads / ThreadBlock.warp)) { part in
                    let isAny = writer.bind(value: writer.convert(writer.load(hasAny, part, .bool), to: .i64))
                    try writer.branch([.isNonNegative(isAny - 1), .isNonNegative(width - 1 - column)]) {
                        try writer.loop(to: .constant(ThreadBlock.warp)) { number in
                            let index = writer.bind(value: writer.load(found, part * .constant(ThreadBlock.warp) + number, .i64))
                            try writer.branch([.isNonNegative(index), .isZero(index - index / owners * owners - row)]) {
                                setAxes(scatter, scatter.serial, writer.bind(tile * .constant(threads) + part * .constant(ThreadBlock.warp) + number))
                                try apply(scatter, axis, index)
                            }
                        }
                    }
                }
                barrier()
            }
        }
    }

    /// Applies the update whose looked-up index is known.
    private func apply(_ scatter: ThreadBlockScatter, _ axis: Int, _ index: Dim) throws {
        let indices = scatter.coordinates.enumerated().map { number, coordinate -> Dim in
            guard number != axis, case .affine(let dim) = coordinate else { return index }
            return dim.substituting(indices: scatter.variables, ranges: elements.ranges)
        }
        try update(scatter, at: indices, where: [])
    }

    /// Into how many ranges the looked-up axis is cut, so that every processor has some.
    private func scatterRanges(_ others: Dim, _ size: Dim, _ owners: Int) -> Int {
        let wanted = 2 * (target.gpu?.processors ?? 108)
        let ranges = max(1, wanted / max(others.constant ?? wanted / 8, 1))
        return size.constant.map { max(1, min(ranges, $0 / owners)) } ?? ranges
    }
}
