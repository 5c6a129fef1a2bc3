// The roles of a contraction's axes, found once for every schedule. In: which axes each operand has elements along; out: rows, columns, outer
// and summed axes.

import KilnIR

/// What each axis of a contraction is to a register tile, a thread block's tile or a tensor core's. Axes of size one have no role.
///
///     result[outer…, rows…, columns…] = Σ summed   rows' operand[outer, rows, summed] · columns' operand[outer, summed, columns]
struct AxisRoles {
    /// Whether the right operand is the columns'.
    let columnsAreRight: Bool
    let outer: [Int]
    /// Output axes that the columns' operand lacks.
    let rows: [Int]
    /// The innermost output axes, as far as the columns' operand alone has them.
    let columns: [Int]
    let summed: [Int]

    /// Nil where neither operand alone has the innermost axis of the result.
    init?(_ c: Contraction, left: (Int) -> Bool, right: (Int) -> Bool) {
        let outputs = (0..<c.outputRank).filter { c.sizes[$0] != 1 }
        guard let inner = outputs.last, left(inner) != right(inner) else { return nil }
        columnsAreRight = right(inner)
        let (isColumn, isRow) = columnsAreRight ? (right, left) : (left, right)
        let columns = Array(outputs.reversed().prefix { isColumn($0) && !isRow($0) }.reversed())
        let rows = outputs.filter { !isColumn($0) }
        outer = outputs.filter { !columns.contains($0) && !rows.contains($0) }
        self.columns = columns
        self.rows = rows
        summed = (c.outputRank..<c.sizes.count).filter { c.sizes[$0] != 1 }
    }
}
