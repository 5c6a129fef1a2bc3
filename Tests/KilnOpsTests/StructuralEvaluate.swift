// Running spellings on literals: the values of an expression, and the gradients of its sum.

import KilnIR
import KilnOps
import KilnPasses

/// The value of an expression of the inputs.
func evaluate(_ inputs: [Literal], symbolic: [TensorType]? = nil, _ body: ([Value]) -> Value) throws -> Literal {
    try Interpreter.run(try graph(symbolic ?? inputs.map(\.type), body), inputs: inputs)[0]
}

func evaluate(_ input: Literal, _ body: (Value) -> Value) throws -> Literal { try evaluate([input]) { body($0[0]) } }

/// The gradients, with respect to the inputs of floats, of the sum of an expression times the weights 1, 2, 3, ….
func gradients(_ inputs: [Literal], _ body: ([Value]) -> Value) throws -> [Literal] {
    let graph = try graph(inputs.map(\.type)) { values in
        let result = body(values)
        let count = result.type.elementCount.constant!
        let weights = result.literal(Literal(result.dtype, result.dims.map { $0.constant! }, doubles: (0..<count).map { Double($0 + 1) }), at: .unknown)
        return (result * weights).sum()
    }
    let floats = graph.inputs.filter { graph.types[$0.value].dtype.isFloat }.map(\.value)
    let differentiated = try Differentiate.gradients(graph, of: [graph.outputs[0].value], withRespectTo: floats)
    return Array(try Interpreter.run(differentiated, inputs: inputs).dropFirst())
}

func graph(_ types: [TensorType], _ body: ([Value]) -> Value) throws -> Graph {
    let builder = GraphBuilder("test")
    let inputs = types.enumerated().map { builder.input("x\($0)", $1) }
    return try builder.finish([("y", body(inputs))])
}

/// f64 elements `(i * step) % modulus - offset`.
func pattern(_ shape: Int..., step: Int = 7, modulus: Int = 11, offset: Int = 5) -> Literal {
    Literal(.f64, shape, doubles: (0..<shape.reduce(1, *)).map { Double(($0 * step) % modulus - offset) })
}

func reals(_ shape: [Int], _ values: [Double]) -> Literal { Literal(.f64, shape, doubles: values) }
func integers(_ shape: [Int], _ values: [Int], _ dtype: DType = .i64) -> Literal {
    Literal(dtype, shape, scalars: values.map { .integer(Int64($0)) })
}

extension Literal {
    /// Whether shape and elements are these, to 1e-9.
    func isNear(_ shape: [Int], _ values: [Double]) -> Bool {
        self.shape == shape && doubles.count == values.count && zip(doubles, values).allSatisfy { abs($0 - $1) < 1e-9 || $0 == $1 }
    }
}
