// The way back through a graph under construction: from cotangents of some values to the gradients of others.
// Operations between them are visited in reverse, each op's pullback is called once, and what reaches a value is summed.

import KilnIR
import KilnOps

extension Differentiate {
    /// The gradients of `targets` from the cotangents of some values, appended to the graph that all of them belong to; nil for a
    /// target on which none of the values depends.
    ///
    /// The sum of several contributions to a value is taken in the reverse order of the uses. Only floats carry gradients.
    /// Throws the user's error where an op between has no gradient, naming the op and its source line.
    public static func backward(_ builder: GraphBuilder, from starts: [(value: Value, cotangent: Value)],
                                to targets: [Value]) throws -> [Value?] {
        if let error = builder.error { throw error }
        let location = builder.location
        defer { builder.location = location }
        var cotangents = Cotangents(count: builder.graph.types.count)
        for start in starts { cotangents.add(start.cotangent, to: start.value.id) }
        let active = builder.graph.dependents(on: targets.map(\.id))
        for position in builder.graph.operations.indices.reversed() {
            let operation = builder.graph.operations[position]
            guard operation.results.contains(where: { active[$0] && cotangents[$0] != nil }) else { continue }
            let wanted = operation.operands.map { active[$0] }
            // What makes a target itself is not on the way to it.
            guard wanted.contains(true) else { continue }
            builder.location = operation.location
            let gradients = try pullback(operation, in: builder, cotangents: operation.results.map { cotangents[$0] }, wanted: wanted)
            if let error = builder.error { throw mistake(error, in: operation) }
            for (number, gradient) in gradients.enumerated() where wanted[number] {
                guard var gradient else { continue }
                let expected = builder.graph.types[operation.operands[number]]
                // Sizes of two names that only a call knows to be equal: the op itself checks that they are.
                if gradient.type != expected, gradient.rank == expected.rank, zip(gradient.dims, expected.shape).allSatisfy({ ($0 - $1).constant ?? 0 == 0 }) {
                    gradient = gradient.reshaping(to: expected.shape)
                }
                guard gradient.type == expected else {
                    throw InternalError("differentiate", "the gradient of \(operation.op.name)'s operand \(number), a \(expected), is a \(gradient.type)")
                }
                cotangents.add(gradient, to: operation.operands[number])
            }
        }
        return targets.map { cotangents[$0.id] }
    }

    /// What is wrong where a pullback builds what the ops don't take: it is the user's mistake if only sizes are too large for it.
    private static func mistake(_ error: any Error, in operation: Operation) -> any Error {
        guard var shape = error as? ShapeError, shape.isTooLarge else {
            return InternalError("differentiate", "the gradient of \(operation.op.name) is ill-typed", context: "\(error)")
        }
        shape.problem = "in the gradient of \(operation.op.name), \(shape.problem)"
        return shape
    }

    /// The gradients of the wanted operands of one operation.
    private static func pullback(_ operation: Operation, in builder: GraphBuilder, cotangents: [Value?], wanted: [Bool]) throws -> [Value?] {
        let context = builder.graph.context(of: operation)
        if !operation.regions.isEmpty, case .control(let control) = try operation.op.form(context) {
            switch control {
            case .if: return try pullbackOfIf(operation, in: builder, cotangents: cotangents, wanted: wanted)
            case .while(let carried):
                return try Loop(operation, carried: carried, in: builder, wanted: wanted).pullback(cotangents)
            case .call: break
            }
        }
        guard let rule = operation.op.pullback else {
            throw context.error("has no gradient", fix: "detach its operands, or give the function a gradient of your own")
        }
        var pull = PullbackContext(context: context, operands: operation.operands.map(builder.value), results: operation.results.map(builder.value),
                                   cotangents: cotangents)
        let isNarrow = operation.regions.isEmpty && (pull.operands + pull.results).contains { $0.dtype.isTooNarrowToAdd }
        if isNarrow { pull = pull.widened }
        var gradients = try rule(pull)
        if isNarrow { gradients = zip(gradients, context.operands).map { $0?.cast(to: $1.dtype) } }
        guard gradients.count == operation.operands.count else {
            throw InternalError("differentiate", "\(operation.op.name) has \(operation.operands.count) operands and gives \(gradients.count) gradients")
        }
        return gradients
    }

    /// A graph that runs `graph` again and gives the gradients of the wanted inputs, zero where none flows.
    ///
    /// Its inputs are the graph's, then a cotangent for each of the seeded outputs.
    static func gradientGraph(of graph: Graph, seeded: [Int], wanted: [Int]) throws -> Graph {
        let builder = GraphBuilder(graph.name + "_gradient")
        let inputs = graph.inputs.map { builder.input($0.name, graph.type(of: $0.value)) }
        let cotangents = seeded.map { builder.input("d_\(graph.outputs[$0].name)", graph.type(of: graph.outputs[$0].value)) }
        let outputs = builder.inline(graph, inputs)
        let gradients = try backward(builder, from: zip(seeded, cotangents).map { (outputs[$0], $1) }, to: wanted.map { inputs[$0] })
        return try builder.finish(zip(wanted, gradients).map { number, gradient in
            ("g_\(graph.inputs[number].name)", gradient ?? builder.full(0, inputs[number].type))
        })
    }
}

/// The gradients that have reached values so far.
private struct Cotangents {
    private var values: [Value?]

    init(count: Int) { values = Array(repeating: nil, count: count) }

    subscript(value: ValueID) -> Value? { value < values.count ? values[value] : nil }

    mutating func add(_ cotangent: Value, to value: ValueID) {
        values[value] = values[value].map { $0.accumulated(with: cotangent) } ?? cotangent
    }
}

extension Value {
    /// The sum of two cotangents.
    func accumulated(with other: Value) -> Value { (widened + other.widened).cast(to: dtype) }

    fileprivate var widened: Value { dtype.isTooNarrowToAdd ? cast(to: .f32) : self }
}

extension DType {
    /// Whether these are floats to keep and to multiply, whose gradients are computed in f32.
    fileprivate var isTooNarrowToAdd: Bool { Self.floats8.contains(self) }
}

extension PullbackContext {
    /// What a rule is given where floats are too narrow for its arithmetic.
    fileprivate var widened: PullbackContext {
        var copy = self
        copy.context.operands = context.operands.map { $0.dtype.isTooNarrowToAdd ? $0.with(dtype: .f32) : $0 }
        copy.operands = operands.map(\.widened)
        copy.results = results.map(\.widened)
        copy.cotangents = cotangents.map { $0?.widened }
        return copy
    }
}

extension Graph {
    /// For each value, whether it is a float that depends on one of the given values through floats, or is one of them.
    func dependents(on values: [ValueID]) -> [Bool] {
        var active = [Bool](repeating: false, count: types.count)
        for value in values where types[value].dtype.isFloat { active[value] = true }
        for operation in operations where operation.operands.contains(where: { active[$0] }) {
            for result in operation.results where types[result].dtype.isFloat { active[result] = true }
        }
        return active
    }
}
