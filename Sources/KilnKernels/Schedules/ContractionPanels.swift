// Panels of a contraction's operand that are packed while the program runs: once for all kernels that read the same ones, and before the
// loop where no round changes them. How an operand is packed comes in; the memory to read goes out.

import KilnIR

extension GroupLowering {
    /// What panels of an operand hold; nil where that is more than elements of a buffer.
    func panelContent(_ plan: ContractionPlan, _ piece: IndexMap.Piece, _ operand: ValueID, outer: [Int], across: [Int], tile: Int) -> PanelContent? {
        let sizes = plan.contraction.sizes
        guard piece.conditions.isEmpty, let (source, address) = bufferAddress(operand, piece.indices, IndexRanges(shape: sizes)) else { return nil }
        let axes = [outer, across, plan.k]
        var positions: [Int: Int] = [:]
        for (position, number) in axes.joined().enumerated() { positions[number] = position }
        let canonical = address.substituting { atom in
            guard case .index(let number) = atom else { return nil }
            return sizes[number] == 1 ? 0 : positions[number].map { .index($0) }
        }
        return PanelContent(source: source, address: canonical, sizes: axes.map { $0.map { sizes[$0] } }, tile: tile, dtype: plan.accumulator)
    }

    /// Memory with panels of an operand, which a launch of this kernel packs unless another kernel did.
    ///
    /// - Parameter pack: packs the panel of the given number.
    func packed(_ name: String, _ plan: ContractionPlan, _ content: PanelContent?, panels: Dim, panelSize: Dim,
                _ pack: (_ panel: Dim, _ memory: Memory) throws -> Void) throws -> Memory {
        if let content, let known = program.panels(content) {
            writer.written.insert(.buffer(known))
            return .buffer(known)
        }
        let memory = temporary(name, plan.accumulator, [panels * panelSize]).memory
        try launch(workItems: panels, work: panels * panelSize * 4) { try pack($0, memory) }
        if case .buffer(let buffer) = memory, let launch = launches.last, program.packOnce(launch, into: buffer, content) { launches.removeLast() }
        return memory
    }
}
