// Compiling with a cache: the same bytes as without one, and no code made twice.

import Foundation
import KilnIR
import KilnKernels
import KilnLLVM
import KilnOps
import KilnCompiler
import Testing

/// A cache that counts.
private final class CountingCache: CodeCache, @unchecked Sendable {
    // Both are used under the lock.
    private let lock = NSLock()
    private var known: [String: [UInt8]] = [:]
    private var (hits, misses) = (0, 0)

    func code(for key: String) -> [UInt8]? {
        lock.withLock {
            if known[key] == nil { misses += 1 } else { hits += 1 }
            return known[key]
        }
    }

    func keep(_ code: [UInt8], for key: String) { lock.withLock { known[key] = code } }

    /// What was asked for since this was last called: how often it was there, and how often not.
    func count() -> (hits: Int, misses: Int) {
        lock.withLock {
            defer { (hits, misses) = (0, 0) }
            return (hits, misses)
        }
    }
}

@Suite struct CachedCompilationTests {
    /// Layers that differ in their sizes; equal ones where `step` is 0.
    private func layers(_ count: Int, step: Int = 1, name: String = "layers") throws -> Graph {
        let builder = GraphBuilder(name)
        var width = 16
        var value = builder.input("x", TensorType(.f32, [8, .constant(width)]))
        for layer in 0..<count {
            let next = width + step
            let weight = builder.input("w\(layer)", TensorType(.f32, [.constant(width), .constant(next)]))
            value = value.matmul(weight).relu()
            width = next
        }
        return try builder.finish([("y", value)])
    }

    private func objects(_ graph: Graph, threads: Int = 0, cache: (any CodeCache)?) throws -> [[UInt8]] {
        try Pipeline.compile(graph, options: Options(threads: threads, cache: cache)).code.objects
    }

    @Test func theCacheChangesNoByte() throws {
        let graph = try layers(6)
        let plain = try objects(graph, cache: nil)
        let cache = CountingCache()
        #expect(try objects(graph, threads: 1, cache: cache) == plain)
        let first = cache.count()
        #expect(first.hits == 0 && first.misses == plain.count && plain.count > 2)
        #expect(try objects(graph, threads: 3, cache: cache) == plain)
        #expect(cache.count() == (plain.count, 0))
    }

    /// Another program that begins alike, under another name, makes only what it has beyond.
    @Test func programsShareCode() throws {
        let cache = CountingCache()
        _ = try objects(layers(6), cache: cache)
        let first = cache.count()
        _ = try objects(layers(8, name: "more"), cache: cache)
        let second = cache.count()
        #expect(second.hits >= first.misses - 2)
        #expect(second.hits > 0 && second.misses > 0)
    }

    /// The number of equal layers changes only what calls their code.
    @Test func equalLayersCompileOnce() throws {
        let (few, many) = (CountingCache(), CountingCache())
        let small = try Pipeline.compile(layers(10, step: 0), options: Options(cache: few)), large = try Pipeline.compile(layers(200, step: 0), options: Options(cache: many))
        #expect(large.program.kernels.count >= 200)
        #expect(few.count().misses == many.count().misses)
        func sizes(_ artifact: Artifact) -> [Int] { artifact.code.objects.map(\.count).sorted().dropLast() }
        #expect(sizes(small) == sizes(large))
    }

    @Test func damagedFilesAreMadeAnew() throws {
        try withFolder { folder in
            let graph = try layers(4), cache = DiskCache(folder: folder)
            let plain = try objects(graph, cache: nil)
            #expect(try objects(graph, cache: cache) == plain)
            for (number, file) in files(in: folder).enumerated() {
                let url = URL(fileURLWithPath: file)
                let bytes = try Data(contentsOf: url)
                try (number % 2 == 0 ? Data(bytes.prefix(bytes.count / 2)) : Data(bytes.reversed())).write(to: url)
            }
            #expect(try objects(graph, cache: cache) == plain)
            #expect(try objects(graph, cache: cache) == plain)
        }
    }

    /// What code takes from constants is part of its key: their values where they are single, their numbers where they are rows.
    @Test(arguments: [[1], [4], [2000]]) func constantsKeepTheirPlaces(shape: [Int]) throws {
        func graph(_ value: Double) throws -> Graph {
            let builder = GraphBuilder("scaled")
            let x = builder.input("x", TensorType(.f32, shape.map { .constant($0) }))
            return try builder.finish([("y", x * builder.literal(Literal(.f32, shape, repeating: .real(value))))])
        }
        let cache = CountingCache()
        for value in [2.0, 3.0, -0.0, 0.0] {
            #expect(try objects(graph(value), cache: cache) == objects(graph(value), cache: nil))
        }
    }
}
