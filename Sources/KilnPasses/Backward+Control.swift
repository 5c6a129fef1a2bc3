// The way back through control flow: an `if` becomes an `if` of gradients, a `while` a loop from its last round to its first.
// Nothing is kept from the forward run but the number of rounds: each round's state is computed again, so memory stays bounded.

import KilnIR
import KilnOps

extension Differentiate {
    /// Both regions are run again and followed back within the same branch.
    static func pullbackOfIf(_ operation: Operation, in builder: GraphBuilder, cotangents: [Value?], wanted: [Bool]) throws -> [Value?] {
        let seeded = cotangents.indices.filter { cotangents[$0] != nil }
        let inputs = wanted.indices.dropFirst().filter { wanted[$0] }
        let regions = try operation.regions.map { try gradientGraph(of: $0, seeded: seeded, wanted: inputs.map { $0 - 1 }) }
        let operands = operation.operands.map(builder.value) + seeded.map { cotangents[$0]! }
        let results = builder.append(operation.op, operands, operation.attributes, regions: regions)
        var gradients = [Value?](repeating: nil, count: wanted.count)
        for (input, result) in zip(inputs, results) { gradients[input] = result }
        return gradients
    }
}

/// A `while` on the way back.
///
///     count:    n = rounds until the condition fails
///     reverse:  for i in n-1 … 0 { state = first i rounds, run again; cotangents = round's pullback at state }
///
/// The work grows with the square of the rounds, the memory not at all. The reverse loop is made of loops itself, so it has a
/// gradient in its turn.
struct Loop {
    private let operation: Operation
    private let builder: GraphBuilder
    private let carried: Int
    /// Numbers of the carried values, and of the operands that are captured, through which gradients flow.
    private let activeState: [Int]
    private let activeCaptured: [Int]

    private var state: [Value] { operation.operands.prefix(carried).map(builder.value) }
    private var captured: [Value] { operation.operands.dropFirst(carried).map(builder.value) }
    private var body: Graph { operation.regions[1] }
    private static let counter = TensorType(.i64, [])

    init(_ operation: Operation, carried: Int, in builder: GraphBuilder, wanted: [Bool]) {
        self.operation = operation
        self.builder = builder
        self.carried = carried
        let body = operation.regions[1]
        var active = wanted
        // A carried value is active when it starts so, or becomes so in some round.
        while true {
            let values = body.dependents(on: active.indices.filter { active[$0] }.map { body.inputs[$0].value })
            let more = active.enumerated().map { $1 || $0 < carried && values[body.outputs[$0].value] }
            if more == active { break }
            active = more
        }
        activeState = active.indices.filter { active[$0] && $0 < carried }
        activeCaptured = active.indices.filter { active[$0] && $0 >= carried }
    }

    func pullback(_ cotangents: [Value?]) throws -> [Value?] {
        let types = operation.operands.map { builder.graph.type(of: $0) }
        let rounds = builder.append(operation.op, state + [builder.full(0, Self.counter)] + captured,
                                    ["carried": .int(carried + 1)], regions: try [countedCondition(), countedBody()])[carried]
        let starts = activeState.map { cotangents[$0] ?? builder.full(0, types[$0]) } + activeCaptured.map { builder.full(0, types[$0]) }
        let results = builder.append(operation.op, [rounds] + starts + state + captured, ["carried": .int(1 + starts.count)],
                                     regions: try [reverseCondition(), reverseBody()])
        var gradients = [Value?](repeating: nil, count: types.count)
        for (number, result) in zip(activeState + activeCaptured, results.dropFirst()) { gradients[number] = result }
        return gradients
    }

    private func inputs(_ builder: GraphBuilder, _ prefix: String, _ numbers: some Sequence<Int>) -> [Value] {
        numbers.map { builder.input("\(prefix)\($0)", self.builder.graph.type(of: operation.operands[$0])) }
    }

    private var stateNumbers: Range<Int> { 0..<carried }
    private var capturedNumbers: Range<Int> { carried..<operation.operands.count }

    /// The loop's condition, beside a counter.
    private func countedCondition() throws -> Graph {
        let inner = GraphBuilder("condition")
        let state = inputs(inner, "s", stateNumbers)
        _ = inner.input("i", Self.counter)
        let captured = inputs(inner, "c", capturedNumbers)
        return try inner.finish([("go", inner.inline(operation.regions[0], state + captured)[0])])
    }

    /// One round, and one more on the counter; `extra` inputs follow.
    private func countedBody(extra: [TensorType] = []) throws -> Graph {
        let inner = GraphBuilder("body")
        let state = inputs(inner, "s", stateNumbers)
        let counter = inner.input("i", Self.counter)
        let captured = inputs(inner, "c", capturedNumbers)
        for (number, type) in extra.enumerated() { _ = inner.input("e\(number)", type) }
        let next = inner.inline(body, state + captured) + [counter + inner.full(1, Self.counter)]
        return try inner.finish(next.enumerated().map { ("n\($0)", $1) })
    }

    /// Whether the counter has not reached the last input.
    private func limitCondition() throws -> Graph {
        let inner = GraphBuilder("condition")
        _ = inputs(inner, "s", stateNumbers)
        let counter = inner.input("i", Self.counter)
        _ = inputs(inner, "c", capturedNumbers)
        let limit = inner.input("e0", Self.counter)
        return try inner.finish([("go", counter .< limit)])
    }

    private func reverseInputs(_ inner: GraphBuilder) -> (rounds: Value, cotangents: [Value], state: [Value], captured: [Value]) {
        (inner.input("i", Self.counter), inputs(inner, "d", activeState + activeCaptured),
         inputs(inner, "s", stateNumbers), inputs(inner, "c", capturedNumbers))
    }

    private func reverseCondition() throws -> Graph {
        let inner = GraphBuilder("condition")
        let rounds = reverseInputs(inner).rounds
        return try inner.finish([("go", inner.full(0, Self.counter) .< rounds)])
    }

    private func reverseBody() throws -> Graph {
        let inner = GraphBuilder("body")
        let (rounds, cotangents, first, captured) = reverseInputs(inner)
        let before = rounds - inner.full(1, Self.counter)
        let state = inner.append(operation.op, first + [inner.full(0, Self.counter)] + captured + [before],
                                 ["carried": .int(carried + 1)], regions: try [limitCondition(), countedBody(extra: [Self.counter])])
            .prefix(carried)
        let active = activeState + activeCaptured
        // A graph of its own: within it the state is an input, and what it was computed from again is out of sight.
        let roundGradient = try Differentiate.gradientGraph(of: body, seeded: activeState, wanted: active)
        let gradients = inner.inline(roundGradient, state + captured + cotangents.prefix(activeState.count))
        let stepped = active.indices.map { number in
            // A carried value's gradient is handed on; a captured one's gathers over the rounds.
            number < activeState.count ? gradients[number] : cotangents[number].accumulated(with: gradients[number])
        }
        return try inner.finish(([before] + stepped).enumerated().map { ("n\($0)", $1) })
    }
}
