// The driver: it comes to an end, in time linear in the graph's size, and what it leaves is simplified no further.

import KilnIR
import KilnOps
import KilnPasses
import Testing

struct DriverTests {
    private static let vector = TensorType(.f32, ["n"])

    @Test func rulesThatUndoEachOtherAreReported() throws {
        let back = Rule("abs to neg", roots: [Elementwise.abs], examples: { [] }, rewrite: { [$0.apply(Elementwise.neg, $0.operands)] })
        let forth = Rule("neg to abs", roots: [Elementwise.neg], examples: { [] }, rewrite: { [$0.apply(Elementwise.abs, $0.operands)] })
        let builder = GraphBuilder("g")
        let graph = try builder.finish([("y", -builder.input("x", Self.vector))])
        let error = #expect(throws: InternalError.self) { try RewriteDriver([back, forth]).apply(to: graph) }
        #expect(error?.problem.contains("never comes to an end") == true)
    }

    @Test func aRuleThatChangesTheTypeIsNotTaken() throws {
        let wrong = Rule("neg is not", roots: [Elementwise.neg], examples: { [] }, rewrite: { [$0.operands[0].isNaN()] })
        let builder = GraphBuilder("g")
        let graph = try builder.finish([("y", -builder.input("x", Self.vector))])
        #expect(try RewriteDriver([wrong]).apply(to: graph).isEquivalent(to: graph))
    }

    @Test func aRuleThatNeedsTooMuchIsNotTaken() throws {
        let large = Rule("neg by a large table", roots: [Elementwise.neg], examples: { [] }) { site in
            let x = site.operands[0]
            return [-x.expand([2_147_483_648, 2_147_483_648, "n"]).sum(0, 1)]
        }
        let builder = GraphBuilder("g")
        let graph = try builder.finish([("y", -(-builder.input("x", Self.vector)))])
        #expect(try RewriteDriver([large]).apply(to: graph).isEquivalent(to: graph))
    }

    @Test func aRuleThatIsWrongIsNamed() throws {
        let wrong = Rule("neg of a sum", roots: [Elementwise.neg], examples: { [] }) { site in
            _ = site.operands[0].sum(7)
            return nil
        }
        let builder = GraphBuilder("g")
        let graph = try builder.finish([("y", -builder.input("x", Self.vector))])
        let error = #expect(throws: InternalError.self) { try RewriteDriver([wrong]).apply(to: graph) }
        #expect(error?.description.contains("neg of a sum") == true)
    }

    @Test func longChainsCollapse() throws {
        let builder = GraphBuilder("g")
        var x = builder.input("x", Self.vector)
        for _ in 0..<20_000 { x = -(x * 1) }
        let graph = try builder.finish([("y", x)])
        let clock = ContinuousClock()
        var simplified = graph
        let duration = try clock.measure { simplified = try Simplify().apply(to: graph) }
        #expect(simplified.operations.isEmpty)
        #expect(duration < .seconds(20))
    }

    @Test func simplifyingTwiceChangesNothing() throws {
        for rule in Simplify.rules where rule.tag == .exact {
            for graph in try rule.examples() {
                let once = try Simplify().apply(to: graph)
                #expect(try Simplify().apply(to: once).isEquivalent(to: once), "\(rule.name)\n\(once)")
            }
        }
    }

    @Test func regionsAreSimplifiedToo() throws {
        guard let branch = Catalogue.op(named: "if") else { return }
        let region = GraphBuilder("r")
        let body = try region.finish([("y", -(-region.input("x", Self.vector)))])
        let builder = GraphBuilder("g")
        let condition = builder.input("c", TensorType(.bool, []))
        let result = builder.append(branch, [condition, builder.input("x", Self.vector)], regions: [body, body])
        let graph = try Simplify().apply(to: builder.finish([("y", result[0])]))
        #expect(graph.operations.count == 1)
        #expect(graph.operations[0].regions.map(\.operations.count) == [0, 0])
    }
}
