// Contractions whose windows slide over images of which no two results share the weights: depthwise and grouped convolutions.
// A contraction comes in; what its variables are to such a window goes out, or nil where it is none.

import KilnIR

/// A contraction in which windows of one operand (the images) slide along lines of the result, each with weights of its own.
///
///     result[outer…, y, x] = Σ images[…, stride·y + dilation·i, stride·x + dilation·j] · weights[outer…, i, j]
package struct SlidingContraction {
    /// How positions of the result and taps of the window share an axis of the images.
    package struct Line {
        package let axis: Int
        /// The contraction's variables along it: of the result, and of the window (nil where that has one tap).
        package let output: Int
        package let tap: Int?
        package let stride: Int
        package let dilation: Int
        package let tapCount: Int
        /// The index into the axis where both variables are zero.
        package let offset: Dim
        /// The positions, counted from `offset`, from which on there are images, and at which they end.
        package let start: Dim
        package let end: Dim
        /// The conditions that these stand for.
        fileprivate let bounds: Set<IndexCondition>

        /// The positions that the taps of so many results side by side lie on.
        package func extent(_ count: Dim) -> Dim { (count - 1) * .constant(stride) + .constant(dilation * (tapCount - 1) + 1) }
    }

    package let imagesAreLeft: Bool
    package let columns: Line
    package let rows: Line?
    /// The images' conditions that do not depend on where the window is.
    package let conditions: [IndexCondition]
    /// The other variables of the result, and the summed ones that are no taps.
    package let outer: [Int]
    package let channels: [Int]
    /// So many neighbours along a variable of the result that see the same images.
    package let sharing: (variable: Int, count: Int)?

    package init?(_ c: Contraction) {
        let outputs = (0..<c.outputRank).filter { c.sizes[$0] != 1 }
        guard let inner = outputs.last else { return nil }
        let (left, right) = (c.leftVariables, c.rightVariables)
        guard left.contains(inner) != right.contains(inner) else { return nil }
        imagesAreLeft = left.contains(inner)
        let images = imagesAreLeft ? c.left : c.right
        let weightVariables = imagesAreLeft ? right : left
        guard let columns = Line(c, images, inner) else { return nil }
        self.columns = columns
        let above = outputs.dropLast().last.flatMap { weightVariables.contains($0) ? nil : Line(c, images, $0) }
        rows = above.flatMap { $0.axis == columns.axis ? nil : $0 }
        let lines = [columns] + (rows.map { [$0] } ?? [])
        guard lines.contains(where: { $0.tapCount > 1 }) else { return nil }
        let sliding = Set(lines.map(\.output) + lines.compactMap(\.tap))
        var fixed: [IndexCondition] = []
        for condition in images.conditions {
            if condition.expression.indices.isDisjoint(with: sliding) { fixed.append(condition) } else {
                guard lines.contains(where: { $0.bounds.contains(condition) }) else { return nil }
            }
        }
        conditions = fixed
        outer = outputs.filter { !sliding.contains($0) }
        channels = (c.outputRank..<c.sizes.count).filter { c.sizes[$0] != 1 && !sliding.contains($0) }
        sharing = outer.lazy.compactMap { Self.sharing(c, images, $0) }.first
    }

    /// Neighbours along an output variable of which the images' indices see the quotient by a number alone, or nothing.
    private static func sharing(_ c: Contraction, _ images: IndexMap.Piece, _ variable: Int) -> (variable: Int, count: Int)? {
        guard let size = c.sizes[variable].constant, !images.conditions.contains(where: { $0.expression.indices.contains(variable) }) else { return nil }
        var divisors: Set<Int> = []
        for atom in images.indices.flatMap(\.terms).flatMap(\.atoms) where Dim.atom(atom).indices.contains(variable) {
            guard case .floorDivide(.index(variable), let by) = atom, let divisor = by.constant else { return nil }
            divisors.insert(divisor)
        }
        let count = divisors.first ?? size
        return divisors.count <= 1 && count > 1 && size % count == 0 ? (variable, count) : nil
    }
}

extension SlidingContraction.Line {
    /// Nil where the variable is not along one axis alone, in steps of a fixed size.
    fileprivate init?(_ c: Contraction, _ images: IndexMap.Piece, _ output: Int) {
        func factors(_ variable: Int) -> [Int]? {
            let all = images.indices.map { $0.coefficient(ofIndex: variable)?.constant }
            return all.contains { $0 == nil } ? nil : all.map { $0! }
        }
        guard let steps = factors(output), let axis = steps.firstIndex(where: { $0 != 0 }), steps.filter({ $0 != 0 }).count == 1,
            steps[axis] > 0 else { return nil }
        let index = images.indices[axis]
        let taps = (c.outputRank..<c.sizes.count).filter { c.sizes[$0] != 1 && index.indices.contains($0) }
        guard taps.count <= 1 else { return nil }
        if let tap = taps.first {
            guard let jumps = factors(tap), jumps.filter({ $0 != 0 }).count == 1, jumps[axis] > 0, let count = c.sizes[tap].constant, count > 0 else { return nil }
            (dilation, tapCount) = (jumps[axis], count)
        } else { (dilation, tapCount) = (1, 1) }
        (self.axis, self.output, tap, stride) = (axis, output, taps.first, steps[axis])
        let offset = index.substituting { if case .index(let i) = $0, i == output || i == taps.first { 0 } else { nil } }
        guard offset.indices.isEmpty else { return nil }
        self.offset = offset
        let whole = (c.sizes[output] - 1) * .constant(stride) + .constant(dilation * (tapCount - 1) + 1)
        var (start, end) = (Dim.constant(0), whole)
        var bounds: Set<IndexCondition> = []
        for condition in images.conditions {
            guard case .isNonNegative(let value) = condition else { continue }
            if (value - index).indices.isEmpty {
                start = Dim.maximum(start, -(offset + value - index))
                bounds.insert(condition)
            } else if (value + index).indices.isEmpty {
                end = Dim.minimum(end, value + index - offset + 1)
                bounds.insert(condition)
            }
        }
        (self.start, self.end, self.bounds) = (start, end, bounds)
    }
}

extension Contraction {
    /// How windows slide, where they do.
    package var sliding: SlidingContraction? { SlidingContraction(self) }
}
