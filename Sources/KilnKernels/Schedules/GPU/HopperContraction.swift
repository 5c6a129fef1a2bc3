// Contractions on sm_90a: one warp keeps a ring of tiles filled through TMA, groups of four warps multiply them.
//
//     copying warp      await empty[s] → expect full[s] → load rows, load columns          (s runs round the ring)
//     multiplying       await full[s] → 4 products of 64 × columns × 32 bytes → arrive empty[s], once they are done
//
// What it should reach, for bf16 and tiles of 128 × 256: a step of 64 products is 2 · 128 · 256 · 64 = 4.2 MFLOP, for which a processor
// (4096 FLOP a cycle) takes 1024 cycles; it reads 48 KiB from the level-2 cache, 48 bytes a cycle of the 64 or so that a processor
// gets, and from shared memory (64 + 256) · 128 bytes for each of two groups, 80 a cycle of 128. So the tensor cores are the limit:
// all of their peak in the loop, less the result's stores, which nothing overlaps but the next tile's first four steps: 128 · 256
// elements at about 20 bytes a cycle are 3,300 cycles of 65,536 (4096 deep, 5 %) or of 131,072 (8192 deep, 3 %), and less the last wave:
// 512 tiles are 3.9 waves of 132 work items (97 % used), 2048 are 15.5 (97 %). About 0.9 of what the clock allows.

import KilnIR
import KilnPasses

/// The memory that the copying warp and the multiplying ones share.
struct HopperRing {
    var rows: Memory
    var columns: Memory
    /// A barrier a stage: its tiles have arrived; its tiles have been read.
    var full: Memory
    var empty: Memory
    /// Where a warp turns 16 rows of its sums round, to store them in whole lines.
    var staging: Memory
}

/// A contraction on sm_90a's tensor cores, with tiles copied by its TMA.
struct HopperContraction: Schedule {
    let plan: HopperPlan
    let gpu: GPU
    var cost: Dim { plan.size(Array(plan.contraction.sizes.indices)) }

    static func plan(_ group: GroupLowering, _ target: Target) throws -> HopperContraction? {
        guard let gpu = target.gpu, gpu.isSpecific, let (contraction, operation) = try group.contractionRoot(),
            let plan = group.hopperPlan(contraction, operation, gpu) else { return nil }
        return HopperContraction(plan: plan, gpu: gpu)
    }

    func emit(into group: GroupLowering) throws {
        var plan = plan
        try group.compute(&plan.rows)
        try group.compute(&plan.columns)
        let frame = group.hopperFrame(plan)
        if plan.parts == 1 {
            try group.hopperProducts(plan, gpu) { place, row, column, load in
                try group.storeHopperElements(plan, frame, outer: place.outer, row: row, column: column, load)
            }
        } else { try group.hopperSplit(plan, gpu, frame) }
    }
}

extension GroupLowering {
    /// The launch that multiplies. `store` writes code for four neighbouring columns of a row, which it gets in lanes from `load`.
    func hopperProducts(_ plan: HopperPlan, _ gpu: GPU, store: (HopperPlace, _ row: Dim, _ column: Dim, _ load: (Dim) -> ValueNumber) throws -> Void) throws {
        let tile = plan.tile
        let items = plan.tiles * .constant(plan.parts)
        let places = gpu.processors * tile.resident
        let multipliers = tile.consumers * 128
        try threadBlockLaunch(workItems: .minimum(items, .constant(places)), threads: tile.threads, work: plan.size(Array(plan.contraction.sizes.indices)),
                      resident: tile.resident, maps: [try map(plan.rows, plan.m, tile.rows, plan), try map(plan.columns, plan.n, tile.columns, plan)]) { workItem, thread in
            let ring = HopperRing(
                rows: shared(plan.dtype, tile.stages * tile.rows * plan.tileDepth, alignment: 1024),
                columns: shared(plan.dtype, tile.stages * tile.columns * plan.tileDepth, alignment: 1024),
                full: shared(.u64, tile.stages), empty: shared(.u64, tile.stages),
                staging: shared(plan.kind.accumulator, tile.consumers * 4 * Self.stagedRows * Self.stagedStride))
            writer.branch([.isZero(thread.number)]) {
                for stage in 0..<tile.stages {
                    writer.append(.threadBlock(.initialize(barrier: Access(ring.full, .constant(stage)), arrivals: 1)))
                    writer.append(.threadBlock(.initialize(barrier: Access(ring.empty, .constant(stage)), arrivals: tile.consumers * 4)))
                }
                writer.append(.threadBlock(.fenceBarriers))
            }
            barrier()
            /// Runs the body for each of the work item's tiles: which depends on its number alone, so that results never depend on timing.
            func forEachTile(_ body: (HopperPlace) throws -> Void) rethrows {
                try writer.loop(from: workItem, to: items, step: places) { item in
                    try body(hopperPlace(plan, item: item, round: writer.bind((item - workItem) / .constant(places))))
                }
            }
            // 168 registers a thread at the start, 64 Ki in all: the copying group gives up what sums of 64 × 256 need.
            let exchanges = tile.consumers == 2
            try writer.branch([.isNonNegative(thread.number - .constant(multipliers))], then: {
                if exchanges { writer.append(.threadBlock(.registers(40, increases: false))) }
                writer.branch([.isZero(thread.number - .constant(multipliers))]) {
                    forEachTile { place in copyTiles(plan, ring, place) }
                }
            }, otherwise: {
                if exchanges { writer.append(.threadBlock(.registers(232, increases: true))) }
                let group = writer.bind(thread.number / 128)
                let warp = writer.bind(thread.number / 32)
                let lane = writer.bind(thread.number - warp * 32)
                let sums = writer.local(plan.kind.accumulator, .constant(tile.columns / 2))
                try forEachTile { place in
                    multiplyTiles(plan, ring, place, group: group, lane: lane, sums: sums)
                    try transpose(plan, ring, place, warp: warp, lane: lane, sums: sums, store)
                }
            })
        }
    }

