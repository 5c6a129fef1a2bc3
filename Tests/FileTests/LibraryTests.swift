// Graphs compiled once: in this process and as a shared object, for several batch sizes, against the interpreter and each other.
import Kiln
import KilnExecution
import KilnIR
import KilnOps
import Testing

#if canImport(Glibc)
import Glibc
#endif

@Suite struct LibraryTests {
    /// relu(x · w) over a batch whose size is a symbol; numbers are small multiples of 1/8, so that every order of adding is exact.
    static func graph(_ name: String) throws -> Graph {
        let weights = Literal(.f32, [6, 4], doubles: (0..<24).map { Double(($0 * 7) % 11 - 5) / 8 })
        return try compile(name: name, input: TensorSpec("x", .f32, ["batch", 6]), output: "y") { $0.matmul(Tensor(weights)).relu() }
    }

    static func input(_ batch: Int) -> Literal { Literal(.f32, [batch, 6], doubles: (0..<batch * 6).map { Double(($0 * 5) % 13 - 6) / 8 }) }

    /// A folder that is gone when `body` returns.
    static func inFolder(_ body: (String) throws -> Void) throws {
        var template = Array("/tmp/kiln-library-test-XXXXXX".utf8CString)
        try #require(mkdtemp(&template) != nil)
        let folder = String(decoding: template.dropLast().map { UInt8(bitPattern: $0) }, as: UTF8.self)
        defer {
            for name in ["lib.so", "again.so", "lib.h"] { unlink("\(folder)/\(name)") }
            rmdir(folder)
        }
        try body(folder)
    }

    @Test func oneCompilationServesEveryBatch() throws {
        let graph = try Self.graph("served")
        let function = try CompiledGraph(graph)
        for batch in [1, 7, 64, 360, 0] {
            #expect(try function.run([Self.input(batch)]) == Interpreter.run(graph, inputs: [Self.input(batch)]))
            #expect(try function(Tensor(Self.input(batch))).shape == [batch, 4])
        }
        #expect(function.outputs.map(\.name) == ["y"] && function.inputs[0].type.description == "f32[batch, 6]")
        #expect(throws: RuntimeError.self) { try function.run([Literal(.f32, [2, 5], repeating: 0)]) }
        #expect(throws: CompileError.self) { try function.run([]) }
    }

    @Test func aLibraryComputesTheSame() throws {
        let graph = try Self.graph("shipped")
        try Self.inFolder { folder in
            try graph.writeLibrary(to: folder + "/lib.so", header: folder + "/lib.h")
            try graph.writeLibrary(to: folder + "/again.so")
            #expect(try FileSystem.contents(of: folder + "/lib.so").count < 1 << 20)
            #expect(String(decoding: try FileSystem.contents(of: folder + "/lib.h"), as: UTF8.self).contains("shipped_run("))
            let library = try SharedLibrary(path: folder + "/lib.so")
            let executable = try library.executable("shipped")
            #expect(executable.symbols == ["batch"])
            #expect(throws: RuntimeError.self) { try library.executable("other") }
            let function = try CompiledGraph(graph)
            for batch in [1, 7, 64, 360] {
                let input = try Self.input(batch).bytes.withUnsafeBytes { try DeviceBuffer(copying: $0) }
                let output = try executable.run([input], symbols: [batch])[0]
                #expect(try function.run([Self.input(batch)])[0].bytes == Array(output.bytes.prefix(batch * 16)))
            }
        }
    }

    @Test func namesWhatItCannotDo() throws {
        let graph = try Self.graph("refused")
        #expect(throws: CompileError.self) { try graph.writeLibrary(to: "/tmp/lib.so", target: "z80") }
        #expect(throws: CompileError.self) { try graph.writeLibrary(to: "/nowhere/lib.so") }
        #expect(throws: CompileError.self) { try Self.graph("no name").writeLibrary(to: "/tmp/lib.so") }
    }

    @Test func tensorsAndModulesGoThroughFiles() throws {
        try Self.inFolder { folder in
            let path = folder + "/lib.so"
            let saved = Linear(3, 2), loaded = Linear(3, 2)
            try saved.save(to: path + ".safetensors")
            try loaded.load(from: path + ".safetensors")
            #expect(try saved.weight.array() == loaded.weight.array())
            try Tensor.save(["a": Tensor([1.0, 2]), "b": Tensor([3, 4])], to: path)
            #expect(try Tensor.load(path)["b"]!.array() == [3, 4])
            try Tensor([1.0, 2]).write(npy: path)
            #expect(try Tensor(npy: path).array() == [1, 2])
            unlink(path + ".safetensors")
        }
    }
}
