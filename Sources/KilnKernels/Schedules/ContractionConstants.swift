// Operands of contractions that are constants: their panels are laid out once, when the code is loaded or linked, and not in each call.

import KilnIR

extension GroupLowering {
    /// The packed rows, where they are a constant's elements.
    func constantRows(_ plan: ContractionPlan) -> Memory? {
        packed(plan, plan.rows, plan.rowsOperand, "rows", outer: plan.rowsOuter, across: plan.m, tile: plan.tileRows)
    }

    /// The packed columns, where they are a constant's elements.
    func constantColumns(_ plan: ContractionPlan) -> Memory? {
        guard plan.columnsPlace == nil else { return nil }
        return packed(plan, plan.columns, plan.columnsOperand, "columns", outer: plan.columnsOuter, across: plan.n, tile: plan.tileColumns)
    }

    private func packed(_ plan: ContractionPlan, _ piece: IndexMap.Piece, _ operand: ValueID, _ name: String, outer: [Int], across: [Int],
                        tile: Int) -> Memory? {
        let sizes = plan.contraction.sizes
        guard piece.conditions.isEmpty, let (buffer, address) = bufferAddress(operand, piece.indices, IndexRanges(shape: sizes)),
            case .constant = program.storage(of: buffer),
            program.type(of: buffer).dtype == plan.accumulator else { return nil }
        let used = outer + across + plan.k
        var linear = address.substituting { if case .index(let i) = $0, sizes[i] == 1 { 0 } else { nil } }
        var axes: [Int: Packing.Axis] = [:]
        for number in used {
            guard let size = sizes[number].constant, let stride = linear.coefficient(ofIndex: number)?.constant else { return nil }
            axes[number] = Packing.Axis(size: size, stride: stride)
        }
        for number in used { linear = linear - .index(number) * .constant(axes[number]!.stride) }
        guard let offset = linear.constant else { return nil }
        func list(_ numbers: [Int]) -> [Packing.Axis] { numbers.map { axes[$0]! } }
        let packing = Packing(source: buffer, offset: offset, outer: list(outer), across: list(across), tile: tile, depth: list(plan.k))
        return program.packed(name, packing).map { .buffer($0) }
    }

    /// The buffer and the element's place in it that views of it come down to.
    func bufferAddress(_ value: ValueID, _ indices: [Dim], _ ranges: IndexRanges) -> (buffer: Int, address: Dim)? {
        if let place = elements.places[value] {
            guard case .buffer(let number) = place.memory else { return nil }
            return (number, place.address(indices))
        }
        guard let position = table.definitions[value], case .view(let map) = table.forms[position], map.pieces.count == 1,
            map.pieces[0].conditions.isEmpty else { return nil }
        let inner = map.pieces[0].indices.map { $0.substituting(indices: indices, ranges: ranges) }
        return bufferAddress(region.operations[position].operands[map.pieces[0].operand], inner, ranges)
    }
}
