// RNN, GRU and LSTM: what a step does, run over time in each direction. The products with the inputs are taken for all steps at once.

import KilnIR
import KilnOps

extension Operators {
    static let recurrentLayers: [Operator] = [
        Operator("RNN", items: { try RecurrentLayer($0, gates: 1, activations: ["Tanh"], step: plain).run() }),
        Operator("GRU", items: { try RecurrentLayer($0, gates: 3, activations: ["Sigmoid", "Tanh"], step: gated).run() }),
        Operator("LSTM", items: { try RecurrentLayer($0, gates: 4, activations: ["Sigmoid", "Tanh", "Tanh"], step: longShort).run() }),
    ]

    private static func plain(_ step: RecurrentStep) -> [Value] {
        [step.functions[0](step.input + step.product(step.state[0], step.recurrent))]
    }

    /// Gates: update, reset, hidden. (K. Cho et al., "Learning Phrase Representations using RNN Encoder–Decoder", 2014.)
    private static func gated(_ step: RecurrentStep) -> [Value] {
        let state = step.state[0], size = step.size
        if let bias = step.hiddenBias {
            let product = step.product(state, step.recurrent)
            let both = step.functions[0]((step.input + product).narrow(1, start: 0, length: size * 2))
            let (update, reset) = (both.narrow(1, start: 0, length: size), both.narrow(1, start: size, length: size))
            let hidden = step.functions[1](step.gate(step.input, 2) + reset * (step.gate(product, 2) + bias))
            return [(1.0 - update) * hidden + update * state]
        }
        let gates = step.input.narrow(1, start: 0, length: size * 2) + step.product(state, step.recurrent.narrow(0, start: 0, length: size * 2))
        let update = step.functions[0](step.gate(gates, 0)), reset = step.functions[0](step.gate(gates, 1))
        let product = step.product(reset * state, step.recurrent.narrow(0, start: size * 2, length: size))
        return [(1.0 - update) * step.functions[1](step.gate(step.input, 2) + product) + update * state]
    }

    /// Gates: input, output, forget, cell. (F. Gers and J. Schmidhuber, "Recurrent nets that time and count", 2000, for the peepholes.)
    private static func longShort(_ step: RecurrentStep) -> [Value] {
        let cell = step.state[1], gates = step.input + step.product(step.state[0], step.recurrent)
        let peeping = { (gate: Value, number: Int, cell: Value) in
            step.peepholes.map { gate + $0.narrow(0, start: .constant(number) * step.size, length: step.size) * cell } ?? gate
        }
        let input = step.functions[0](peeping(step.gate(gates, 0), 0, cell))
        let forget = step.isCoupled ? 1.0 - input : step.functions[0](peeping(step.gate(gates, 2), 2, cell))
        let next = forget * cell + input * step.functions[1](step.gate(gates, 3))
        let output = step.functions[0](peeping(step.gate(gates, 1), 1, next))
        // What is clipped are sums of gates, as in ONNX Runtime.
        return [output * step.functions[2].unclipped(next), next]
    }
}

/// What one step of a direction is made of.
private struct RecurrentStep {
    /// The products with the step's input, with biases, [n, gates * size].
    var input: Value
    /// What is carried, [n, size] each.
    var state: [Value]
    /// [gates * size, size]
    var recurrent: Value
    /// The bias [size] that a GRU resets together with its state.
    var hiddenBias: Value?
    /// [3 * size]
    var peepholes: Value?
    var isCoupled: Bool
    var functions: [RecurrentActivation]
    var size: Dim

    func product(_ x: Value, _ weights: Value) -> Value { x.contracting(weights, reduce: ([1], [1])) }
    func gate(_ gates: Value, _ number: Int) -> Value { gates.narrow(1, start: .constant(number) * size, length: size) }
}

/// A layer of one or two directions. Inside, time is the first axis.
private struct RecurrentLayer {
    let node: NodeContext
    let gates: Int
    let step: (RecurrentStep) -> [Value]
    let functions: [RecurrentActivation]
    let x: Value
    let isBatchFirst: Bool
    let directions: Int
    let size: Dim
    private let weights: Value
    private let recurrent: Value
    /// i64 [n]
    private let lengths: Value?

    init(_ node: NodeContext, gates: Int, activations: [String], step: @escaping (RecurrentStep) -> [Value]) throws {
        self.node = node
        self.gates = gates
        self.step = step
        isBatchFirst = node.flag("layout")
        let input = Operators.computing(try node.tensor(0))
        weights = Operators.computing(try node.tensor(1))
        recurrent = Operators.computing(try node.tensor(2))
        guard input.rank == 3, weights.rank == 3, recurrent.rank == 3 else {
            throw node.mistake("has inputs \(input.dims), weights \(weights.dims) and recurrent weights \(recurrent.dims)")
        }
        x = isBatchFirst ? input.permuting([1, 0, 2]) : input
        let direction = node.text("direction", "forward")
        guard ["forward", "reverse", "bidirectional"].contains(direction) else { throw node.mistake("has the unknown direction '\(direction)'") }
        directions = direction == "bidirectional" ? 2 : 1
        size = recurrent.size(axis: 2)
        guard weights.size(axis: 0) == .constant(directions), recurrent.dims.prefix(2) == [.constant(directions), size * .constant(gates)] else {
            throw node.mistake("has weights \(weights.dims) and \(recurrent.dims) for \(directions) directions and \(gates) gates")
        }
        functions = try RecurrentActivation.all(node, defaults: activations, directions: directions)
        lengths = try node.tensorIfPresent(4)?.cast(to: .i64)
    }