    /// Computes an operand that is not in memory yet, in a launch of its own.
    fileprivate func compute(_ operand: inout HopperPlan.Operand) throws {
        guard let value = operand.computed else { return }
        let type = region.type(of: value)
        if elements.places[value] == nil {
            let place = temporary("operand", type.dtype, type.shape)
            let variables = type.shape.map { $0 == 1 ? 0 : elements.makeVariable(size: $0) }
            let inner = type.shape.last ?? 1
            let groups = inner.dividedUp(by: 4)
            let sizes = type.shape.dropLast() + [groups]
            try threadLaunch(workItems: sizes.reduce(1, *), work: type.elementCount * .constant(costPerElement)) { workItem in
                let at = unflatten(workItem, Array(sizes))
                for (variable, index) in zip(variables.dropLast(), at) { elements.setVariable(variable, to: index) }
                let first = writer.bind(at[sizes.count - 1] * 4)
                let isWhole = inner.terms.allSatisfy { $0.coefficient % 4 == 0 }
                try writer.lanes(4, count: isWhole ? 4 : writer.bind(.minimum(inner - first, 4))) { lane in
                    elements.setVariable(variables[variables.count - 1], to: first + lane)
                    writer.store(try elements.element(value, variables), place.memory, elements.physical(place.address(variables)))
                }
            }
            elements.places[value] = place
        }
        if case .buffer(let number)? = elements.places[value]?.memory { operand.buffer = number }
    }

    // MARK: Copying

    /// What TMA is told of an operand: boxes of 128 bytes along the axis that lies side by side.
    private func map(_ operand: HopperPlan.Operand, _ free: [Int], _ extent: Int, _ plan: HopperPlan) throws -> TensorMap {
        guard let buffer = operand.buffer else { throw InternalError("schedule", "an operand is not in memory", context: region.name) }
        let around = (plan.outer + plan.outerDepth).filter { operand.strides[$0.last!] != nil }
        let axes = around + (operand.isAcross ? [plan.depth, free] : [free, plan.depth])
        let box = around.map { _ in 1 } + (operand.isAcross ? [plan.tileDepth, 64] : [extent, plan.tileDepth])
        return TensorMap(buffer: buffer, offset: operand.offset, sizes: axes.map { axis in
            let size = plan.size(axis)
            return size.constant == nil ? .maximum(size, 1) : size
        }, strides: axes.map { operand.strides[$0.last!]! }, box: box, swizzle: 128)
    }

    /// Keeps the ring filled for one tile of the result. By one thread.
    private func copyTiles(_ plan: HopperPlan, _ ring: HopperRing, _ place: HopperPlace) {
        writer.loop(to: plan.steps) { step in
            let turn = self.turn(plan, place, step)
            writer.append(.threadBlock(.await(barrier: Access(ring.empty, turn.slot), parity: 1 - turn.parity)))
            let full = Access(ring.full, turn.slot)
            writer.append(.threadBlock(.expect(barrier: full, bytes: plan.tile.stageBytes)))
            let depth = unflatten(writer.bind(place.firstStep + step), plan.outerDepth.map(plan.size) + [plan.innerSteps])
            let inner = writer.bind(depth.last! * .constant(plan.tileDepth))
            func load(_ operand: HopperPlan.Operand, map: Int, to memory: Memory, extent: Int, first: Dim) {
                let outer = zip(plan.outer, place.outer).filter { operand.strides[$0.0.last!] != nil }.map(\.1)
                    + zip(plan.outerDepth, depth).filter { operand.strides[$0.0.last!] != nil }.map(\.1)
                let base = writer.bind(turn.slot * .constant(extent * plan.tileDepth))
                if !operand.isAcross {
                    return writer.append(.threadBlock(.loadTile(to: Access(memory, base), map: map, at: outer + [first, inner], barrier: full)))
                }
                for block in 0..<extent / 64 {
                    writer.append(.threadBlock(.loadTile(to: Access(memory, base + .constant(block * 64 * plan.tileDepth)), map: map,
                                                  at: outer + [inner, first + .constant(block * 64)], barrier: full)))
                }
            }
            load(plan.rows, map: 0, to: ring.rows, extent: plan.tile.rows, first: place.row)
            load(plan.columns, map: 1, to: ring.columns, extent: plan.tile.columns, first: place.column)
        }
    }

