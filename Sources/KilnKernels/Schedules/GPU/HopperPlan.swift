// Which contractions sm_90a's tensor cores and TMA can do, and how: in comes a contraction whose operands lie in memory with
// even strides (or are computed to there first), out go the roles of its axes, TMA's maps of both operands, and the tile.

import KilnIR
import KilnPasses

/// A contraction as `result[outer, rows, columns] = Σ left[outer, rows, depth] · right[outer, depth, columns]`.
struct HopperPlan {
    /// An operand in memory, seen by TMA as a box of rows (or columns) by depth.
    struct Operand {
        /// Nil until the value is computed to one.
        var buffer: Int?
        /// What has to be computed into memory first.
        var computed: ValueID?
        var offset: Dim
        /// The distance between neighbours along each of the contraction's variables.
        var strides: [Int: Dim]
        /// Whether neighbours along the rows (or columns) lie side by side, and not neighbours along the depth.
        var isAcross = false
    }

    let contraction: Contraction
    let value: ValueID
    let kind: MatrixKind
    let dtype: DType
    var rows: Operand
    var columns: Operand
    /// Groups of variables that merge into one axis each: in both operands, in the first, in the second, and summed over.
    var outer: [[Int]]
    var m: [Int]
    var n: [Int]
    var outerDepth: [[Int]]
    var depth: [Int]
    var tile = HopperTile.wide
    /// How many parts the summed axes are cut into, by different work items.
    var parts = 1

    func size(_ variables: [Int]) -> Dim { variables.reduce(1) { $0 * contraction.sizes[$1] } }
    var rowCount: Dim { size(m) }
    var columnCount: Dim { size(n) }
    var outerSizes: [Dim] { outer.map(size) }
    var outerCount: Dim { outerSizes.reduce(1, *) }
    /// Summed positions of a tile: 128 bytes of them.
    var tileDepth: Int { 128 / kind.byteCount }
    var rowTiles: Dim { rowCount.dividedUp(by: .constant(tile.rows)) }
    var columnTiles: Dim { columnCount.dividedUp(by: .constant(tile.columns)) }
    /// Tiles along the innermost summed axis, and along all.
    var innerSteps: Dim { size(depth).dividedUp(by: .constant(tileDepth)) }
    var allSteps: Dim { outerDepth.reduce(innerSteps) { $0 * size($1) } }
    /// Steps of one part: the last part's may lie past the end, where TMA fills in zeros.
    var steps: Dim { allSteps.dividedUp(by: .constant(parts)) }
    var tiles: Dim { outerCount * rowTiles * columnTiles }
    /// The tensor cores add up products of 8-bit floats with few bits; they are relieved of their sums after each tile.
    var isPromoted: Bool { kind == .f8e4m3 || kind == .f8e5m2 }
}

/// The part of the result that a thread block works on at once, and who works on it.
struct HopperTile: Hashable {
    var rows: Int
    var columns: Int
    /// Groups of four warps that multiply, each 64 rows.
    var consumers: Int { rows / 64 }
    var stages: Int
    var resident: Int
    /// The expected speed per element of the result, the widest tile's being one: from shared memory's bytes per product, not measured.
    var efficiency: Double

    /// Per stage 128 bytes of depth: (128 + 256) · 128 = 48 KiB.
    static let wide = HopperTile(rows: 128, columns: 256, stages: 4, resident: 1, efficiency: 1)
    static let square = HopperTile(rows: 128, columns: 128, stages: 6, resident: 1, efficiency: 0.85)
    /// For few rows: two thread blocks share a processor.
    static let low = HopperTile(rows: 64, columns: 128, stages: 4, resident: 2, efficiency: 0.75)

    var threads: Int { (consumers + 1) * 128 }
    var stageBytes: Int { (rows + columns) * 128 }
}

