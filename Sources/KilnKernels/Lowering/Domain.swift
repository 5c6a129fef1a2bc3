// The axes a kernel runs over, with neighbours merged where every access sees them as one: fewer, longer loops.

import KilnIR

/// One loop of a kernel over a logical variable.
struct DomainAxis {
    var variable: Dim
    var size: Dim
    /// The part of the axis that a work item runs over, where that is not all of it.
    var part: (start: Dim, count: Dim)?

    init(variable: Dim, size: Dim) {
        self.variable = variable
        self.size = size
    }

    var start: Dim { part?.start ?? 0 }
    var count: Dim { part?.count ?? size }
}

extension GroupLowering {
    /// Logical variables for the axes of a shape.
    func makeAxes(_ shape: Shape) -> [DomainAxis] { shape.map { DomainAxis(variable: elements.makeVariable(size: $0), size: $0) } }

    /// Merges neighbouring axes where all index expressions allow it. `expressions` are those over the axes' variables;
    /// afterwards the old variables are defined in terms of the new ones.
    func merged(_ axes: [DomainAxis], expressions: [Dim]) -> [DomainAxis] {
        // All of these at once, as there may be hundreds.
        let single = axes.filter { $0.size == 1 }
        for axis in single { define(axis.variable, 0) }
        let zeros = Set(single.compactMap(\.variable.indices.first))
        var expressions = expressions.map { expression in
            expression.substituting(ranges: elements.ranges) { if case .index(let id) = $0, zeros.contains(id) { 0 } else { nil } }
        }
        var result: [DomainAxis] = []
        for axis in axes.reversed() where axis.size != 1 {
            guard let inner = result.last else {
                result.append(axis)
                continue
            }
            let joint = elements.makeVariable(size: axis.size * inner.size)
            let outerValue = joint.dividedDown(by: inner.size, ranges: elements.ranges)
            let innerValue = joint - inner.size * outerValue
            let candidates = expressions.map { replace(replace($0, axis.variable, by: outerValue), inner.variable, by: innerValue) }
            if zip(candidates, expressions).allSatisfy({ !hidesInDivision($0, joint) || $0 == $1 }) {
                define(axis.variable, outerValue)
                define(inner.variable, innerValue)
                expressions = candidates
                result[result.count - 1] = DomainAxis(variable: joint, size: axis.size * inner.size)
            } else { result.append(axis) }
        }
        return result.reversed()
    }

    private func replace(_ expression: Dim, _ variable: Dim, by value: Dim) -> Dim {
        guard let id = variable.indices.first else { return expression }
        return expression.substituting(ranges: elements.ranges) { if case .index(id) = $0 { value } else { nil } }
    }

    /// A logical variable in terms of others.
    private func define(_ variable: Dim, _ value: Dim) {
        guard let id = variable.indices.first else { return }
        elements.aliases[id] = value
    }

    private func hidesInDivision(_ expression: Dim, _ variable: Dim) -> Bool {
        guard let id = variable.indices.first else { return false }
        return expression.coefficient(ofIndex: id) == nil
    }

    /// The index expressions that the body's code would use, found by writing it to nowhere.
    func observe(_ body: () throws -> Void) rethrows -> [Dim] {
        var found: Set<Dim> = []
        elements.observer = { found.insert($0) }
        defer { elements.observer = nil }
        _ = try writer.block(body)
        return Array(found)
    }
}
