// What the verifier finds in broken graphs, and how it shows it.

import KilnIR
import Testing

private let type = TensorType(.f32, ["n"])

private func valid() throws -> Graph {
    var graph = Graph(name: "g")
    let x = graph.addInput("x", type)
    let y = try graph.append(Ops.neg, [x])
    let z = try graph.append(Ops.add, [x, y[0]])
    graph.outputs = [Port("z", z[0])]
    return graph
}

private func finding(_ graph: Graph) -> String {
    do {
        try graph.verify(after: "fuse")
        return "nothing"
    } catch { return "\(error)" }
}

@Suite struct VerifierTests {
    @Test func acceptsValidGraphs() throws { #expect(finding(try valid()) == "nothing") }

    @Test func showsTheLinesAround() throws {
        var graph = try valid()
        graph.operations.swapAt(0, 1)
        #expect(finding(graph) == """
            internal error in fuse: graph `g`: add: operand 1 is used before it is made
              graph @g(%x: f32[n]) -> (z: f32[n]) {
            >   %1 = add %x, %2 : f32[n]
                %2 = neg %x : f32[n]
                return %1
              }
              This is a fault of Kiln's, not of your program.
            """)
    }

    static let breaks: [(String, @Sendable (inout Graph) -> Void)] = [
        ("neg: operand 0 is used before it is made", { $0.operations[0].operands = [99] }),
        ("neg: operand 0 is used before it is made", { $0.operations[0].operands = [-1] }),
        ("add: takes 2 operands and has 1", { $0.operations[1].operands.removeLast() }),
        ("add: result 0 is made already", { $0.operations[1].results = [1] }),
        ("add: result 0 is no value of the graph", { $0.operations[1].results = [77] }),
        ("neg: makes 1 results and has 0", { $0.operations[0].results = [] }),
        ("neg: has no attribute `axis`", { $0.operations[0].attributes["axis"] = .int(1) }),
        ("output 0 `z` is a value that nothing makes", { $0.operations.removeLast() }),
        ("output 0 `z` is a value that nothing makes", { $0.outputs[0].value = 50 }),
        ("input 1 `x` is the same value as another input", { $0.inputs.append($0.inputs[0]) }),
        ("input 0 `x` is no value of the graph", { $0.inputs[0].value = -4 }),
        ("neg: result 0 is f32[n], but the graph says f32[3]", { $0.operations[0].results = [$0.makeValue(TensorType(.f32, [3]))] }),
        ("input 1 `i`: the index variable d2 is no size", { $0.addInput("i", TensorType(.f32, [.index(2)])) }),
        ("input 1 `i`: the size -3 is negative", { $0.addInput("i", TensorType(.f32, [-3])) }),
        ("its types can't be inferred: add: the operands differ", { graph in
            let other = graph.addInput("o", TensorType(.f32, []))
            graph.operations[1].operands[0] = other
        }),
        ("reshape: attribute `shape`: the size `m` is in no input's type", { graph in
            _ = try? graph.append(Ops.reshape, [0], ["shape": .dims(["m"])])
        }),
        ("graph `inner`: output 0 `z` is a value that nothing makes", { graph in
            var inner = graph
            inner.name = "inner"
            inner.outputs[0].value = 50
            _ = try? graph.append(Ops.call, [0], ["carried": .int(1)], regions: [inner])
        }),
    ]

    @Test(arguments: breaks.indices) func findsFaults(number: Int) throws {
        var graph = try valid()
        Self.breaks[number].1(&graph)
        let found = finding(graph)
        #expect(found.contains(Self.breaks[number].0), "\(found)")
        #expect(found.contains("> "))
    }
}
