// Pointwise kernels on a GPU whose loads and stores disagree about the contiguous axis: tiles go through shared memory, so that global
// memory is read and written in whole lines on both sides. A row of the tile has 33 places: no two threads of a warp meet in a bank.
//
//     loads: threads along the loads' axis →, 8 rows at a time       stores: threads along the stores' axis →
//            tile[inner][axis], pitch 33                                    tile[inner][axis] the other way

import KilnIR

/// Two axes of a pointwise kernel, and the loads that lie along the first of them in memory.
struct TransposedTile {
    var outer: [DomainAxis]
    var axis: DomainAxis
    var inner: DomainAxis
    var loads: [PlannedLoad]
}

extension GroupLowering {
    private static let tileWidth = 32
    /// Places along the stores' axis: two for each thread of a warp, so that a thread has eight loads in flight.
    private static let tileHeight = 64
    private static let tileRows = 8

    /// The tile that the body's loads ask for; nil where they lie as the stores do.
    func tile(_ loops: [DomainAxis], _ body: () throws -> Void) throws -> TransposedTile? {
        guard loops.count >= 2, let inner = loops.last, let innerID = inner.variable.indices.first else { return nil }
        var found: [PlannedLoad] = []
        elements.loadHook = { load in
            if !found.contains(load) { found.append(load) }
            return nil
        }
        defer { elements.loadHook = nil }
        _ = try writer.block(body)
        let known = Set(loops.compactMap(\.variable.indices.first))
        let jumping = found.filter { load in
            guard let stride = load.address.coefficient(ofIndex: innerID), stride != 0, stride != 1, stride != -1 else { return false }
            return ([load.address] + load.conditions.map(\.expression)).allSatisfy { $0.indices.isSubset(of: known) }
        }
        func isLarge(_ size: Dim) -> Bool { (size.constant ?? 1 << 20) >= Self.tileWidth / 2 }
        for number in loops.indices.dropLast() where isLarge(loops[number].size) && isLarge(inner.size) {
            let along = jumping.filter { $0.address.coefficient(ofIndex: loops[number].variable.indices.first!) == 1 }
            if along.isEmpty || along.count > 4 { continue }
            var outer = Array(loops.dropLast())
            outer.remove(at: number)
            return TransposedTile(outer: outer, axis: loops[number], inner: inner, loads: along)
        }
        return nil
    }

    func threadBlockTiles(_ tile: TransposedTile, _ work: Dim, _ body: () throws -> Void) throws {
        let (width, height, rows) = (Self.tileWidth, Self.tileHeight, Self.tileRows)
        let pitch = Dim.constant(width + 1)
        let sizes = tile.outer.map(\.size) + [tile.axis.size.dividedUp(by: .constant(width)), tile.inner.size.dividedUp(by: .constant(height))]
        try threadBlockLaunch(workItems: sizes.reduce(1, *), threads: width * rows, work: work, resident: 4) { workItem, thread in
            let place = unflatten(workItem, sizes)
            for (axis, index) in zip(tile.outer, place) { elements.setVariable(axis.variable, to: index) }
            let axisStart = writer.bind(place[sizes.count - 2] * .constant(width)), innerStart = writer.bind(place[sizes.count - 1] * .constant(height))
            let y = writer.bind(thread.number / .constant(width))
            let x = writer.bind(thread.number - y * .constant(width))
            let tiles = tile.loads.map { shared($0.dtype, height * (width + 1)) }
            func set(_ axis: Dim, _ inner: Dim) {
                elements.setVariable(tile.axis.variable, to: axisStart + axis)
                elements.setVariable(tile.inner.variable, to: innerStart + inner)
            }
            func isInside(_ axis: Dim, _ inner: Dim) -> [IndexCondition] {
                [(tile.axis.size, axisStart + axis, width), (tile.inner.size, innerStart + inner, height)].compactMap { size, index, step in
                    size.constant.map { $0 % step == 0 } ?? false ? nil : .isNonNegative(size - 1 - index)
                }
            }
            var loaded: [(number: ValueNumber, target: Memory, address: Dim)] = []
            for (load, target) in zip(tile.loads, tiles) {
                for part in 0..<height / rows {
                    let inner = y + .constant(part * rows)
                    set(x, inner)
                    let conditions = load.conditions.map { $0.mapping(elements.physical) } + isInside(x, inner)
                    let number = writer.load(load.memory, elements.physical(load.address), load.dtype, where: conditions, fill: load.fill)
                    loaded.append((number, target, inner * pitch + x))
                }
            }
            for (number, target, address) in loaded { writer.store(number, target, address) }
            barrier()
            for part in 0..<width / rows {
                for half in 0..<height / width {
                    let axis = y + .constant(part * rows), inner = x + .constant(half * width)
                    set(axis, inner)
                    elements.loadHook = { [writer] load in
                        tile.loads.firstIndex(of: load).map { writer.load(tiles[$0], inner * pitch + axis, load.dtype) }
                    }
                    defer { elements.loadHook = nil }
                    let conditions = isInside(axis, inner)
                    if conditions.isEmpty { try writer.scoped(body) } else { try writer.branch(conditions, then: body) }
                }
            }
        }
    }
}
