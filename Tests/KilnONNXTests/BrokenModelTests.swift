// Models that are wrong in ways that no exporter's are: each is refused with an error that says so, soon, and nothing traps.

import Foundation
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

    @Test func namesMeanOneThingEach() throws {
        #expect(try graph("node { op_type: 'Relu' input: 'x' output: 'y' } node { op_type: 'Neg' input: 'x' output: 'y' }").contains("makes 'y', which is there already"))
        #expect(try graph("node { op_type: 'Relu' input: 'x' output: 'x' } node { op_type: 'Neg' input: 'x' output: 'y' }").contains("makes 'x', which is there already"))
        #expect(try graph("node { op_type: 'Relu' input: 'x' output: 'y' } output { name: 'y' }").contains("two outputs of the name 'y'"))
    }

    @Test func statedTypesAreHeldAgainstTheirOutputs() throws {
        func stated(_ type: String) throws -> String {
            try problem("graph { input { name: 'x' type { tensor_type { elem_type: 1 shape { dim { dim_value: 2 } } } } } node { op_type: 'Relu' input: 'x' output: 'y' } "
                + "output { name: 'y' type { tensor_type { \(type) } } } }")
        }
        #expect(try stated("elem_type: 7").contains("has elements of type float, and the model says int64"))
        #expect(try stated("elem_type: 1 shape { dim { dim_value: 3 } }").contains("has the size 2 along axis 0, and the model says 3"))
        #expect(try stated("elem_type: 1 shape { }").contains("has 1 axes, and the model says 0"))
        #expect(try stated("elem_type: 1 shape { dim { dim_param: 'n' } }") == "" && stated("elem_type: 1") == "")
    }

    @Test func valuesAreForInputs() throws {
        let bytes: [UInt8] = try ProtoModel(textFormatString: """
            opset_import { version: 20 } graph { input { name: 'x' type { tensor_type { elem_type: 1 shape { dim { dim_value: 2 } } } } }
            node { op_type: 'Relu' input: 'x' output: 'y' } output { name: 'y' } }
            """).serializedBytes()
        do {
            _ = try ONNXModel(bytes: bytes).imported(ImportOptions(values: ["k": Literal(.i64, [], scalars: [.integer(1)])]))
            Issue.record("a value for no input is taken")
        } catch { #expect("\(error)".contains("'k', which is no input of the model\n  fix: choose from x")) }
    }

    @Test func unknownOperatorsSayWhatHelps() throws {
        let unknown = try graph("node { op_type: 'Nothing' input: 'x' output: 'y' }")
        #expect(unknown.contains("there is no such operator in Kiln") && unknown.contains("fix: write the model with other operators"))
    }

    @Test func tensorsOutsideOfTheFolderAreLeftAlone() throws {
        let folder = FileManager.default.temporaryDirectory.appending(path: "kiln-external-\(UUID().uuidString)").path
        try FileManager.default.createDirectory(atPath: folder + "/model", withIntermediateDirectories: true)
        defer { try? FileManager.default.removeItem(atPath: folder) }
        func imported(_ location: String, _ more: String = "") throws -> String {
            let model = try ProtoModel(textFormatString: """
                opset_import { version: 20 } graph { initializer { name: 'w' dims: 2 data_type: 1 data_location: 1
                external_data { key: 'location' value: '\(location)' } \(more) } node { op_type: 'Relu' input: 'w' output: 'y' } output { name: 'y' } }
                """)
            try Data(model.serializedBytes() as [UInt8]).write(to: URL(fileURLWithPath: folder + "/model/m.onnx"))
            do {
                _ = try ONNXModel(contentsOf: folder + "/model/m.onnx").imported()
                return ""
            } catch { return "\(error)" }
        }
        for name in ["/secret", "/model/w"] { try Data(repeating: 0, count: 24).write(to: URL(fileURLWithPath: folder + name)) }
        try FileManager.default.createSymbolicLink(atPath: folder + "/model/out", withDestinationPath: "../secret")
        try FileManager.default.createSymbolicLink(atPath: folder + "/model/in", withDestinationPath: "w")
        #expect(mkfifo(folder + "/model/pipe", 0o600) == 0)
        #expect(try imported("w") == "" && imported("in") == "")
        #expect(try imported("w", "external_data { key: 'offset' value: '16' }") == "")
        #expect(try imported("w", "external_data { key: 'offset' value: '20' }").contains("which has 24"))
        #expect(try imported("out").contains("is a link that leads out of the model's folder"))
        #expect(try imported("pipe").contains("is no plain file"))
    }
}
