// The meaning of every scalar function on every dtype, one node at a time: what a ScalarExpr computes, bit for bit.
// Each node is rounded to its own dtype, so an expansion of a transcendental function can be held against its kernel.

import KilnIR

/// A ScalarExpr made ready to be evaluated many times. Not thread-safe: copies are independent.
public struct ScalarEvaluator {
    private let expression: ScalarExpr
    private let constants: [Scalar?]
    private var registers: [Scalar]

    public init(_ expression: ScalarExpr) {
        self.expression = expression
        constants = zip(expression.nodes, expression.dtypes).map { node, dtype in
            if case .constant(let value) = node { value.converted(to: dtype) } else { nil }
        }
        registers = constants.map { $0 ?? .integer(0) }
    }

    /// The value for the operands' elements and the position along each axis.
    public mutating func callAsFunction(_ arguments: [Scalar], at indices: [Int] = []) -> Scalar {
        for id in expression.nodes.indices {
            let dtype = expression.dtypes[id]
            switch expression.nodes[id] {
            case .constant: break
            case .argument(let number): registers[id] = arguments[number]
            case .index(let axis): registers[id] = .integer(Int64(indices[axis]))
            case .apply(let function, let operands): registers[id] = apply(function, operands, dtype)
            }
        }
        return registers[expression.result]
    }

    private func apply(_ function: ScalarFunction, _ operands: [Int], _ dtype: DType) -> Scalar {
        let first = registers[operands[0]]
        switch operands.count {
        case 1: return function.evaluate(first, from: expression.dtypes[operands[0]], to: dtype)
        case 2: return function.evaluate(first, registers[operands[1]], from: expression.dtypes[operands[0]], to: dtype)
        default: return function.evaluate(first, registers[operands[1]], registers[operands[2]], to: dtype)
        }
    }
}
