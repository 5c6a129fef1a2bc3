// Every op of the catalogue, with every dtype it accepts, on its samples: each stage's text reads back as what was printed.

import KilnCompiler
import KilnIR
import KilnKernels
import KilnOps
import Testing

struct TextTests {
    @Test func everyStageReadsAsPrinted() async {
        let cases = await countingOverOps { op in
            var cases = 0
            for dtype in op.dtypes {
                for item in Case.samples(op, dtype) {
                    let graph = try item.graph()
                    try check(graph, item.label)
                    let groups = try Pipeline.fuse(Pipeline.simplify(graph, Compiled.options), Compiled.options)
                    try check(groups, item.label)
                    let program = try Pipeline.lower(groups, checks: SizeChecks(of: graph, in: groups), Compiled.options)
                    let read = try Program.parse(program.description)
                    if read != program { Issue.record("\(item.label): \(program)\nwas read as\n\(read)") }
                    #expect(read.description == program.description, "\(item.label)")
                    cases += 3
                }
            }
            return cases
        }
        print("text round trips: \(cases) cases")
        #expect(cases > 12_000)
    }

    private func check(_ graph: Graph, _ label: String) throws {
        let text = graph.description
        let read = try Graph.parse(text, catalogue: Catalogue.op(named:))
        if !read.isEquivalent(to: graph) { Issue.record("\(label): \(text)\nwas read as\n\(read)") }
        #expect(read.description == text, "\(label)")
    }

    /// What was read runs: the graph, the groups and the loops give the same bits as what was printed.
    @Test func whatWasReadGivesTheSameBits() async {
        let cases = await countingOverOps { op in
            var cases = 0
            for dtype in op.dtypes where [.f32, .i16, .bool].contains(dtype) {
                let batch = try Batch(Case.samples(op, dtype))
                guard !batch.cases.isEmpty else { continue }
                let inputs = try batch.draw(seed: 5, symbols: ["n": 5]).flatMap { $0 }
                let compiled = try Compiled(batch.graph)
                let expected = try compiled.run(inputs)
                let graph = try Compiled(Graph.parse(batch.graph.description, catalogue: Catalogue.op(named:)))
                let groups = try Graph.parse(compiled.groups.description, catalogue: Catalogue.op(named:))
                let loops = try Compiled(Program.parse(compiled.program.description), groups: groups)
                #expect(same(try graph.run(inputs), expected), "\(op.name) \(dtype): the graph")
                #expect(same(try loops.run(inputs), expected), "\(op.name) \(dtype): the loops")
                let (a, b) = (try Interpreter.run(groups, inputs: inputs, symbols: ["n": 5]),
                              try Interpreter.run(batch.graph, inputs: inputs, symbols: ["n": 5]))
                // Words of index checks come after the graph's own outputs.
                #expect(same(Array(a.prefix(b.count)), b), "\(op.name) \(dtype): the groups")
                cases += 3 * batch.cases.count
            }
            return cases
        }
        print("texts that run: \(cases) cases")
        #expect(cases > 1500)
    }

    private func same(_ a: [Literal], _ b: [Literal]) -> Bool {
        a.count == b.count && zip(a, b).allSatisfy { Bound.exact.disagreement($0, $1) == nil }
    }
}
