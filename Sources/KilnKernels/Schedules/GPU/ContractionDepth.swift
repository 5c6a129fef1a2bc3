// How operands' tiles are read: the summed axes as a row of tiles, and what an operand's addresses say of runs along an axis.

import KilnIR
import KilnPasses

/// The summed axes: `outer` ones, at each of whose positions `inner` ones (seen as one axis) are cut into tiles.
struct ThreadBlockDepth {
    var outer: [Int] = []
    var inner: [Int]
    var size: Dim
    let tile: Int
    private let outerSize: Dim

    var tilesEach: Dim { size.dividedUp(by: .constant(tile)) }
    var tiles: Dim { outerSize * tilesEach }
    /// Whether no tile reaches past the end.
    var isWhole: Bool { size.constant.map { $0 % tile == 0 } ?? false }

    /// All axes as one where that takes no divisions, else the axis that fills tiles best, else all of them with divisions.
    init(_ plan: ContractionPlan, _ variables: [Dim], _ views: [OperandView], tile: Int) {
        self.tile = tile
        inner = plan.k
        func fills(_ axis: Int) -> Double {
            guard let size = plan.contraction.sizes[axis].constant, size > 0 else { return 1 }
            return Double(size) / Double((size + tile - 1) / tile * tile)
        }
        if plan.k.count > 1, !views.allSatisfy({ $0.isLinear(plan.k, variables, plan) }) {
            let best = plan.k.map(fills).max()!
            if best >= 0.7 {
                // A run along the last axis serves reading in vectors.
                let axis = plan.k.last { fills($0) >= best - 0.1 }!
                inner = [axis]
                outer = plan.k.filter { $0 != axis }
            }
        }
        size = plan.size(inner)
        outerSize = plan.size(outer)
    }
}

/// What loads of an operand's elements look like over the contraction's variables.
struct OperandView {
    let piece: IndexMap.Piece
    let operand: ValueID
    let dtype: DType
    /// Addresses and conditions.
    let expressions: [Dim]
    /// Where the elements are in memory as they are; nil where something is computed on the way.
    let direct: (place: MemoryReference, address: Dim, conditions: [IndexCondition])?

    init(_ lowering: GroupLowering, _ piece: IndexMap.Piece, _ operand: ValueID, _ variables: [Dim]) throws {
        self.piece = piece
        self.operand = operand
        dtype = lowering.region.type(of: operand).dtype
        let elements = lowering.elements
        expressions = try lowering.observe { _ = try elements.factor(piece, operand, variables) }
        direct = Self.follow(lowering, piece, operand, variables)
    }

    /// Follows views back to memory.
    private static func follow(_ lowering: GroupLowering, _ piece: IndexMap.Piece, _ operand: ValueID, _ variables: [Dim])
        -> (MemoryReference, Dim, [IndexCondition])? {
        let elements = lowering.elements
        var (value, piece, indices) = (operand, piece, variables)
        var conditions: [IndexCondition] = []
        while true {
            for condition in piece.conditions.map({ $0.mapping { $0.substituting(indices: indices, ranges: elements.ranges) } }) {
                switch elements.decide(condition) {
                case true?: continue
                case false?: return nil
                case nil: conditions.append(condition)
                }
            }
            indices = piece.indices.map { $0.substituting(indices: indices, ranges: elements.ranges) }
            if let place = elements.places[value] { return (place, place.address(indices), conditions) }
            guard let position = lowering.table.definitions[value], case .view(let map) = lowering.table.forms[position],
                map.pieces.count == 1, map.pieces[0].conditions.isEmpty || map.fill.double == 0 else { return nil }
            value = lowering.region.operations[position].operands[map.pieces[0].operand]
            piece = map.pieces[0]
        }
    }

    /// Whether neighbours along the axes, seen as one, are everywhere the same distance apart.
    func isLinear(_ axes: [Int], _ variables: [Dim], _ plan: ContractionPlan) -> Bool {
        let active = axes.filter { plan.contraction.sizes[$0] != 1 }
        guard active.count > 1 else { return true }
        return expressions.allSatisfy { expression in
            var expected: Dim?
            for axis in active.reversed() {
                guard let stride = stride(expression, variables[axis]) else { return false }
                if let expected, expected != stride { return false }
                expected = stride * plan.contraction.sizes[axis]
            }
            return true
        }
    }

    private func stride(_ expression: Dim, _ variable: Dim) -> Dim? {
        variable.indices.first.flatMap { expression.coefficient(ofIndex: $0) }
    }

    /// Whether elements lie side by side along the variable.
    func runs(along variable: Dim?) -> Bool {
        guard let variable else { return false }
        return expressions.contains { stride($0, variable) == 1 } && expressions.allSatisfy { [0, 1, -1].contains(stride($0, variable)) }
    }

    /// The most elements, up to `most` (a power of two), that aligned vectors along the axes can have without a condition or
    /// an edge within.
    func vectorWidth(along axes: [Int], most: Int, _ variables: [Dim], _ plan: ContractionPlan) -> Int {
        guard let last = axes.last(where: { plan.contraction.sizes[$0] != 1 }) else { return 1 }
        let isOne = isLinear(axes, variables, plan)
        guard let size = isOne ? plan.size(axes).constant : plan.contraction.sizes[last].constant, runs(along: variables[last]) else { return 1 }
        var width = most
        while width > 1 {
            let step = width
            if size % step == 0, expressions.allSatisfy({ isAligned($0, variables[last], step) }) { return step }
            width /= 2
        }
        return 1
    }

    private func isAligned(_ expression: Dim, _ variable: Dim, _ step: Int) -> Bool {
        guard let stride = stride(expression, variable) else { return false }
        if stride == 0 { return true }
        return stride == 1 && (expression - variable).terms.allSatisfy { $0.coefficient % step == 0 }
    }
}
