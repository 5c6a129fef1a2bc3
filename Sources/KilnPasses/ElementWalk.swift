// Follows an element of a value back through views and elementwise ops: what fusion asks to know where a kernel would read.

import KilnIR

/// The forms of a graph's operations, computed once, with what fusion asks of them.
package struct FormTable {
    package let graph: Graph
    package let forms: [Form]
    package let definitions: [Int?]
    /// Whether each operation's elements can be computed where they are needed.
    package let isInlinable: [Bool]

    package init(_ graph: Graph) throws {
        self.graph = graph
        definitions = graph.definitions
        var forms: [Form] = []
        var isInlinable: [Bool] = []
        forms.reserveCapacity(graph.operations.count)
        isInlinable.reserveCapacity(graph.operations.count)
        // Most operations of a large graph are as others are.
        var known: [Application: (form: Form, isInlinable: Bool)] = [:]
        for operation in graph.operations {
            let key = Application(op: operation.op, operands: operation.operands.map { graph.type(of: $0) }, attributes: operation.attributes)
            var found = operation.regions.isEmpty ? known[key] : nil
            if found == nil {
                let form = try graph.form(of: operation)
                found = (form, form.isInlinable(operands: key.operands))
                if operation.regions.isEmpty { known[key] = found }
            }
            forms.append(found!.form)
            isInlinable.append(found!.isInlinable && !operation.results.isEmpty)
        }
        (self.forms, self.isInlinable) = (forms, isInlinable)
    }

    /// All that the form of an operation without regions depends on.
    private struct Application: Hashable {
        var op: OpDefinition
        var operands: [TensorType]
        var attributes: Attributes
    }

    /// Whether the value is, element by element in row-major order, its operand: a reshape.
    package func isLinearIdentity(_ position: Int) -> Bool {
        guard case .view(let map) = forms[position], map.pieces.count == 1, map.pieces[0].conditions.isEmpty else { return false }
        let operation = graph.operations[position]
        let source = graph.type(of: operation.operands[map.pieces[0].operand])
        let target = graph.type(of: operation.results[0])
        guard source.elementCount == target.elementCount else { return false }
        return linear(map.pieces[0].indices, source) == linear(target.shape.indices.map { target.shape[$0] == 1 ? 0 : .index($0) }, target)
    }

    private func linear(_ indices: [Dim], _ type: TensorType) -> Dim {
        zip(indices, type.strides).reduce(0) { $0 + $1.0 * $1.1 }
    }
}

/// How much a kernel that computes a value anew for each use would spend on it.
package enum InlineCost {
    /// The greatest number of steps of a reduction or contraction that is unrolled.
    package static let unrolledSteps = 32

    /// Rough scalar operations an element of the form costs.
    package static func of(_ form: Form) -> Int {
        guard case .elementwise(let expression) = form else { return 0 }
        return expression.nodes.reduce(0) { sum, node in
            guard case .apply(let function, _) = node else { return sum }
            return sum + cost(function)
        }
    }

    private static func cost(_ function: ScalarFunction) -> Int {
        switch function {
        case .add, .subtract, .multiply, .negate, .absolute, .maximum, .minimum, .fusedMultiplyAdd, .and, .or, .xor, .not, .equal,
            .notEqual, .less, .lessEqual, .greater, .greaterEqual, .isNaN, .select, .convert, .bitcast, .shiftLeft, .shiftRight: 1
        case .floor, .ceil, .round, .truncate, .multiplyHigh: 2
        case .divide, .squareRoot, .reciprocalSquareRoot: 8
        default: 24
        }
    }
}

extension Form {
    /// Whether an element can be computed where it is needed, from elements of the operands.
    package func isInlinable(operands: [TensorType]) -> Bool {
        switch self {
        case .elementwise, .view, .gather: return true
        case .reduce(_, let axes):
            let steps = axes.reduce(1) { $0 * operands[0].shape[$1] }
            return (steps.constant ?? .max) <= InlineCost.unrolledSteps
        case .contract(let contraction): return contraction.isUnrolled
        default: return false
        }
    }
}

extension Contraction {
    /// Variables of the left map, the right map.
    package var leftVariables: Set<Int> { Self.variables(left) }
    package var rightVariables: Set<Int> { Self.variables(right) }

    private static func variables(_ piece: IndexMap.Piece) -> Set<Int> {
        var found: Set<Int> = []
        for dim in piece.indices { found.formUnion(dim.indices) }
        for condition in piece.conditions { found.formUnion(condition.expression.indices) }
        return found
    }

    /// How many products make one element.
    package var steps: Dim { sizes[outputRank...].reduce(1, *) }

    /// Whether each element takes few steps.
    package var isShort: Bool { (steps.constant ?? .max) <= InlineCost.unrolledSteps }

    /// Few steps, and an operand whose elements all serve once: nothing is gained by packing.
    package var isUnrolled: Bool {
        guard isShort else { return false }
        let outputs = Set(0..<outputRank).filter { sizes[$0] != 1 }
        return (outputs.isSubset(of: leftVariables) || outputs.isSubset(of: rightVariables)) && sliding == nil
    }
}
