// Indices out of range in imported models: an error that names operator, index, axis, size and node, as ONNX Runtime has one; negative
// ones count from the end, as ONNX has them.

import Kiln
import KilnIR
import KilnONNX
import Testing

@Suite struct IndexRangeTests {
    private func check(_ op: String, _ shapes: [(String, String)], _ attributes: [String: TestModel.Attribute] = [:], right: [Int], wrong: [Int],
                       says message: String) throws {
        var model = TestModel()
        let inputs = shapes.map { model.input($0.0, $0.0 == "indices" ? .int64 : .float, $0.1) }
        model.output(model.nodes(op, inputs, outputs: 1, attributes)[0])
        let graph = try model.imported().graph, compiled = try CompiledGraph(graph)
        func values(_ indices: [Int]) -> [Literal] {
            graph.inputs.map { port in
                let type = graph.types[port.value], shape = type.shape.map { $0.constant ?? 0 }
                if port.name == "indices" { return Literal(.i64, shape, scalars: indices.map { .integer(Int64($0)) }) }
                return Literal(type.dtype, shape, doubles: (0..<shape.reduce(1, *)).map { Double($0) })
            }
        }
        #expect(try compiled.run(values(right)).map(\.bytes) == Interpreter.run(graph, inputs: values(right)).map(\.bytes))
        let error = #expect(throws: (any Error).self) { try compiled.run(values(wrong)) }
        #expect(error.map { "\($0)".contains(message) } == true, "\(error.map { "\($0)" } ?? "no error")")
        #expect(throws: CompileError.self) { try Interpreter.run(graph, inputs: values(wrong)) }
    }

    @Test func tokensBeyondTheTable() throws {
        try check("Gather", [("table", "64, 4"), ("indices", "3")], right: [0, 63, -64], wrong: [0, 1000, 2],
                  says: "Gather: index 1000 is out of range for axis 0 of size 64")
        try check("GatherElements", [("x", "2, 3"), ("indices", "2, 1")], ["axis": .int(1)], right: [2, -1], wrong: [0, -4],
                  says: "GatherElements: index -4 is out of range for axis 1 of size 3")
    }

    /// Merged into one number for both axes, a wrong index of one would be a right one of the other.
    @Test func eachAxisHasItsOwnRange() throws {
        try check("GatherND", [("x", "4, 3"), ("indices", "2, 2")], right: [3, 2, -4, -3], wrong: [0, 3, 1, 0],
                  says: "GatherND: index 3 is out of range for axis 1 of size 3")
        try check("ScatterND", [("x", "4, 3"), ("indices", "1, 2"), ("updates", "1")], right: [3, 2], wrong: [4, 0],
                  says: "ScatterND: index 4 is out of range for axis 0 of size 4")
        try check("ScatterElements", [("x", "4, 3"), ("indices", "1, 3"), ("updates", "1, 3")], right: [3, -4, 0], wrong: [0, 0, 4],
                  says: "ScatterElements: index 4 is out of range for axis 0 of size 4")
    }
}
