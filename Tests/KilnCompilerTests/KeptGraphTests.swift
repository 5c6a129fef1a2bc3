// Whole graphs from the cache: the same bytes as made anew, and nothing kept where anything differs or is damaged.

import Foundation
import KilnIR
import KilnKernels
@testable import KilnLLVM
import KilnOps
@testable import KilnCompiler
import Testing

@Suite struct KeptGraphTests {
    private static let options = Options(cache: nil)

    /// Two layers with weights: one that is packed, a table that is read where it lies, and small ones.
    private func network(weight: [Double] = [1], width: Int = 96, name: String = "kept", slope: Double = 0.5) throws -> Graph {
        let builder = GraphBuilder(name)
        let x = builder.input("x", TensorType(.f32, ["batch", 64]))
        let rows = builder.input("rows", TensorType(.i64, ["batch"]))
        func literal(_ shape: [Int], _ first: Double) -> Literal {
            Literal(.f32, shape, doubles: (0..<shape.reduce(1, *)).map { Double($0 % 13) / 8 - first })
        }
        let w = builder.literal(literal([64, width], weight[0])), bias = builder.literal(literal([width], slope))
        let table = builder.literal(literal([300, width], 2))
        let y = (x.matmul(w) + bias).relu() * slope + table.take(rows, axis: 0)
        return try builder.finish([("y", y), ("z", y.matmul(builder.literal(literal([width, 8], 3))))])
    }

    private func isKept(_ graph: Graph, _ options: Options) throws -> Bool {
        try Pipeline.code(for: graph, options: options).timings.map(\.stage) == ["cache"]
    }

    private func library(_ compiled: CompiledCode, _ target: Target, in folder: String) throws -> Data {
        // The file's name is in the library.
        try SharedObject.link(compiled.code, compiled.interface, target: target, to: "\(folder)/libkept.so")
        return try Data(contentsOf: URL(fileURLWithPath: "\(folder)/libkept.so"))
    }

    @Test(arguments: ["host", "x86-64-v3"]) func whatIsKeptIsTheSame(target: String) throws {
        try withFolder { folder in
            var options = Self.options
            options.target = try #require(HostTarget.named(target))
            let graph = try network()
            let plain = try Pipeline.code(for: graph, options: options)
            options.cache = DiskCache(folder: "\(folder)/cache")
            #expect(try !isKept(graph, options))
            for threads in [1, 2] {
                options.threads = threads
                // As another process would read it: literals that lie elsewhere.
                let again = try network()
                let kept = try Pipeline.code(for: again, options: options)
                #expect(kept.timings.map(\.stage) == ["cache"])
                #expect(kept.code.objects == plain.code.objects)
                #expect(kept.interface == plain.interface)
                #expect(kept.code.constants.contents == plain.code.constants.contents)
                #expect(!kept.code.constants.contents.isEmpty)
                #expect(try CHeader.text(for: kept.interface) == CHeader.text(for: Pipeline.compile(graph, options: Self.options).program))
                #expect(try library(kept, options.target, in: folder) == library(plain, options.target, in: folder))
            }
        }
    }

