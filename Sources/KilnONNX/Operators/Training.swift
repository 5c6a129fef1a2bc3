// Operators of training: one step of an optimizer for several tensors at once, and gradients.

import KilnIR
import KilnOps
import KilnPasses

extension Operators {
    static let training: [Operator] = [
        optimizer("Adam", states: 2) { node, rate, count, x, gradient, states in
            let alpha = node.real("alpha", 0.9), beta = node.real("beta", 0.999)
            let direction = x * node.real("norm_coefficient", 0) + gradient
            let mean = states[0] * alpha + direction * (1 - alpha), square = states[1] * beta + direction.square() * (1 - beta)
            // In the first iteration there is nothing to correct.
            let correction = (1 - x.full(.real(beta), count.type, at: .unknown).pow(count)).sqrt() / (1 - x.full(.real(alpha), count.type, at: .unknown).pow(count))
            let step = rate * (count .> 0).select(correction, 1)
            let moved = x - step * (mean / (square.sqrt() + node.real("epsilon", 1e-6)))
            return [moved * (1 - node.real("norm_coefficient_post", 0)), mean, square]
        },
        optimizer("Adagrad", states: 1) { node, rate, count, x, gradient, states in
            let direction = x * node.real("norm_coefficient", 0) + gradient
            let square = states[0] + direction.square()
            let step = rate / (count * node.real("decay_factor", 0) + 1)
            return [x - step * direction / (square.sqrt() + node.real("epsilon", 1e-6)), square]
        },
        optimizer("Momentum", states: 1) { node, rate, count, x, gradient, states in
            let alpha = node.real("alpha", 0), direction = x * node.real("norm_coefficient", 0) + gradient
            let weight = (count .> 0).select(x.full(.real(node.real("beta", 1)), count.type, at: .unknown), 1)
            let velocity = states[0] * alpha + weight * direction
            return [x - rate * (node.text("mode") == "nesterov" ? direction + velocity * alpha : velocity), velocity]
        },
        Operator("Gradient", .training, items: gradients),
    ]

    /// A step's rate, the number of steps before it, the tensor, its gradient and what is kept of earlier ones.
    private typealias Step = @Sendable (NodeContext, Value, Value, Value, Value, [Value]) throws -> [Value]

    /// Inputs are the rate, the count, then all tensors, all gradients, and each state of all; outputs are all tensors, then the states.
    private static func optimizer(_ name: String, states: Int, _ step: @escaping Step) -> Operator {
        Operator(name, .training, items: { node in
            let tensors = try node.tensors()
            guard tensors.count > 2, (tensors.count - 2) % (states + 2) == 0 else { throw node.mistake("has \(tensors.count) inputs") }
            let count = (tensors.count - 2) / (states + 2)
            let results = try (0..<count).map { number in
                let own = (0..<states + 2).map { tensors[2 + number + $0 * count] }, dtype = own[0].dtype
                return try step(node, tensors[0].cast(to: dtype), tensors[1].cast(to: dtype), own[0], own[1], Array(own[2...])).map { $0.cast(to: dtype) }
            }
            return (0...states).flatMap { part in results.map { .tensor($0[part]) } }
        })
    }

    /// The gradients of the sum of `y` with respect to `xs`, at the inputs: those are the values of the names in `xs`, then `zs`.
    private static func gradients(_ node: NodeContext) throws -> [Item] {
        let names = (node.texts("xs") ?? []) + (node.texts("zs") ?? [])
        guard let target = node.text("y"), names.count == node.inputCount else { throw node.mistake("does not name what it differentiates") }
        func named(_ name: String) throws -> Value {
            switch node.scope.find(name) {
            case .tensor(let tensor)? where tensor.element.isNative: return tensor.value
            case .unavailable?: throw Unavailable()
            default: throw node.mistake("'\(name)' is no tensor of numbers")
            }
        }
        let variables = try names.map(named), inputs = try node.tensors()
        var y = try named(target)
        if variables.map(\.id) != inputs.map(\.id) { y = node.builder.recomputed(y, from: variables, with: inputs) }
        let wanted = Array(inputs.prefix(node.texts("xs")?.count ?? 0))
        let found = try Differentiate.backward(node.builder, from: [(y, node.full(1, y.type))], to: wanted)
        return zip(wanted, found).map { .tensor($1 ?? node.full(0, $0.type)) }
    }
}

extension GraphBuilder {
    /// A value computed again, with others in the place of those that it was computed from.
    fileprivate func recomputed(_ value: Value, from sources: [Value], with replacements: [Value]) -> Value {
        var renamed = Dictionary(zip(sources, replacements).map { ($0.id, $1) }, uniquingKeysWith: { first, _ in first })
        for operation in graph.operations where operation.operands.contains(where: { renamed[$0] != nil }) && renamed[operation.results[0]] == nil {
            let results = append(operation.op, operation.operands.map { renamed[$0] ?? self.value($0) }, operation.attributes, regions: operation.regions,
                                 at: operation.location)
            for (old, new) in zip(operation.results, results) { renamed[old] = new }
        }
        return renamed[value.id] ?? value
    }
}
