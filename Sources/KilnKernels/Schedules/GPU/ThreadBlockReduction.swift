// How threads combine the states of reductions: those of a warp by shuffles, those of warps through shared memory, always in the
// same order, so that every thread has the same result and every run the same bits.

import KilnIR

extension GroupLowering {
    /// The states of `group` neighbouring threads together (a power of two below a warp's, a warp's, or all of the thread block's), for each of
    /// them. All threads of the thread block take part.
    func combined(_ states: [ReductionCode.State], _ codes: [ReductionCode], group: Int, _ thread: ThreadBlockThread) -> [ReductionCode.State] {
        let warps = zip(states, codes).map { combinedInWarp($0, $1, threads: min(group, ThreadBlock.warp)) }
        guard group > ThreadBlock.warp else { return warps }
        let count = group / ThreadBlock.warp
        let slots = codes.map { code in
            (values: shared(code.accumulator, count), positions: code.hasPosition ? shared(.i64, count) : nil)
        }
        let warp = writer.bind(thread.number / .constant(ThreadBlock.warp))
        writer.branch([.isZero(thread.number - warp * .constant(ThreadBlock.warp))]) {
            for (state, slot) in zip(warps, slots) {
                writer.store(state.value, slot.values, warp)
                if let positions = slot.positions { writer.store(state.position!, positions, warp) }
            }
        }
        barrier()
        let own = writer.bind(thread.number - thread.number / .constant(count) * .constant(count))
        return zip(slots, codes).map { slot, code in
            let state = ReductionCode.State(value: writer.load(slot.values, own, code.accumulator),
                                            position: slot.positions.map { writer.load($0, own, .i64) })
            return combinedInWarp(state, code, threads: count)
        }
    }

    private func combinedInWarp(_ state: ReductionCode.State, _ code: ReductionCode, threads: Int) -> ReductionCode.State {
        var state = state
        var distance = threads / 2
        while distance > 0 {
            let other = ReductionCode.State(value: shuffled(state.value, .xor(distance)),
                                            position: state.position.map { shuffled($0, .xor(distance)) })
            state = code.combine(state, other, writer)
            distance /= 2
        }
        return state
    }

    func shuffled(_ value: ValueNumber, _ shuffle: Shuffle) -> ValueNumber {
        writer.define(.shuffle(value, shuffle), writer.dtypes[value])
    }
}

/// The running state of a reduction in one thread: `parts` vectors of `width` lanes.
struct ThreadAccumulator {
    let lanes: LaneAccumulator
    let width: Int

    init(_ code: ReductionCode, width: Int, parts: Int, _ lowering: GroupLowering) {
        lanes = LaneAccumulator(code, count: width * parts, lowering.writer)
        self.width = width
        let writer = lowering.writer
        for part in 0..<parts {
            lowering.threadLanes(width) { lane in lanes.store(code.identity(writer), at: lane + .constant(part * width), writer) }
        }
    }

    var code: ReductionCode { lanes.code }

    func add(_ state: ReductionCode.State, part: Int, lane: Dim, _ writer: KernelWriter) {
        let slot = lane + .constant(part * width)
        lanes.store(code.combine(lanes.load(at: slot, writer), state, writer), at: slot, writer)
    }

    func total(_ writer: KernelWriter) -> ReductionCode.State {
        lanes.count == 1 ? lanes.load(at: 0, writer) : lanes.total(writer)
    }
}
