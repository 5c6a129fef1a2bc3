// The running state of a reduction in lanes: one or more vectors that are combined in a fixed order at the end.

import KilnIR

/// A reduction's state for `count` lanes, in local memory that becomes registers.
struct LaneAccumulator {
    let code: ReductionCode
    let count: Int
    private let values: Memory
    private let positions: Memory?

    init(_ code: ReductionCode, count: Int, _ writer: KernelWriter) {
        self.code = code
        self.count = count
        values = writer.local(code.accumulator, .constant(count))
        positions = code.hasPosition ? writer.local(.i64, .constant(count)) : nil
    }

    /// Sets every lane to the identity.
    func clear(width: Int, _ writer: KernelWriter) {
        for part in stride(from: 0, to: count, by: width) {
            writer.lanes(width, count: .constant(width)) { lane in
                store(code.identity(writer), at: lane + .constant(part), writer)
            }
        }
    }

    /// Combines an element into the lane's state.
    func add(_ element: ValueNumber, _ position: ValueNumber, at lane: Dim, _ writer: KernelWriter) {
        store(code.combine(load(at: lane, writer), code.lift(element, position: position, writer), writer), at: lane, writer)
    }

    func load(at address: Dim, _ writer: KernelWriter) -> ReductionCode.State {
        ReductionCode.State(value: writer.load(values, address, code.accumulator),
                            position: positions.map { writer.load($0, address, .i64) })
    }

    func store(_ state: ReductionCode.State, at address: Dim, _ writer: KernelWriter) {
        writer.store(state.value, values, address)
        if let positions { writer.store(state.position!, positions, address) }
    }

    /// The state of all lanes together.
    func total(_ writer: KernelWriter) -> ReductionCode.State {
        if positions == nil {
            return ReductionCode.State(value: writer.define(.reduceLanes(code.lanesKind, values, address: 0, width: count), code.accumulator))
        }
        writer.loop(from: 1, to: .constant(count)) { lane in
            store(code.combine(load(at: 0, writer), load(at: lane, writer), writer), at: 0, writer)
        }
        return load(at: 0, writer)
    }
}
