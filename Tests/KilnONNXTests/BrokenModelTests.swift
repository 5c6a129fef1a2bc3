// Models that are wrong in ways that no exporter's are: each is refused with an error that says so, soon, and nothing traps.

import Kiln
import KilnIR
import KilnONNX
import SwiftProtobuf
import Testing

@Suite struct BrokenModelTests {
    /// What the import of a model, in the text format of Protocol Buffers, says is wrong.
    private func problem(_ text: String) throws -> String {
        let bytes: [UInt8] = try ProtoModel(textFormatString: "opset_import { version: 20 } opset_import { domain: 'own' version: 1 } " + text).serializedBytes()
        do {
            _ = try ONNXModel(bytes: bytes).imported()
            return ""
        } catch { return "\(error)" }
    }

    private func graph(_ nodes: String, x: String = "dim { dim_value: 2 }", more: String = "") throws -> String {
        try problem("""
            graph { input { name: 'x' type { tensor_type { elem_type: 1 shape { \(x) } } } } \(nodes) output { name: 'y' } } \(more)
            """)
    }

    @Test func axesThatDoNotExistAreMistakes() throws {
        let fewAxes = try graph("node { op_type: 'MultiHeadAttention' domain: 'com.microsoft' input: ['x', 'x', 'x'] output: 'y' attribute { name: 'num_heads' i: 2 } }")
        #expect(fewAxes.contains("axis 1 is not one of the operand's 1"))
        #expect(try graph("node { op_type: 'MultiHeadAttention' domain: 'com.microsoft' input: ['x', 'x', 'x'] output: 'y' attribute { name: 'num_heads' i: -9 } }")
            .contains("has -9 as 'num_heads'"))
    }

    @Test func sizesThatNoMemoryHoldsAreMistakes() throws {
        #expect(try graph("", x: "dim { dim_value: 4611686018427387904 } dim { dim_value: 4 }").contains("has the impossible shape"))
        let repeated = "initializer { name: 'r' dims: 1 data_type: 7 int64_data: 1152921504606846976 } node { op_type: 'Tile' input: ['x', 'r'] output: 'y' }"
        #expect(try graph(repeated).contains("more than can be held"))
        let sums = (0..<24).map { "dim { dim_param: 'd\($0)' }" }.joined(), ones = Array(repeating: "1", count: 48).joined(separator: ", ")
        #expect(try graph("initializer { name: 'p' dims: 48 data_type: 7 int64_data: [\(ones)] } node { op_type: 'Pad' input: ['x', 'p'] output: 'y' }", x: sums)
            .contains("more than can be held"))
    }

    @Test func whatGoesOnForeverIsGivenUp() throws {
        let functions = (0..<60).map { number in
            let next = number == 59 ? "node { op_type: 'Relu' input: 'a' output: 'b' }"
                : "node { op_type: 'f\(number + 1)' domain: 'own' input: 'a' output: 'c' } node { op_type: 'f\(number + 1)' domain: 'own' input: 'c' output: 'b' }"
            return "functions { name: 'f\(number)' domain: 'own' input: 'a' output: 'b' \(next) }"
        }
        #expect(try graph("node { op_type: 'f0' domain: 'own' input: 'x' output: 'y' }", more: functions.joined(separator: " ")).contains("are too many nodes"))
        let itself = "functions { name: 'f' domain: 'own' input: 'a' output: 'b' node { op_type: 'f' domain: 'own' input: 'a' output: 'b' } }"
        #expect(try graph("node { op_type: 'f' domain: 'own' input: 'x' output: 'y' }", more: itself).contains("more than 64 deep"))
    }

    @Test func fewNumbersInAFileTakeLittleMemory() throws {
        let sparse = """
            sparse_initializer { dims: 1099511627776 values { name: 'w' dims: 1 data_type: 1 float_data: 1 } indices { dims: 1 data_type: 7 int64_data: 7 } }
            node { op_type: 'Relu' input: 'w' output: 'y' }
            """
        #expect(try graph(sparse).contains("has 1 of 1099511627776 elements"))
        #expect(try graph("initializer { name: 'n' data_type: 7 int64_data: 1099511627776 } node { op_type: 'HannWindow' input: 'n' output: 'y' }").contains("needs a size"))
    }
}