    /// Where in the ring a work item's step is, and the parity of that time round.
    private func turn(_ plan: HopperPlan, _ place: HopperPlace, _ step: Dim) -> (slot: Dim, parity: Dim) {
        let count = writer.bind(place.round * plan.steps + step)
        let times = writer.bind(count / .constant(plan.tile.stages))
        return (writer.bind(count - times * .constant(plan.tile.stages)), writer.bind(times - times / 2 * 2))
    }

    // MARK: Multiplying

    /// Sums up one tile of the result, 64 rows by a group.
    private func multiplyTiles(_ plan: HopperPlan, _ ring: HopperRing, _ place: HopperPlace, group: Dim, lane: Dim, sums: Memory) {
        let accumulator = plan.kind.accumulator
        let count = plan.tile.columns / 2
        for position in 0..<count { writer.store(writer.constant(0, accumulator), sums, .constant(position)) }
        /// What the tensor cores add to: the sums themselves, or a step's part of them.
        let parts = plan.isPromoted ? writer.local(accumulator, .constant(count)) : sums
        func arrive(_ turn: (slot: Dim, parity: Dim), where conditions: [IndexCondition] = []) {
            writer.branch([.isZero(lane)] + conditions) { writer.append(.threadBlock(.arrive(barrier: Access(ring.empty, turn.slot)))) }
        }
        writer.loop(to: plan.steps) { step in
            let turn = self.turn(plan, place, step)
            writer.append(.threadBlock(.await(barrier: Access(ring.full, turn.slot), parity: turn.parity)))
            writer.append(.threadBlock(.groupFence))
            for product in 0..<4 {
                writer.append(.threadBlock(.groupMultiplyAdd(
                    plan.kind, columns: plan.tile.columns, sum: Access(parts, 0),
                    left: view(plan.rows, ring.rows, turn.slot * .constant(plan.tile.rows) + group * 64, product, plan),
                    right: view(plan.columns, ring.columns, turn.slot * .constant(plan.tile.columns), product, plan),
                    accumulates: !plan.isPromoted || product > 0)))
            }
            writer.append(.threadBlock(.commitGroup))
            if plan.isPromoted {
                writer.append(.threadBlock(.waitGroup(pending: 0)))
                arrive(turn)
                for position in 0..<count {
                    let at = Dim.constant(position)
                    let sum = writer.apply(.add, writer.load(sums, at, accumulator), writer.load(parts, at, accumulator))
                    writer.store(sum, sums, at)
                }
            } else {
                // The products of the step before are done: its tiles may be overwritten.
                writer.append(.threadBlock(.waitGroup(pending: 1)))
                arrive(self.turn(plan, place, step - 1), where: [.isNonNegative(step - 1)])
            }
        }
        if plan.isPromoted { return }
        writer.append(.threadBlock(.waitGroup(pending: 0)))
        arrive(turn(plan, place, plan.steps - 1), where: plan.steps.constant == nil ? [.isNonNegative(plan.steps - 1)] : [])
    }

    /// Rows (or columns) from `first` of the ring and one product's share of the depth.
    ///
    /// Neighbours along the depth side by side: lines of 128 bytes, 8 of which (1 KiB) are a core; a product further is 32 bytes on,
    /// within the swizzled line. Rows side by side: blocks of 64 of them, each `tileDepth` lines of 128 bytes, 8 of which are a core
    /// (PTX ISA, "Shared Memory Matrix Layout": leading, from block to block; stride, from core to core along the depth).
    private func view(_ operand: HopperPlan.Operand, _ memory: Memory, _ first: Dim, _ product: Int, _ plan: HopperPlan) -> MatrixView {
        let start = first * .constant(plan.tileDepth)
        let step = plan.kind.depth * product
        if !operand.isAcross {
            return MatrixView(Access(memory, start + .constant(step)), leadingBytes: 16, strideBytes: 1024, swizzle: 128)
        }
        return MatrixView(Access(memory, start + .constant(step * 64)), leadingBytes: plan.tileDepth * 128, strideBytes: 1024, swizzle: 128, isTransposed: true)
    }
}
