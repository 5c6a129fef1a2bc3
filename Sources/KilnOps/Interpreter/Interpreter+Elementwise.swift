// Elementwise ops by their reference meaning, or, where they have none, by their expression.

import KilnIR

extension Execution {
    func elementwise(_ expression: ScalarExpr) throws -> Elements {
        let shape = try operands.first?.shape ?? resultShape()
        if let other = operands.first(where: { $0.shape != shape }) {
            throw InternalError("interpreter", "\(operation.op.name) has operands of shapes \(shape) and \(other.shape)")
        }
        if let last = operands.last?.dtype, let reference = operation.op.reference {
            if last.isFloat, let real = reference.real { return reals(real, shape) }
            if !last.isFloat, let integer = reference.integer { return integers(integer, last, shape) }
        }
        return expressed(expression, shape)
    }

    private func reals(_ function: ([Double]) -> Double, _ shape: [Int]) -> Elements {
        let columns = operands.map(\.reals)
        var arguments = [Double](repeating: 0, count: columns.count)
        let values = (0..<shape.reduce(1, *)).map { position -> Double in
            for number in columns.indices { arguments[number] = columns[number][position] }
            return function(arguments)
        }
        let dtype = resultType
        if dtype.isFloat { return Elements(dtype, shape, reals: values.map { dtype.rounded($0) }) }
        return Elements(dtype, shape, integers: values.map { Scalar.real($0).converted(to: dtype).int64 })
    }

    private func integers(_ function: ([Scalar], DType) -> Scalar, _ dtype: DType, _ shape: [Int]) -> Elements {
        let result = resultType
        let values = (0..<shape.reduce(1, *)).map { position -> Scalar in
            let value = function(operands.map { $0[position] }, dtype)
            // A comparison's 0 or 1 is an integer still.
            return value.converted(to: result)
        }
        return Elements(result, shape, scalars: values)
    }

    private func expressed(_ expression: ScalarExpr, _ shape: [Int]) -> Elements {
        var evaluator = ScalarEvaluator(expression)
        var values: [Scalar] = []
        values.reserveCapacity(shape.reduce(1, *))
        Odometer(sizes: shape).forEach { indices in
            let position = values.count
            values.append(evaluator(operands.map { $0[position] }, at: indices))
        }
        return Elements(expression.dtype, shape, scalars: values)
    }
}
