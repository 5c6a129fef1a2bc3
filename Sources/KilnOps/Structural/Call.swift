// A call of a graph with a gradient of its own: what the user's custom gradients are recorded as.
// The forward graph is region 0; region 1 says how gradients flow, and a pass puts region 0 in the call's place after differentiation.

import KilnIR

extension Structural {
    /// The calls.
    public static let calls = [callWithGradient]

    /// Region 0 applied to the operands.
    ///
    /// Region 1's inputs are the operands, the results, then a cotangent for each float result; its outputs are the gradients of the
    /// float operands, in their order.
    public static let callWithGradient = OpDefinition(
        "call_with_gradient", operandCount: nil,
        infer: { context in
            guard context.regions.count == 2 else {
                throw context.error("needs two regions, has \(context.regions.count)", fix: "give the forward graph and the gradient graph")
            }
            let results = context.regions[0].outputTypes
            let expected = context.operands + results + results.filter(\.dtype.isFloat)
            try check(context, "forward graph", context.regions[0].inputTypes, context.operands, "takes", "the operands' types")
            try check(context, "gradient graph", context.regions[1].inputTypes, expected, "takes",
                      "the operands', the results' and the float results' types, in this order")
            try check(context, "gradient graph", context.regions[1].outputTypes, context.operands.filter(\.dtype.isFloat), "gives",
                      "the float operands' types")
            return results
        },
        form: { _ in .control(.call) },
        pullback: { pull in
            let builder = pull.results.first?.builder ?? pull.operands[0].builder
            let cotangents = zip(pull.results, pull.cotangents).filter { $0.0.dtype.isFloat }
                .map { $1 ?? builder.full(0, $0.type) }
            var gradients = builder.inline(pull.context.regions[1], pull.operands + pull.results + cotangents).makeIterator()
            return pull.operands.map { $0.dtype.isFloat ? gradients.next() : nil }
        },
        samples: { dtype in [callSample(TensorType(dtype, [2, 3]))] })

    private static func check(_ context: OpContext, _ graph: String, _ found: [TensorType], _ expected: [TensorType], _ verb: String,
                              _ fix: String) throws {
        if found == expected { return }
        let list = { (types: [TensorType]) in types.map(\.description).joined(separator: ", ") }
        throw context.error("the \(graph) \(verb) (\(list(found))), and should be (\(list(expected)))", fix: "make it \(fix)")
    }

    /// The identity, with the gradient that it has.
    private static func callSample(_ type: TensorType) -> OpSample {
        var forward = Graph(name: "forward")
        forward.outputs = [Port("y", forward.addInput("x", type))]
        var gradient = Graph(name: "gradient")
        gradient.addInput("x", type)
        gradient.addInput("y", type)
        if type.dtype.isFloat { gradient.outputs = [Port("dx", gradient.addInput("dy", type))] }
        return OpSample([type], regions: [forward, gradient])
    }
}
