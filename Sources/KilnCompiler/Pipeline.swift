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
        Passes.inlineCalls,
        Passes.simplify,
        Passes.commonSubexpressions,
        Passes.findAttention,
        Passes.deadCode,
    ]

    /// Compiles a graph to machine code.
    ///
    /// - Throws: `ShapeError` or `CompileError` for a user's mistake, `InternalError` for one of Kiln's.
    public static func compile(_ graph: Graph, options: Options = Options()) throws -> Artifact {
        var clock = Stopwatch()
        let (graph, indices) = try checkIndices(graph, options)
        let simplified = try simplify(graph, options)
        clock.lap("passes")
        let groups = try fuse(simplified, options)
        clock.lap("fuse")
        var checks = try SizeChecks(of: graph, in: groups)
        checks.indices = indices
        let targets = [options.target] + options.devices
        let programs = try targets.map { try lower(groups, checks: checks, for: $0, options) }
        clock.lap("lower")
        let code = try generate(Array(zip(programs, targets)), options)
        clock.lap("generate")
        return Artifact(groups: groups, programs: programs, code: code, timings: clock.laps)
    }

    /// Compiles a graph to what runs it and no more, or takes that from the options' cache: the graph's text and its literals are digested, and
    /// where the same was compiled before, no pass runs. Where somebody wants to see the stages or has them checked, all is made anew.
    ///
    /// - Throws: what `compile` throws.
    public static func code(for graph: Graph, options: Options = Options()) throws -> CompiledCode {
        var clock = Stopwatch()
        // Machine code for a GPU depends on an assembler whose version nobody knows.
        guard let cache = options.cache, !options.verifies, options.log == nil, options.ptxas == nil || options.devices.isEmpty,
            let content = GraphContent(graph, options) else { return CompiledCode(try compile(graph, options: options)) }
        if let bytes = cache.code(for: content.key), let kept = CompiledCode(bytes: bytes, content, options, &clock) { return kept }
        clock.lap("key")
        let made = CompiledCode(try compile(graph, options: options), after: clock.laps)
        if let bytes = made.bytes(content, options) { cache.keep(bytes, for: content.key) }
        return made
    }

    /// Adds what finds indices that are out of range, if that is asked for: a word for each demand, as the graph's last outputs.
    public static func checkIndices(_ graph: Graph, _ options: Options) throws -> (graph: Graph, checks: [IndexCheck]) {
        options.checksIndices ? try CheckIndices.apply(to: InlineCalls.apply(to: graph)) : (graph, [])
    }

    /// Rewrites the graph without changing what it computes. Operations with regions are numbered, for `SizeChecks`.
    public static func simplify(_ graph: Graph, _ options: Options) throws -> Graph {
        try run(passes, on: graph.numberingRegions(), options)
    }

    /// Groups operations into kernels.
    public static func fuse(_ graph: Graph, _ options: Options) throws -> Graph {
        try run([Passes.fuse], on: graph, options)
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

    private static func run(_ passes: [Pass], on graph: Graph, _ options: Options) throws -> Graph {
        try PassRunner(verifies: options.verifies, log: options.log).apply(passes, to: graph)
    }
}