    /// Weights are the graph's own: no file has their bytes.
    @Test func weightsAreNotKeptTwice() throws {
        try withFolder { folder in
            let options = Options(cache: DiskCache(folder: folder))
            _ = try Pipeline.code(for: network(width: 4000), options: options)
            let sizes = try files(in: folder).map { try #require(FileManager.default.attributesOfItem(atPath: $0)[.size] as? Int) }
            #expect(sizes.reduce(0, +) < 300 * 4000 * 4)
            #expect(try isKept(network(width: 4000), options))
        }
    }

    @Test func whatDiffersIsMadeAnew() throws {
        try withFolder { folder in
            var options = Options(cache: DiskCache(folder: folder))
            #expect(try !isKept(network(), options))
            #expect(try isKept(network(), options))
            #expect(try !isKept(network(weight: [1.125]), options))
            #expect(try !isKept(network(width: 97), options))
            #expect(try !isKept(network(name: "other"), options))
            #expect(try !isKept(network(slope: 0.25), options))
            options.checksIndices = false
            #expect(try !isKept(network(), options))
            options.checksIndices = true
            for name in ["x86-64-v3", "x86-64-v4"] {
                options.target = try #require(HostTarget.named(name))
                #expect(try !isKept(network(), options))
                #expect(try isKept(network(), options))
            }
            options.devices = [Target(.sm80)]
            #expect(try !isKept(network(), options))
            let first = try Pipeline.code(for: network(), options: Options(target: options.target, devices: options.devices, cache: nil))
            let kept = try Pipeline.code(for: network(), options: options)
            #expect(kept.timings.map(\.stage) == ["cache"])
            #expect(kept.code.devices.map(\.ptx) == first.code.devices.map(\.ptx))
            #expect(kept.code.objects == first.code.objects)
        }
    }

    /// Nothing is taken from a cache where somebody wants to see the stages, or to have them checked.
    @Test func whoLooksOnIsShown() throws {
        try withFolder { (folder: String) throws in
            var options = Options(cache: DiskCache(folder: folder))
            #expect(try !isKept(network(), options))
            options.verifies = true
            #expect(try !isKept(network(), options))
            options.verifies = false
            options.log = { _ in }
            #expect(try !isKept(network(), options))
        }
    }

    @Test func damagedFilesAreMadeAnew() throws {
        try withFolder { folder in
            let options = Options(cache: DiskCache(folder: folder)), graph = try network()
            let plain = try Pipeline.code(for: graph, options: Self.options).code.objects
            for damage in [{ Data($0.prefix($0.count / 2)) }, { Data($0.reversed()) }, { $0 + [0] }, { _ in Data() }] as [(Data) -> Data] {
                _ = try Pipeline.code(for: graph, options: options)
                for file in files(in: folder) {
                    let url = URL(fileURLWithPath: file)
                    try damage(Data(contentsOf: url)).write(to: url)
                }
                let made = try Pipeline.code(for: graph, options: options)
                #expect(made.timings.map(\.stage) != ["cache"])
                #expect(made.code.objects == plain)
                #expect(try isKept(graph, options))
            }
        }
    }

    /// Bytes that the checksum lets through but that say something else are no code either.
    @Test func bytesAreNotTrusted() throws {
        let graph = try network(), compiled = try Pipeline.code(for: graph, options: Self.options)
        let content = try #require(GraphContent(graph, Self.options))
        let bytes = try #require(compiled.bytes(content, Self.options))
        var clock = Stopwatch()
        #expect(CompiledCode(bytes: bytes, content, Self.options, &clock)?.code.objects == compiled.code.objects)
        for length in stride(from: 0, to: bytes.count, by: max(bytes.count / 300, 1)) {
            #expect(CompiledCode(bytes: Array(bytes.prefix(length)), content, Self.options, &clock) == nil)
        }
        for position in stride(from: 0, to: bytes.count, by: max(bytes.count / 3000, 1)) {
            var changed = bytes
            changed[position] ^= 0xFF
            // Within an object nothing tells; elsewhere it must not trap.
            _ = CompiledCode(bytes: changed, content, Self.options, &clock)
        }
        let other = try #require(GraphContent(network(width: 97), Self.options))
        #expect(CompiledCode(bytes: bytes, other, Self.options, &clock) == nil)
    }

    /// What is mapped is told by its file, unless that was written so lately that it could be written again without another time.
    @Test func mappedWeightsAreToldByTheirFiles() throws {
        try withFolder { folder in
            let path = "\(folder)/weights"
            func key(seconds: Int) throws -> String {
                let weights = try Mapped(path)
                let builder = GraphBuilder("mapped")
                let x = builder.input("x", TensorType(.f32, ["n", 64]))
                let w = builder.literal(Literal(.f32, [64, 32], region: weights.region, offset: 64))
                return try #require(GraphContent(builder.finish([("y", x.matmul(w))]), Self.options, now: time(nil) + seconds)).key
            }
            let bytes = Data((0..<(64 + 64 * 32 * 4)).map { UInt8(truncatingIfNeeded: $0 &* 31 >> 4) })
            try bytes.write(to: URL(fileURLWithPath: path))
            let (early, late) = (try key(seconds: 0), try key(seconds: 100))
            #expect(early != late)
            #expect(try key(seconds: 0) == early && key(seconds: 100) == late)
            // The same bytes in another file: the same where bytes count.
            try bytes.write(to: URL(fileURLWithPath: path), options: .atomic)
            #expect(try key(seconds: 0) == early)
            #expect(try key(seconds: 100) != late)
            var changed = bytes
            changed[changed.count - 1] ^= 1
            try changed.write(to: URL(fileURLWithPath: path), options: .atomic)
            #expect(try key(seconds: 0) != early)
            // Bytes before the literal's are none of it.
            changed = bytes
            changed[0] ^= 1
            try changed.write(to: URL(fileURLWithPath: path), options: .atomic)
            #expect(try key(seconds: 0) == early)
        }
    }

    /// A file in memory.
    private final class Mapped: Sendable {
        let region: ByteRegion

        init(_ path: String) throws {
            let file = open(path, O_RDONLY)
            defer { close(file) }
            let size = Int(lseek(file, 0, SEEK_END))
            let base = try #require(mmap(nil, size, PROT_READ, MAP_PRIVATE, file, 0))
            // Left in memory: the test is short, and so is the file.
            region = ByteRegion(UnsafeRawBufferPointer(start: base, count: size), owner: nil)
        }
    }

    // MARK: Digests

    private func digest(_ bytes: [UInt8]) -> [UInt8] { bytes.withUnsafeBytes { ContentDigest.digest($0) } }

    /// Every change of a bit, of the length and of the order shows, wherever it is.
    @Test func digestsTellBytesApart() {
        let bytes = (0..<300).map { UInt8(truncatingIfNeeded: $0 &* 37 >> 3) }
        var seen: Set<[UInt8]> = [digest(bytes)]
        for position in bytes.indices {
            for bit in 0..<8 {
                var changed = bytes
                changed[position] ^= 1 << UInt8(bit)
                #expect(seen.insert(digest(changed)).inserted)
            }
        }
        for length in bytes.indices { #expect(seen.insert(digest(Array(bytes.prefix(length)))).inserted) }
        // The first byte is zero.
        for length in 2...300 { #expect(seen.insert(digest([UInt8](repeating: 0, count: length))).inserted) }
        // Changes of one block that those of a later one could undo.
        for bit in 0..<64 {
            for other in 0..<64 {
                var changed = bytes
                changed[40 + bit / 8] ^= 1 << UInt8(bit % 8)
                changed[104 + other / 8] ^= 1 << UInt8(other % 8)
                #expect(seen.insert(digest(changed)).inserted)
            }
        }
        let block = (0..<64).map { UInt8($0) }, zeros = [UInt8](repeating: 0, count: 64)
        // A block at each of many places among others, and blocks that changed places.
        for place in 0..<200 {
            #expect(seen.insert(digest((0..<200).flatMap { $0 == place ? block : zeros })).inserted)
            #expect(seen.insert(digest((0..<200).flatMap { [UInt8](repeating: $0 == 0 ? UInt8(place + 1) : $0 == place + 1 ? 0 : UInt8($0), count: 64) })).inserted)
        }
    }

    @Test(arguments: [0, 1, 63, 64, 1 << 20, 3 << 20, 9 << 20 | 5]) func digestsDoNotDependOnThreads(count: Int) {
        let bytes = (0..<count).map { UInt8(truncatingIfNeeded: $0 &* 7 >> 2) }
        let literals = [Literal(.u8, [count], bytes: bytes), Literal(.u8, [3], bytes: [1, 2, 3])]
        let digests = [1, 2, 0].map { threads in
            var hash = SHA256()
            ContentDigest.update(&hash, literals, threads: threads)
            return hash.digest()
        }
        #expect(Set(digests).count == 1)
    }
}
