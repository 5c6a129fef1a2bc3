// An automaton run on texts by compiled code: texts come in, and whether each of them matches goes out. All texts take one step a round.

import KilnIR
import KilnOps

extension NodeContext {
    /// Whether all of each text matches: bool of the texts' shape.
    func matches(_ texts: Value, _ automaton: ByteAutomaton) throws -> Value {
        let rows = texts.textRows, stateCount = automaton.accepts.count, columns = automaton.classCount + 1
        // Behind a text's end, the last class leaves every state as it is.
        let classes = literal(Literal(.i32, [256], scalars: automaton.classes.map { .integer(Int64($0)) })).take(rows, axis: 0)
        let place = rows.iota(.i64, rows.dims, axis: 1)
        let symbols = (place .< rows.textLengths.unsqueezed(1)).select(classes, automaton.classCount)
        var transitions: [Int32] = []
        for state in 0..<stateCount {
            transitions += automaton.transitions[state * automaton.classCount..<(state + 1) * automaton.classCount]
            transitions.append(Int32(state))
        }
        let table = literal(Literal(.i32, [transitions.count], scalars: transitions.map { .integer(Int64($0)) }))
        let start = full(0, TensorType(.i32, [rows.size(axis: 0)]))
        let rounds = Repetition(node: self, count: sizes([rows.width]), starts: nil, carried: [.tensor(start)], stacking: []) { scope, round, carried in
            let symbol = scope.using(symbols).take(round, axis: 1)
            let next = scope.using(table).take((carried[0].value ?? start) * columns + symbol, axis: 0)
            return .init(goesOn: nil, carried: [.tensor(next)], stacked: [])
        }
        guard let last = try rounds.run()[0].value else { throw Unavailable() }
        let accepts = literal(Literal(.bool, [stateCount], scalars: automaton.accepts.map { .bool($0) }))
        return accepts.take(last, axis: 0).reshaping(to: Array(texts.dims.dropLast()))
    }
}
