// How a contraction reads its operands: which axis of the larger one is contiguous, and how often each is gone through. From that follow
// the lanes of a matrix-vector product, and whether columns are worth packing: with few rows each is used but a few times.

import KilnIR

/// In which order a reduction of products goes through its axes.
struct ContractionReading {
    /// The kept axis that lanes run along; nil for the summed axes.
    var lanesAxis: Int?
    /// Kept axes that the larger operand does not depend on.
    var repeating: Set<Int>
}

extension GroupLowering {
    /// The loads that the body's code would do, over logical variables; found by writing it to nowhere.
    private func loads(_ body: () throws -> Void) rethrows -> [PlannedLoad] {
        var found: [PlannedLoad] = []
        let hook = elements.loadHook
        elements.loadHook = {
            found.append($0)
            return nil
        }
        defer { elements.loadHook = hook }
        _ = try writer.block(body)
        return found
    }

    /// The order that suits the operand of which more elements are read.
    func reading(of c: Contraction, _ operation: Operation) throws -> ContractionReading {
        let variables = c.sizes.map { $0 == 1 ? 0 : elements.makeVariable(size: $0) }
        let numbers = Dictionary(uniqueKeysWithValues: variables.enumerated().compactMap { number, variable in variable.indices.first.map { ($0, number) } })
        func hint(_ size: Dim) -> Double { Double(size.evaluate { if case .symbol = $0 { 64 } else { nil } } ?? 64) }
        func axes(_ load: PlannedLoad) -> Set<Int> { Set(load.address.indices.compactMap { numbers[$0] }) }
        let found = try loads {
            _ = try elements.factor(c.left, operation.operands[0], variables)
            _ = try elements.factor(c.right, operation.operands[1], variables)
        }.map { (load: $0, axes: axes($0), count: axes($0).reduce(1) { $0 * hint(c.sizes[$1]) }) }.sorted { $0.count > $1.count }
        let kept = (0..<c.outputRank).filter { c.sizes[$0] != 1 }
        let repeating = Set(kept).subtracting(found.first?.axes ?? [])
        guard let summed = (c.outputRank..<c.sizes.count).last(where: { c.sizes[$0] != 1 }), let inner = kept.last else {
            return ContractionReading(lanesAxis: kept.isEmpty ? nil : kept.last, repeating: repeating)
        }
        for (load, axes, _) in found {
            let contiguous = axes.first { load.address.coefficient(ofIndex: variables[$0].indices.first ?? -1) == 1 }
            guard let contiguous else { continue }
            if contiguous == summed { return ContractionReading(lanesAxis: nil, repeating: repeating) }
            if contiguous < c.outputRank { return ContractionReading(lanesAxis: contiguous, repeating: repeating) }
        }
        return ContractionReading(lanesAxis: hint(c.sizes[summed]) >= hint(c.sizes[inner]) ? nil : inner, repeating: repeating)
    }

    // MARK: Few rows

    /// Rows up to which columns that lie along the summed axes are read as they lie, in dot products, and not transposed for a register tile.
    private static let mostDotRows = 16
    /// Products from which on a dot product is worth adding up its lanes.
    private static let leastDotDepth = 128
    /// Panels of rows up to which packed columns are read too seldom to pay for their packing.
    private static let mostUnpackedPanels = 2

    /// Whether the columns are no constant that is packed already.
    private func hasOpenColumns(_ plan: ContractionPlan) -> Bool { !plan.isTransposed && plan.columnsPlace == nil && constantColumns(plan) == nil }

    /// Whether the product is a few rows' dot products with columns that lie along the summed axis.
    func isRowOfDots(_ plan: ContractionPlan) throws -> Bool {
        guard let rows = plan.rowCount.constant, rows <= Self.mostDotRows, plan.k.count == 1, plan.columnCount.constant != nil,
            (plan.depth.constant ?? Self.leastDotDepth) >= Self.leastDotDepth, hasOpenColumns(plan) else { return false }
        return try columnAddress(plan)?.coefficient(ofIndex: plan.k[0]) == 1
    }

    /// The load of a column's element where the register tile reads the columns as they lie: each is used by few rows, and they lie along
    /// the tile.
    func columnsInPlace(_ plan: ContractionPlan) throws -> PlannedLoad? {
        guard let panels = plan.rowPanels.constant, panels <= Self.mostUnpackedPanels, plan.packColumns != nil, !plan.k.isEmpty, hasOpenColumns(plan),
            let load = try columnLoad(plan, plan.packVariables), let columns = plan.packColumns?.indices.first else { return nil }
        return load.address.coefficient(ofIndex: columns) == 1 ? load : nil
    }

    /// More vectors to a line where rows are few: longer runs of each line of the columns.
    func widenTile(_ plan: inout ContractionPlan) {
        guard plan.tileRows <= (target.vectorRegisters - 4) / 4 - 1, let columns = plan.columnCount.constant, columns >= 4 * plan.lanes else { return }
        plan.tileVectors = 4
        plan.tileColumns = 4 * plan.lanes
    }

    /// The load of a column's element at the variables; nil where it takes several, or has conditions.
    private func columnLoad(_ plan: ContractionPlan, _ variables: [Dim]) throws -> PlannedLoad? {
        let found = try loads { _ = try columnElement(plan, variables, []) }
        return found.count == 1 && found[0].conditions.isEmpty ? found[0] : nil
    }

    /// Where in memory the columns' elements are, over the numbers of the contraction's variables; nil where they are not loaded by one
    /// load without conditions.
    private func columnAddress(_ plan: ContractionPlan) throws -> Dim? {
        let variables = contractionVariables(plan)
        guard let load = try columnLoad(plan, variables) else { return nil }
        var numbers: [Int: Dim] = [:]
        for (number, variable) in variables.enumerated() { if let id = variable.indices.first { numbers[id] = .index(number) } }
        return load.address.substituting { if case .index(let id) = $0 { numbers[id] } else { nil } }
    }
}
