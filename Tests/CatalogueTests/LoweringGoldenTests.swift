// Whole programs as loops, after the memory plan, at Tests/Goldens/lower/<case>.kiln; with KILN_RECORD_GOLDENS set they are written instead of
// compared. The kernels are small: what the goldens show is steps and buffers.

import Foundation
import KilnCompiler
import KilnIR
import KilnKernels
import KilnLLVM
import KilnOps
import KilnPasses
import Testing

struct LoweringGoldenTests {
    private static let isRecording = ProcessInfo.processInfo.environment["KILN_RECORD_GOLDENS"] != nil
    private static let folder = URL(fileURLWithPath: #filePath).deletingLastPathComponent().deletingLastPathComponent().appending(path: "Goldens/lower")
    /// Said to be every operation's, so that no golden knows this file.
    private static let line = SourceLocation(name: "model.swift", line: 7)
    private static let (type, count) = (TensorType(.f32, [4, 4]), TensorType(.i64, []))

    private static func region(_ types: [TensorType], _ body: ([Value]) -> [Value]) throws -> Graph {
        let builder = GraphBuilder("region")
        builder.location = line
        let results = body(types.enumerated().map { builder.input("x\($0.offset)", $0.element) })
        return try builder.finish(results.enumerated().map { ("y\($0.offset)", $0.element) })
    }

    private static func builder(_ name: String) -> GraphBuilder {
        let builder = GraphBuilder(name)
        builder.location = line
        return builder
    }

    private static func compare(_ graph: Graph) throws {
        let options = Options(target: try #require(HostTarget.named("x86-64-v3")), verifies: true)
        let groups = try Pipeline.fuse(Pipeline.simplify(graph, options), options)
        let program = try Pipeline.lower(groups, checks: SizeChecks(of: graph, in: groups), options)
        let file = folder.appending(path: "\(graph.name).kiln")
        if isRecording {
            try FileManager.default.createDirectory(at: folder, withIntermediateDirectories: true)
            try program.description.write(to: file, atomically: true, encoding: .utf8)
        }
        let golden = try String(contentsOf: file, encoding: .utf8)
        #expect(program.description == golden, "lower/\(graph.name): set KILN_RECORD_GOLDENS to take the new text")
        #expect(try Program.parse(golden) == program)
    }

    private static func loop(_ b: GraphBuilder, _ states: [Value], _ body: ([Value]) -> [Value]) throws -> [Value] {
        let rounds = b.input("rounds", count)
        let operands = [b.full(0, count)] + states + [rounds]
        let types = operands.map(\.type)
        let test = try region(types) { [$0[0] .< $0[states.count + 1]] }
        let round = try region(types) { v in [v[0] + 1] + body(Array(v[1...states.count])) }
        return Array(b.append(Catalogue.op(named: "while")!, operands, ["carried": .int(states.count + 1)], regions: [test, round]).dropFirst())
    }

    @Test func aStateChangesInPlace() throws {
        let b = Self.builder("state_in_place")
        let x = b.input("x", Self.type)
        try Self.compare(b.finish([("y", Self.loop(b, [x]) { [$0[0] * 0.5 + 1] }[0])]))
    }

    @Test func statesChangePlaces() throws {
        let b = Self.builder("states_change_places")
        let (x, y) = (b.input("x", Self.type), b.input("y", Self.type))
        let results = try Self.loop(b, [x, y]) { [$0[1], $0[0].t()] }
        try Self.compare(b.finish([("a", results[0]), ("b", results[1])]))
    }

    @Test func branchesShareMemory() throws {
        let b = Self.builder("branches")
        let (c, x) = (b.input("c", TensorType(.bool, [])), b.input("x", Self.type))
        let regions = [try Self.region([Self.type]) { [$0[0].sum(1).exp().sum() * $0[0]] }, try Self.region([Self.type]) { [$0[0].sum(0).sum() + $0[0]] }]
        try Self.compare(b.finish([("y", b.append(Catalogue.op(named: "if")!, [c, x], regions: regions)[0])]))
    }
}
