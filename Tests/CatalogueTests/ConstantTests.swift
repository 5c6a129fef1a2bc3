// Big constants: wherever their bytes lie, kernels compute what they compute from inputs of the same values, in this process, from a
// shared object and on the emulated grid; and the compiler neither reads nor copies them.

import Foundation
import KilnCompiler
import KilnExecution
import KilnIR
import KilnKernels
import KilnLLVM
import KilnOps
import Testing

@Suite struct ConstantTests {
    private static let rows = 97, columns = 53

    static func weight(_ dtype: DType) -> Literal {
        Literal(dtype, [rows, columns], scalars: (0..<rows * columns).map { Scalar.integer(Int64($0 * 7 % 23 % 11 - 3)).converted(to: dtype) })
    }

    /// Elements in order, across and at computed places of a value, and sums of it along both axes.
    static func graph(_ dtype: DType, _ weight: (GraphBuilder) -> Value) throws -> Graph {
        let builder = GraphBuilder("weights")
        let x = builder.input("x", TensorType(.f32, ["n", .constant(rows)]))
        let places = builder.input("places", TensorType(.i64, ["n"]))
        let w = weight(builder), f = w.cast(to: .f32)
        return try builder.finish([("product", x.matmul(f)), ("across", w.transpose(0, 1)), ("taken", w.slice(axis: 1, from: 1, step: 3).gather(0, places.unsqueezed(1))),
                                   ("sums", f.sum(0)), ("more", (f * 2 + 1).sum(1)), ("some", w.slice(axis: 0, from: 90).slice(axis: 1, from: 3))])
    }

    static let arguments = [Literal(.f32, [3, rows], doubles: (0..<3 * rows).map { Double($0 * 5 % 13 - 6) / 8 }), Literal(.i64, [3], doubles: [5, 96, 0])]

    static func shared(_ literal: Literal, at offset: Int) -> Literal {
        Literal(literal.dtype, literal.shape, region: ByteRegion(copying: [UInt8](repeating: 0xFF, count: offset) + literal.bytes), offset: offset)
    }

    static func constantGraph(_ literal: Literal) throws -> Graph { try graph(literal.dtype) { $0.literal(literal) } }
    static func inputGraph(_ literal: Literal) throws -> Graph { try graph(literal.dtype) { $0.input("w", literal.type) } }

    @Test(arguments: DType.all) func lieAnywhere(dtype: DType) throws {
        let weight = Self.weight(dtype)
        let expected = try Compiled(Self.inputGraph(weight)).run(Self.arguments + [weight])
        for offset in [0, 1, 4, 63] {
            let got = try Compiled(Self.constantGraph(Self.shared(weight, at: offset))).run(Self.arguments)
            #expect(zip(got, expected).allSatisfy { $0.bytes == $1.bytes }, "at offset \(offset)")
        }
        let own = try Compiled(Self.constantGraph(weight)).run(Self.arguments)
        #expect(zip(own, expected).allSatisfy { $0.bytes == $1.bytes })
    }

    @Test(arguments: [DType.f32, .bf16, .i64]) func reachDevices(dtype: DType) throws {
        let weight = Self.weight(dtype)
        let expected = try Compiled.all(Self.inputGraph(weight), Runner.grids)
        let got = try Compiled.all(Self.constantGraph(Self.shared(weight, at: 3)), Runner.grids)
        #expect(got.count == expected.count)
        for (constant, input) in zip(got, expected) {
            let (a, b) = (try constant.run(Self.arguments), try input.run(Self.arguments + [weight]))
            #expect(zip(a, b).allSatisfy { $0.bytes == $1.bytes })
        }
    }

    @Test func liveInSharedObjects() throws {
        let folder = FileManager.default.temporaryDirectory.appending(path: "kiln-constants-\(UUID().uuidString)")
        try FileManager.default.createDirectory(at: folder, withIntermediateDirectories: true)
        defer { try? FileManager.default.removeItem(at: folder) }
        let weight = Self.weight(.f32)
        let expected = try Compiled(Self.inputGraph(weight)).run(Self.arguments + [weight])
        var files: [Data] = []
        for offset in [0, 5] {
            let artifact = try Pipeline.compile(Self.constantGraph(Self.shared(weight, at: offset)), options: Compiled.options)
            // The literal itself, and in panels for the product.
            #expect(artifact.code.constants.byteCounts.sorted() == [weight.byteCount, 64 * Self.rows * 4])
            #expect(artifact.code.objects.reduce(0) { $0 + $1.count } < weight.byteCount * 4)
            let own = folder.appending(path: "\(offset)")
            try FileManager.default.createDirectory(at: own, withIntermediateDirectories: true)
            let path = own.appending(path: "lib.so").path
            try SharedObject.link(artifact.code, artifact.program, target: Compiled.options.target, to: path)
            #expect(try FileManager.default.contentsOfDirectory(atPath: own.path) == ["lib.so"])
            files.append(try Data(contentsOf: URL(fileURLWithPath: path)))
            let executable = try SharedLibrary(path: path).executable("weights")
            let buffers = try Self.arguments.map { try $0.withUnsafeBytes { try DeviceBuffer(copying: $0) } }
            let got = try executable.run(buffers, symbols: [3])
            #expect(zip(got, expected).allSatisfy { $0.bytes.prefix($1.byteCount).elementsEqual($1.bytes) })
        }
        #expect(files[0] == files[1])
    }

    /// A hundred products with a million numbers each: of the memory that holds them, the compiler sees the ends alone.
    @Test func areNotRead() throws {
        let size = 1000, count = 100
        let bytes = size * size * 4
        let memory = mmap(nil, bytes * count, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0)!
        defer { munmap(memory, bytes * count) }
        #expect(madvise(memory, bytes * count, MADV_NOHUGEPAGE) == 0)
        let region = ByteRegion(UnsafeRawBufferPointer(start: memory, count: bytes * count), owner: nil)
        let builder = GraphBuilder("deep")
        var x = builder.input("x", TensorType(.f32, ["n", .constant(size)]))
        for layer in 0..<count {
            // Not the same number everywhere, which is looked for.
            (memory + layer * bytes).storeBytes(of: Float(layer + 1), as: Float.self)
            x = x.matmul(builder.literal(Literal(.f32, [size, size], region: region, offset: layer * bytes)))
        }
        let graph = try builder.finish([("y", x)])
        let clock = ContinuousClock()
        let start = clock.now
        let groups = try Pipeline.fuse(Pipeline.simplify(graph, Compiled.options), Compiled.options)
        let passed = clock.now
        let program = try Pipeline.lower(groups, checks: SizeChecks(of: graph, in: groups), Compiled.options)
        print("100 constants of 4 MB: passes \(passed - start), lowering \(clock.now - passed)")
        #expect(program.kernels.count == count)
        var resident = [UInt8](repeating: 0, count: bytes * count / 4096 + 1)
        #expect(mincore(memory, bytes * count, &resident) == 0)
        #expect(resident.count { $0 & 1 != 0 } <= count * 4)
    }
}
