// The whole compiler, top to bottom: a graph goes in, machine code comes out.
//
//     graph ── passes ──► graph ── fuse ──► groups ── lower ──► loops ── LLVM ──► objects

import KilnIR
import KilnKernels
import KilnLLVM
import KilnOps
import KilnPasses

/// The compiler.
public enum Pipeline {
    /// The passes between the user's graph and fusion, in order.
    public static let passes = [
        "inline-calls",
        "simplify",
        "common-subexpressions",
        "find-attention",
        "dead-code",
    ]

    /// Compiles a graph to machine code.
    ///
    /// - Throws: `ShapeError` or `CompileError` for a user's mistake, `InternalError` for one of Kiln's.
    public static func compile(_ graph: Graph, options: Options = Options()) throws -> Artifact {
        var clock = Stopwatch()
        let simplified = try simplify(graph, options)
        clock.lap("passes")
        let groups = try fuse(simplified, options)
        clock.lap("fuse")
        let checks = try SizeChecks(of: graph, in: groups)
        let targets = [options.target] + options.devices
        let programs = try targets.map { try lower(groups, checks: checks, for: $0, options) }
        clock.lap("lower")
        let code = try generate(Array(zip(programs, targets)), options)
        clock.lap("generate")
        return Artifact(groups: groups, programs: programs, code: code, timings: clock.laps)
    }

    /// Rewrites the graph without changing what it computes. Operations with regions are numbered, for `SizeChecks`.
    public static func simplify(_ graph: Graph, _ options: Options) throws -> Graph {
        try run(passes, on: graph.numberingRegions(), options)
    }

    /// Groups operations into kernels.
    public static func fuse(_ graph: Graph, _ options: Options) throws -> Graph {
        try run(["fuse"], on: graph, options)
    }

    /// Schedules the groups' kernels as loops, and plans memory, for the options' target or another.
    public static func lower(_ groups: Graph, checks: SizeChecks, for target: Target? = nil, _ options: Options) throws -> Program {
        let target = target ?? options.target
        let program = try ProgramWriter.lower(groups, checks: checks, target: target)
        if options.verifies { try program.verify() }
        options.log?("-- after lower\(target.gpu.map { " for \($0.name)" } ?? "")\n\(program)\n")
        return program
    }

    /// Translates loops to machine code.
    public static func generate(_ program: Program, _ options: Options) throws -> ObjectCode {
        try generate([(program, options.target)], options)
    }

    /// Translates the loops for several targets to one code, of which a call takes what its device runs.
    public static func generate(_ programs: [(program: Program, target: Target)], _ options: Options) throws -> ObjectCode {
        try LLVMBackend.compile(programs, options: .init(threads: options.threads, verifies: options.verifies, ptxas: options.ptxas, cache: options.cache))
    }

    private static func run(_ names: [String], on graph: Graph, _ options: Options) throws -> Graph {
        let runner = PassRunner(verifies: options.verifies, log: options.log)
        return try runner.run(names.map { try pass($0) }, on: graph).graph
    }

    private static func pass(_ name: String) throws -> Pass {
        guard let pass = Passes.named(name) else { throw InternalError("pipeline", "there is no pass '\(name)'") }
        return pass
    }
}