extension GroupLowering {
    /// The plan, or nil where another schedule must do.
    func hopperPlan(_ c: Contraction, _ operation: Operation, _ gpu: GPU) -> HopperPlan? {
        guard gpu.isSpecific, gpu.architecture == 90, !c.sizes.contains(0),
            let left = hopperOperand(c, c.left, operation.operands[0]), let right = hopperOperand(c, c.right, operation.operands[1]) else { return nil }
        let dtype = region.type(of: operation.operands[0]).dtype
        guard region.type(of: operation.operands[1]).dtype == dtype, let kind = Self.matrixKind(dtype, c.accumulator) else { return nil }
        guard let roles = AxisRoles(c, left: { left.strides[$0] != nil }, right: { right.strides[$0] != nil }) else { return nil }
        let (outputs, summed) = ((0..<c.outputRank).filter { c.sizes[$0] != 1 }, roles.summed)
        let (rows, columns) = roles.columnsAreRight ? (left, right) : (right, left)
        let n = Self.merging(roles.columns, [columns], c)
        let m = Self.merging(roles.rows, [rows], c)
        guard !m.isEmpty, (0..<n.count).allSatisfy({ n[$0] == outputs[outputs.count - n.count + $0] }) else { return nil }
        let contiguous = summed.filter { rows.strides[$0] == 1 || columns.strides[$0] == 1 }
        guard let last = contiguous.last ?? summed.last else { return nil }
        let depth = Self.merging(summed.filter { $0 != last } + [last], [rows, columns], c)
        var plan = HopperPlan(contraction: c, value: operation.results[0], kind: kind, dtype: dtype, rows: rows, columns: columns,
            outer: Self.groups(outputs.filter { !m.contains($0) && !n.contains($0) }, [rows, columns], c), m: m, n: n,
            outerDepth: Self.groups(summed.filter { !depth.contains($0) }, [rows, columns], c), depth: depth)
        guard orient(&plan.rows, along: m, plan), orient(&plan.columns, along: n, plan) else { return nil }
        // Computing an operand's elements once is little beside the products with each.
        func pays(_ operand: HopperPlan.Operand, _ uses: Dim) -> Bool { operand.computed == nil || (uses.constant ?? 64) >= 64 }
        guard pays(plan.rows, plan.columnCount), pays(plan.columns, plan.rowCount) else { return nil }
        chooseHopperTile(&plan, gpu)
        return plan
    }

    /// What multiplies elements of the dtype into the accumulator.
    private static func matrixKind(_ dtype: DType, _ accumulator: DType) -> MatrixKind? {
        switch (dtype, accumulator) {
        case (.bf16, .f32): .bf16
        case (.f16, .f32): .f16
        case (.f8e4m3, .f32): .f8e4m3
        case (.f8e5m2, .f32): .f8e5m2
        // Sums of 32 bits have the lowest 8 right, which are all that narrower ones keep.
        case (.i8, .i32), (.i8, .i16), (.i8, .i8): .i8
        case (.u8, .i32), (.u8, .u32), (.u8, .u16), (.u8, .u8): .u8
        default: nil
        }
    }

    /// An operand that views show of a buffer, or of a value that is computed to one; its address is linear in the contraction's variables.
    private func hopperOperand(_ c: Contraction, _ piece: IndexMap.Piece, _ operand: ValueID) -> HopperPlan.Operand? {
        guard piece.conditions.isEmpty else { return nil }
        let ranges = IndexRanges(shape: c.sizes)
        var (indices, value) = (piece.indices, operand)
        while elements.places[value] == nil, let position = table.definitions[value], case .view(let map) = table.forms[position],
            map.pieces.count == 1, map.pieces[0].conditions.isEmpty {
            indices = map.pieces[0].indices.map { $0.substituting(indices: indices, ranges: ranges) }
            value = region.operations[position].operands[map.pieces[0].operand]
        }
        let address: Dim
        var buffer: Int?
        if let place = elements.places[value] {
            guard case .buffer(let number) = place.memory else { return nil }
            (address, buffer) = (place.address(indices), number)
        } else {
            let type = region.type(of: value)
            // A small part of what would be computed is no reason to compute all of it.
            guard type.elementCount == region.type(of: operand).elementCount else { return nil }
            address = zip(indices, type.strides).reduce(0) { $0 + $1.0 * $1.1 }
        }
        var operand = HopperPlan.Operand(buffer: buffer, computed: buffer == nil ? value : nil,
                                         offset: address.substituting { if case .index = $0 { 0 } else { nil } }, strides: [:])
        var linear = operand.offset
        for variable in c.sizes.indices where c.sizes[variable] != 1 {
            guard let stride = address.coefficient(ofIndex: variable), stride.indices.isEmpty else { return nil }
            if stride == 0 { continue }
            guard stride.terms.allSatisfy({ $0.coefficient > 0 }) else { return nil }
            operand.strides[variable] = stride
            linear += stride * .index(variable)
        }
        guard linear == address.substituting(ranges: ranges, { if case .index(let i) = $0, c.sizes[i] == 1 { 0 } else { nil } }) else { return nil }
        return operand
    }

