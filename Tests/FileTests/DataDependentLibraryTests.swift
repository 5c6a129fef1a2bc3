// Graphs whose outputs' sizes depend on elements: in this process, on tensors, and as a shared object.

import Kiln
import KilnExecution
import KilnIR
import KilnOps
import Testing

@Suite struct DataDependentLibraryTests {
    /// Where the elements are that are not zero, and these.
    private static func graph(_ name: String) throws -> Graph {
        let builder = GraphBuilder(name)
        let x = builder.input("x", TensorType(.f32, ["n"]))
        let places = x.nonZero(symbol: "found").reshape(["found"])
        return try builder.finish([("places", places), ("y", x.take(places, axis: 0))])
    }

    private static let inputs: [[Double]] = [[0, 3, 0, -1, 2], [0, 0], [], [1, 2, 3], [0, 0, 0, 7]]

    @Test func resultsHaveTheSizesThatAreThere() throws {
        let function = try CompiledGraph(Self.graph("sized"))
        for values in Self.inputs {
            let wanted = values.filter { $0 != 0 }
            let got = try function.run([Literal(.f32, [values.count], doubles: values)])
            #expect(got.map(\.shape) == [[wanted.count], [wanted.count]] && got[1].doubles == wanted)
            let tensors = try function([Tensor(Literal(.f32, [values.count], doubles: values))])
            #expect(tensors[1].shape == [wanted.count])
            #expect(try (tensors[1] * 2).array() == wanted.map { $0 * 2 })
        }
        #expect(function.outputs[1].type.description == "f32[found]")
    }

    @Test func aLibraryTellsTheSizes() throws {
        try LibraryTests.inFolder { folder in
            try Self.graph("found").writeLibrary(to: folder + "/lib.so", header: folder + "/lib.h")
            let header = String(decoding: try FileSystem.contents(of: folder + "/lib.h"), as: UTF8.self)
            #expect(header.contains("// data-dependent: found (at most n)") && header.contains("found_run_data_dependent(inputs, 1, outputs, 2"))
            let executable = try SharedLibrary(path: folder + "/lib.so").executable("found")
            #expect(executable.symbols == ["n", "found"])
            for values in Self.inputs {
                let symbols = try executable.bind([(.f32, [values.count])])
                #expect(symbols == [values.count, values.count])
                let input = try Literal(.f32, [values.count], doubles: values).bytes.withUnsafeBytes { try DeviceBuffer(copying: $0) }
                let wanted = values.filter { $0 != 0 }
                let (outputs, measured) = try executable.runDataDependent([input], symbols: symbols)
                #expect(measured == [values.count, wanted.count])
                #expect(try executable.outputShapes(symbols: measured) == [[wanted.count], [wanted.count]])
                #expect(Literal(.f32, [wanted.count], bytes: Array(outputs[1].bytes.prefix(wanted.count * 4))).doubles == wanted)
            }
        }
    }

    @Test func tensorsHaveNoSizesThatDependOnElements() throws {
        let results = try Self.graph("refused").applied(to: [Tensor([1.0, 0])])
        #expect { try results[1].array() } throws: { "\($0)".contains("gives a size that depends on elements") && "\($0)".contains("CompiledGraph") }
    }
}
