// Control flow as steps: branches, loops and calls come in; steps with the regions' steps inside, and moves of what regions give back, go out.

import KilnIR

extension ProgramWriter {
    /// Writes the steps of an operation with regions, and tells where its results are.
    func control(_ control: Control, _ operation: Operation, _ graph: Graph, _ values: inout [ValueID: Int]) throws {
        let operands = operation.operands.map { values[$0]! }
        func steps(_ number: Int, _ inputs: [Int], isLoop: Bool = false) throws -> (steps: [Draft], outputs: [Int]) {
            try region(operation.regions[number], inputs: inputs, checks: checks(of: operation, region: number), isLoop: isLoop)
        }
        func moves(_ sources: [Int], to targets: [Int]) -> [Draft] {
            let moves = zip(sources, targets).filter { $0 != $1 }.map { Move(source: $0, target: $1) }
            return moves.isEmpty ? [] : [.move(moves)]
        }
        let results: [Int]
        switch control {
        case .if:
            results = operation.results.map { makeTemporary("t", graph.type(of: $0)) }
            let inputs = Array(operands.dropFirst())
            let (then, otherwise) = (try steps(0, inputs), try steps(1, inputs))
            append(.branch(condition: operands[0], then: then.steps + moves(then.outputs, to: results),
                           otherwise: otherwise.steps + moves(otherwise.outputs, to: results)))
        case .while(let carried):
            // What no round changes stays where it is.
            let next = operation.regions[1]
            let isKept = (0..<carried).map { next.outputs[$0].value == next.inputs[$0].value }
            let states = operation.results.enumerated().map { isKept[$0.offset] ? operands[$0.offset] : makeTemporary("t", graph.type(of: $0.element)) }
            results = states
            moves(Array(operands[..<carried]), to: states).forEach(append)
            let changing = zip(states, isKept).filter { !$1 }.map(\.0)
            let (test, round) = try inRounds(changing) {
                (try steps(0, states + operands[carried...], isLoop: true), try steps(1, states + operands[carried...], isLoop: true))
            }
            append(.loop(test: test.steps, condition: test.outputs[0], body: round.steps + moves(round.outputs, to: states)))
        case .call:
            let inner = try steps(0, operands)
            results = inner.outputs
            inner.steps.forEach(append)
        }
        for (value, buffer) in zip(operation.results, results) { values[value] = buffer }
    }
}
