// Many cases as one graph: compiled once, run on inputs, and each held against the interpreter.

import KilnIR
import KilnOps
import Testing

/// Cases whose inputs and outputs stand side by side in one graph.
struct Batch {
    let cases: [Case]
    let graph: Graph

    init(_ cases: [Case]) throws {
        self.cases = cases
        let builder = GraphBuilder("batch")
        var outputs: [(String, Value)] = []
        for (number, item) in cases.enumerated() {
            let results = try item.append(to: builder, prefix: "c\(number)_").results
            outputs += results.enumerated().map { ("c\(number)_y\($0)", $1) }
        }
        graph = try builder.finish(outputs)
    }

    /// Values of the graph's inputs for each case.
    func draw(seed: UInt64, symbols: [String: Int]) throws -> [[Literal]] {
        var numbers = SampleNumbers(seed: seed)
        return try cases.map { try $0.draw(&numbers, symbols: symbols) }
    }
}

/// Compiles the cases, runs them with each set of symbols, and records every disagreement with the interpreter.
/// - Returns: how many cases were held against it.
func checkKernels(_ cases: [Case], symbols sets: [[String: Int]] = [["n": 5]], seed: UInt64 = 1, on runner: Runner = .host) -> Int {
    guard !cases.isEmpty else { return 0 }
    do {
        let batch = try Batch(cases)
        let lowered = try Compiled.lowered(batch.graph, runner)
        let detail = "\(runner.testDescription), seed \(seed), \(sets.map { $0.sorted { $0.key < $1.key } }), \(cases.map { "\($0.label) \($0.numbers)" })"
        _ = try Verdicts.check(lowered.map(\.program), detail) {
            let compiled = try lowered.map { try Compiled($0) }
            return try sets.reduce(true) { try check(batch, compiled, $1, seed, runner) && $0 }
        }
        return cases.count * sets.count
    } catch where cases.count > 1 {
        // Which one it is shows when each is alone.
        return cases.reduce(0) { $0 + checkKernels([$1], symbols: sets, seed: seed, on: runner) }
    } catch {
        Issue.record("\(cases[0].label) on \(runner.testDescription): \(error)\n\((try? cases[0].graph().description) ?? "no graph")")
        return 0
    }
}

/// Whether all cases agree with the interpreter; each that does not is recorded.
private func check(_ batch: Batch, _ compiled: [Compiled], _ symbols: [String: Int], _ seed: UInt64, _ runner: Runner) throws -> Bool {
    var agrees = true
    let inputs = try batch.draw(seed: seed, symbols: symbols)
    let flat = inputs.flatMap { $0 }
    var results = try compiled.map { try $0.runInEveryOrder(flat, runner)[...] }
    for (item, values) in zip(batch.cases, inputs) {
        let alone = try item.graph(showsOperands: true)
        let reference = try Interpreter.run(alone, inputs: values, symbols: symbols)
        let (operands, expected) = (Array(reference.prefix(values.count)), reference.dropFirst(values.count))
        let got = results.map { $0.prefix(expected.count) }
        results = results.map { $0.dropFirst(expected.count) }
        guard let last = alone.operations.last else { continue }
        let bounds = try Bound.ofResults(item.op, alone.context(of: last), operands, Array(expected))
        for (program, kernels) in zip(compiled, got) {
            guard let problem = zip(zip(bounds, kernels), expected).lazy.compactMap({ $0.0.disagreement($0.1, $1) }).first else { continue }
            agrees = false
            let place = program.gpu.map { " on \($0.name)" } ?? ""
            Issue.record("\(item.label)\(place) with \(symbols), numbers \(item.numbers): \(problem)\n\(try item.graph())\(sizeNote(values))")
        }
    }
    return agrees
}

/// The inputs themselves where they are few.
private func sizeNote(_ values: [Literal]) -> String {
    values.reduce(0) { $0 + $1.count } > 40 ? "" : values.map { "\($0.type): \($0.scalars)" }.joined(separator: "\n")
}

/// Runs a check for each op on all cores; gives the sum of what it counts.
func countingOverOps(_ body: @escaping @Sendable (OpDefinition) throws -> Int) async -> Int {
    await withTaskGroup(of: Int.self) { group in
        for op in Catalogue.all {
            group.addTask {
                do { return try body(op) } catch {
                    Issue.record("\(op.name): \(error)")
                    return 0
                }
            }
        }
        return await group.reduce(0, +)
    }
}