    func run() throws -> [Item] {
        let isFirstReversed = node.text("direction", "forward") == "reverse"
        let parts = try (0..<directions).map { try run($0, isReversed: $0 == 1 || isFirstReversed) }
        let dtype = try node.tensor(0).dtype
        return parts[0].indices.map { output in
            let whole = Value.stack(parts.map { $0[output] }, axis: output == 0 ? 1 : 0).cast(to: dtype)
            // [time, directions, n, size] and [directions, n, size]
            return .tensor(!isBatchFirst ? whole : output == 0 ? whole.permuting([2, 0, 1, 3]) : whole.permuting([1, 0, 2]))
        }
    }

    /// A direction's results of all steps, and what it carries in the end.
    private func run(_ direction: Int, isReversed: Bool) throws -> [Value] {
        let part = { (value: Value) in value.select(axis: 0, index: direction) }
        let (inputBias, hiddenBias) = try biases(direction)
        var products = turned(x, isReversed).contracting(part(weights), reduce: ([2], [1]))
        if let inputBias { products = products + inputBias }
        let count = gates == 4 ? 2 : 1
        let initial = try (0..<count).map { number -> Value in
            guard let given = try node.tensorIfPresent(5 + number).map(Operators.computing) else {
                return node.full(0, TensorType(x.dtype, [x.size(axis: 1), size]))
            }
            return given.select(axis: isBatchFirst ? 1 : 0, index: direction)
        }
        let peepholes = try gates == 4 ? node.tensorIfPresent(7).map { part(Operators.computing($0)) } : nil
        let functions = Array(functions[direction * functions.count / directions..<(direction + 1) * functions.count / directions])
        let matrix = part(recurrent)
        let isCoupled = node.flag("input_forget")

        let results = try Repetition(node: node, count: node.sizes([x.size(axis: 0)]), starts: nil, carried: initial.map { .tensor($0) },
                                     stacking: [.init(axis: 0, isReversed: false)]) { scope, round, carried in
            let old = carried.compactMap(\.value)
            let step = RecurrentStep(input: scope.using(products).take(round, axis: 0), state: old, recurrent: scope.using(matrix),
                                     hiddenBias: hiddenBias.map(scope.using), peepholes: peepholes.map(scope.using), isCoupled: isCoupled,
                                     functions: functions, size: size)
            var next = self.step(step)
            var shown = next[0]
            if let lengths {
                let goes = (scope.using(lengths) .> round).broadcasting(to: shown.dims, axes: [0])
                shown = goes.select(shown, 0.0)
                next = zip(next, old).map { goes.select($0, $1) }
            }
            return .init(goesOn: nil, carried: next.map { .tensor($0) }, stacked: [.tensor(shown)])
        }.run().compactMap(\.value)
        return [turned(results[count], isReversed)] + results[..<count]
    }

    /// What is added to the products with the inputs; and for a GRU that resets after the product, the bias that it resets.
    private func biases(_ direction: Int) throws -> (input: Value?, hidden: Value?) {
        let isReset = gates == 3 && node.flag("linear_before_reset")
        guard let bias = try node.tensorIfPresent(3).map({ Operators.computing($0).select(axis: 0, index: direction) }) else {
            return (nil, isReset ? node.full(0, TensorType(x.dtype, [size])) : nil)
        }
        let width = size * .constant(gates)
        let input = bias.narrow(0, start: 0, length: width), state = bias.narrow(0, start: width, length: width)
        guard isReset else { return (input + state, nil) }
        let hidden = state.narrow(0, start: size * 2, length: size)
        return (input + state.narrow(0, start: 0, length: size * 2).padding(low: [0], high: [size]), hidden)
    }

    /// Steps in reverse, each sequence within its length.
    private func turned(_ value: Value, _ isReversed: Bool) -> Value {
        guard isReversed else { return value }
        guard let lengths else { return value.flipping([0]) }
        let shape = Array(value.dims.prefix(2))
        let step = value.iota(.i64, shape, axis: 0), length = lengths.broadcasting(to: shape, axes: [1])
        let place = (step .< length).select(length - 1 - step, step)
        return value.gather(0, place.broadcasting(to: value.dims, axes: [0, 1]))
    }
}

extension Scope {
    /// A value of the surrounding graph in this one.
    func using(_ value: Value) -> Value { builder === value.builder ? value : capture(.tensor(value)).value ?? value }
}

extension Item {
    /// The tensor's value.
    var value: Value? { if case .tensor(let tensor) = self { tensor.value } else { nil } }
}