    /// Whether two neighbouring variables run through an operand as one would.
    private static func merges(_ a: Int, _ b: Int, _ operand: HopperPlan.Operand, _ c: Contraction) -> Bool {
        guard let inner = operand.strides[b] else { return operand.strides[a] == nil }
        return operand.strides[a] == inner * c.sizes[b]
    }

    /// The longest end of the list that is one axis of all the operands.
    private static func merging(_ variables: [Int], _ operands: [HopperPlan.Operand], _ c: Contraction) -> [Int] {
        var result: [Int] = []
        for variable in variables.reversed() {
            if let next = result.first, !operands.allSatisfy({ merges(variable, next, $0, c) }) { break }
            result.insert(variable, at: 0)
        }
        return result
    }

    private static func groups(_ variables: [Int], _ operands: [HopperPlan.Operand], _ c: Contraction) -> [[Int]] {
        var (rest, result) = (variables, [[Int]]())
        while !rest.isEmpty {
            let group = merging(rest, operands, c)
            result.insert(group, at: 0)
            rest.removeLast(group.count)
        }
        return result
    }

    /// Finds which axis lies side by side; false where TMA or the tensor cores can't read the operand.
    private func orient(_ operand: inout HopperPlan.Operand, along free: [Int], _ plan: HopperPlan) -> Bool {
        guard let across = operand.strides[free.last!], let along = operand.strides[plan.depth.last!] else { return false }
        operand.isAcross = along != 1
        if operand.isAcross, across != 1 || plan.kind.byteCount != 2 { return false }
        let axes = plan.outer + plan.outerDepth + [operand.isAcross ? plan.depth : free]
        let strides = [operand.offset] + axes.compactMap { operand.strides[$0.last!] }
        let multiple = 16 / plan.kind.byteCount
        // The innermost axis is a fifth.
        guard axes.filter({ operand.strides[$0.last!] != nil }).count <= 4 else { return false }
        guard strides.allSatisfy({ $0.terms.allSatisfy { $0.coefficient % multiple == 0 } }) else { return false }
        return true
    }

    /// The tile that takes the least time, were all tiles of a kind equally long: whole waves of work items cost, and small tiles feed the
    /// tensor cores less well. Then parts of the depth, where there are too few tiles for all processors.
    private func chooseHopperTile(_ plan: inout HopperPlan, _ gpu: GPU) {
        func cost(_ tile: HopperTile) -> Double {
            plan.tile = tile
            let places = gpu.processors * tile.resident
            let tiles = plan.tiles.evaluate { if case .symbol = $0 { 1024 } else { nil } } ?? 1
            let waves = Double((tiles + places - 1) / places)
            return waves * Double(tile.rows * tile.columns * tile.resident) / tile.efficiency
        }
        var candidates = [HopperTile.wide, .square, .low]
        if plan.isPromoted { candidates.removeFirst() }
        if (plan.columnCount.constant ?? 256) <= 128 { candidates.removeAll { $0.columns > 128 } }
        if (plan.rowCount.constant ?? 128) <= 64 { candidates = [.low] }
        plan.tile = candidates.map { ($0, cost($0)) }.min { $0.1 < $1.1 }!.0
        guard let tiles = plan.tiles.constant, let steps = plan.allSteps.constant, tiles > 0 else { return }
        let places = gpu.processors * plan.tile.resident
        let most = min(places / tiles, steps / 8, 32)
        guard most >= 2 else { return }
        let each = (steps + most - 1) / most
        plan.parts = (steps + each - 1) / each
    }
}
