// Every rule on its own: it applies to its examples, keeps the types, and what it makes of them gives the same values.

import KilnIR
import KilnOps
import Testing
import KilnPasses

struct RuleTests {
    static let exact = Simplify.rules.filter { $0.tag == .exact }
    static let fastMath = Simplify.rules.filter { $0.tag == .fastMath }

    @Test func rulesAreMany() {
        print("rules: \(Self.exact.count) exact, \(Self.fastMath.count) for real numbers")
        #expect(Self.exact.count > 500)
        #expect(Set(Simplify.rules.map { "\($0.name) \($0.roots.first?.name ?? "") \($0.tag)" }).count == Simplify.rules.count)
    }

    @Test func exactRulesKeepEveryBit() throws {
        var cases = 0
        for rule in Self.exact {
            for graph in try rule.examples() {
                let rewritten = try rewrite(graph, by: rule)
                for seed in 0..<6 {
                    let (left, right, inputs) = try values(graph, rewritten, Random(seed: seed + 1), special: true)
                    for (a, b) in zip(left, right) {
                        let difference = a.firstDifference(from: b)
                        #expect(difference == nil, "\(rule.name): \(a[difference!]) became \(b[difference!]) at \(difference!) of \(inputs.map { $0.count > difference! ? "\($0[difference!])" : "-" })\n\(graph)\n\(rewritten)")
                    }
                    cases += 1
                }
            }
        }
        print("exact rules: \(cases) evaluations of both sides")
    }

    @Test func fastMathRulesHoldForRealNumbers() throws {
        for rule in Self.fastMath {
            for graph in try rule.examples() {
                let rewritten = try rewrite(graph, by: rule)
                let (left, right, _) = try values(graph, rewritten, Random(seed: 7), special: false)
                for (a, b) in zip(left, right) {
                    let tolerance = a.dtype == .bf16 ? 0.1 : a.dtype == .f16 ? 0.02 : 1e-4
                    for position in 0..<a.count {
                        let (x, y) = (a[position].double, b[position].double)
                        // A quotient by zero is no real number.
                        guard x.isFinite else { continue }
                        #expect(abs(x - y) <= tolerance * max(1, abs(x)), "\(rule.name): \(x) became \(y)\n\(graph)\n\(rewritten)")
                    }
                }
            }
        }
    }

    /// One rule applied to a graph on which it must apply.
    private func rewrite(_ graph: Graph, by rule: Rule) throws -> Graph {
        let (rewritten, rewritings) = try RewriteDriver([rule]).applyCounting(graph)
        #expect(rewritings > 0, "\(rule.name) does not apply to its example\n\(graph)")
        let clean = try DeadCode.apply(to: rewritten)
        try clean.verify()
        #expect(clean.outputTypes == graph.outputTypes)
        return clean
    }

    private func values(_ left: Graph, _ right: Graph, _ random: Random, special: Bool) throws -> ([Literal], [Literal], [Literal]) {
        var random = random
        let inputs = left.inputTypes.map { type in
            if special || !type.dtype.isFloat { return random.special(type) }
            return random.uniform(type.with(shape: type.shape.map { .constant($0.evaluate(symbols: ["n": 5])!) }), 0.5...2)
        }
        return (try Interpreter.run(left, inputs: inputs), try Interpreter.run(right, inputs: inputs), inputs)
    }
}
