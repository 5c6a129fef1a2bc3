// Single expressions, without a graph around them: an expression and elements come in, the element that they give goes out.

import KilnIR

extension Interpreter {
    /// The value of an expression at one position, each node rounded to its dtype.
    public static func evaluate(_ expression: ScalarExpr, _ arguments: [Scalar], at indices: [Int] = []) -> Scalar {
        var evaluator = ScalarEvaluator(expression)
        return evaluator(arguments.enumerated().map { $0.element.converted(to: argumentType(expression, $0.offset)) }, at: indices)
    }

    /// The value of an expression of floats.
    public static func evaluate(_ expression: ScalarExpr, _ arguments: [Double]) -> Double {
        evaluate(expression, arguments.map { Scalar.real($0) }).double
    }

    private static func argumentType(_ expression: ScalarExpr, _ number: Int) -> DType {
        expression.nodes.firstIndex(of: .argument(number)).map { expression.dtypes[$0] } ?? .f64
    }
}
