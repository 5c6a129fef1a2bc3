// How compile time and memory grow with the graph: `KilnBenchmarks compile_growth [NAME…] [--to PHASE] [--sizes N,N] [--stack KIB] [--limit SECONDS]`.
// For each workload a row for each phase comes out: processor time and bytes an operation at the smallest and the largest size, and their ratio;
// and one for the compiler's phases together, with the whole times.

import Foundation
import KilnCompiler
import KilnIR
import KilnKernels
import KilnLLVM
import KilnOps

/// What one phase took over one graph.
struct PhaseCost: Codable {
    var phase: String
    /// Of the processor, all threads together: what other programs do at the time counts little.
    var seconds: Double
    /// The most memory beyond what there was before the phase.
    var bytes: Int
    /// Counted: operations, kernels, or bytes of text or of machine code that came out.
    var made: Int
}

/// One graph of one size.
struct GrowthPoint: Codable {
    var size: Int
    var operations: Int
    var costs: [PhaseCost]
}

enum CompileGrowth {
    static let phases = ["build", "print", "parse", "passes", "fuse", "lower", "generate"]

    /// Runs the command with what follows its name; each graph is compiled in a process of its own, so that none finds another's memory.
    static func run(_ arguments: [String]) throws {
        let options = try Options(arguments)
        if options.isPoint {
            guard let growing = GrowingGraph.named(options.names[0]), !options.sizes.isEmpty else {
                throw CompileError("compile_growth", "there is no workload '\(options.names[0])'", fix: "choose one of those that are printed without --point")
            }
            let point = try onThread(stackKiB: options.stack) { try measure(growing, size: options.sizes[0], to: options.last) }
            return print(String(decoding: try JSONEncoder().encode(point), as: UTF8.self))
        }
        print("workload            phase       ops     ops |  us/op   us/op  ratio |   kB/op   kB/op  ratio |  made/op  made/op  ratio")
        for growing in GrowingGraph.all where options.names.isEmpty || options.names.contains(growing.name) {
            let sizes = options.sizes.isEmpty ? [growing.sizes[0], growing.sizes.last!] : options.sizes
            let points = sizes.map { child(growing.name, size: $0, options) }
            guard let first = points.first ?? nil, let last = points.last ?? nil else {
                print("\(padded(growing.name, 19)) \(sizes.map(String.init).joined(separator: ", ")): failed, or more than \(options.limit) s")
                continue
            }
            for (a, b) in zip(first.costs, last.costs) { print(row(growing.name, first, a, last, b)) }
            print(total(growing.name, first, last))
            fflush(nil)
        }
    }

    private struct Options {
        var names: [String] = []
        var last = "generate"
        var sizes: [Int] = []
        var stack = 512
        var limit = 120
        var isPoint = false

        init(_ arguments: [String]) throws {
            var rest = arguments[...]
            while let argument = rest.popFirst() {
                switch argument {
                case "--point": isPoint = true
                case "--to": last = rest.popFirst() ?? last
                case "--sizes": sizes = (rest.popFirst() ?? "").split(separator: ",").compactMap { Int($0) }
                case "--stack": stack = rest.popFirst().flatMap { Int($0) } ?? stack
                case "--limit": limit = rest.popFirst().flatMap { Int($0) } ?? limit
                default: names.append(argument)
                }
            }
            let unknown = names.filter { GrowingGraph.named($0) == nil }
            guard unknown.isEmpty, phases.contains(last) else {
                throw CompileError("compile_growth", "knows no \((unknown + [last]).joined(separator: ", "))",
                                   fix: "choose from \(GrowingGraph.all.map(\.name).joined(separator: " ")) and --to from \(phases.joined(separator: " "))")
            }
        }
    }

    // MARK: One graph

    /// The phases up to the last over one graph: the least time of several runs, and the memory of the first.
    private static func measure(_ growing: GrowingGraph, size: Int, to last: String) throws -> GrowthPoint {
        // What is made once a process, such as rules and LLVM's tables, is no graph's cost.
        _ = try once(GrowingGraph.named("pools")!, size: 1, to: last)
        var point = try once(growing, size: size, to: last)
        var spent = point.costs.reduce(0) { $0 + $1.seconds }
        for _ in 0..<4 where spent < 1 {
            let again = try once(growing, size: size, to: last)
            for (i, cost) in again.costs.enumerated() { point.costs[i].seconds = min(point.costs[i].seconds, cost.seconds) }
            spent += again.costs.reduce(0) { $0 + $1.seconds }
        }
        return point
    }

    private static func once(_ growing: GrowingGraph, size: Int, to last: String) throws -> GrowthPoint {
        let options = KilnCompiler.Options(cache: nil)
        var costs: [PhaseCost] = []
        var isDone = false
        func phase<T>(_ name: String, _ body: () throws -> T, made: (T) -> Int) throws -> T? {
            if isDone { return nil }
            isDone = name == last
            Memory.giveBack()
            let before = Memory.resetPeak()
            let start = clock()
            let result = try body()
            let seconds = Double(clock() - start) / Double(CLOCKS_PER_SEC)
            costs.append(PhaseCost(phase: name, seconds: seconds, bytes: max(Memory.peak() - before, 0), made: made(result)))
            return result
        }
        var operations = 0
        if let graph = try phase("build", { try growing.graph(size: size) }, made: { $0.operations.count }) {
            operations = graph.operations.count
            let text = try phase("print", { graph.description }, made: { $0.utf8.count })
            if let text { _ = try phase("parse", { try Graph.parse(text, catalogue: Catalogue.op(named:)) }, made: { $0.operations.count }) }
            if let simple = try phase("passes", { try Pipeline.simplify(graph, options) }, made: { $0.operations.count }),
                let groups = try phase("fuse", { try Pipeline.fuse(simple, options) }, made: { $0.operations.reduce(0) { $0 + 1 + ($1.regions.first?.operations.count ?? 0) } }),
                let program = try phase("lower", { try Pipeline.lower(groups, checks: SizeChecks(of: graph, in: groups), options) },
                                        made: { $0.description.utf8.count }) {
                _ = try phase("generate", { try Pipeline.generate(program, options) }, made: { $0.objects.reduce(0) { $0 + $1.count } })
            }
        }
        return GrowthPoint(size: size, operations: operations, costs: costs)
    }

    /// Runs the body on a thread whose stack is small, as a server's may be.
    private static func onThread(stackKiB: Int, _ body: @escaping () throws -> GrowthPoint) throws -> GrowthPoint {
        final class Box: @unchecked Sendable {
            let body: () throws -> GrowthPoint
            var result: Result<GrowthPoint, any Error>?
            let isDone = DispatchSemaphore(value: 0)
            init(_ body: @escaping () throws -> GrowthPoint) { self.body = body }
        }
        let box = Box(body)
        let thread = Thread {
            box.result = Result { try box.body() }
            box.isDone.signal()
        }
        thread.stackSize = stackKiB << 10
        thread.start()
        box.isDone.wait()
        return try box.result!.get()
    }

    private static func child(_ name: String, size: Int, _ options: Options) -> GrowthPoint? {
        let process = Process(), output = Pipe()
        process.executableURL = URL(fileURLWithPath: "/proc/self/exe").resolvingSymlinksInPath()
        process.arguments = ["compile_growth", name, "--point", "--sizes", "\(size)", "--to", options.last, "--stack", "\(options.stack)"]
        process.standardOutput = output
        guard (try? process.run()) != nil else { return nil }
        let id = process.processIdentifier
        let end = DispatchWorkItem { kill(id, SIGKILL) }
        DispatchQueue.global().asyncAfter(deadline: .now() + .seconds(options.limit), execute: end)
        let data = output.fileHandleForReading.readDataToEndOfFile()
        process.waitUntilExit()
        end.cancel()
        return try? JSONDecoder().decode(GrowthPoint.self, from: data)
    }

    // MARK: Text

    private static func padded(_ text: String, _ width: Int) -> String { text + String(repeating: " ", count: max(width - text.count, 0)) }

    /// The phases that every compilation goes through; bytes are those of the phase that takes most.
    private static func total(_ name: String, _ first: GrowthPoint, _ last: GrowthPoint) -> String {
        func sum(_ point: GrowthPoint) -> PhaseCost {
            let costs = point.costs.filter { !["build", "print", "parse"].contains($0.phase) }
            return PhaseCost(phase: "all", seconds: costs.reduce(0) { $0 + $1.seconds }, bytes: costs.map(\.bytes).max() ?? 0, made: 0)
        }
        let (a, b) = (sum(first), sum(last))
        let columns = row(name, first, a, last, b).split(separator: "|").dropLast().joined(separator: "|")
        return columns + String(format: "| %.0f ms, %.0f ms", a.seconds * 1e3, b.seconds * 1e3)
    }

    private static func row(_ name: String, _ first: GrowthPoint, _ a: PhaseCost, _ last: GrowthPoint, _ b: PhaseCost) -> String {
        func three(_ x: Double, _ y: Double, isKnown: Bool) -> String {
            let (p, q) = (x / Double(max(first.operations, 1)), y / Double(max(last.operations, 1)))
            return String(format: "%7.1f %7.1f ", p, q) + (isKnown && p > 0 ? String(format: "%6.2f", q / p) : "     -")
        }
        // Pages are too coarse to say anything of small graphs.
        let isFelt = min(a.bytes, b.bytes) >= 1 << 20
        return padded(name, 19) + " " + padded(a.phase, 8) + String(format: "%7d %7d | ", first.operations, last.operations)
            + three(a.seconds * 1e6, b.seconds * 1e6, isKnown: true) + " | " + three(Double(a.bytes) / 1e3, Double(b.bytes) / 1e3, isKnown: isFelt) + " | "
            + three(Double(a.made), Double(b.made), isKnown: true)
    }
}

/// The process's memory, as the kernel counts it.
private enum Memory {
    /// Gives what is free back to the system, so that what is taken anew is counted.
    static func giveBack() {
        typealias Trim = @convention(c) (Int) -> Int32
        if let trim = dlsym(nil, "malloc_trim") { _ = unsafeBitCast(trim, to: Trim.self)(0) }
    }

    /// Forgets the peak so far, and gives what there is.
    static func resetPeak() -> Int {
        if let file = fopen("/proc/self/clear_refs", "w") {
            fputs("5", file)
            fclose(file)
        }
        return status("VmRSS:")
    }

    static func peak() -> Int { status("VmHWM:") }

    private static func status(_ name: String) -> Int {
        guard let text = try? String(contentsOfFile: "/proc/self/status", encoding: .utf8),
            let line = text.split(separator: "\n").first(where: { $0.hasPrefix(name) }) else { return 0 }
        return (line.split(whereSeparator: { $0 == " " || $0 == "\t" }).dropFirst().first.flatMap { Int($0) } ?? 0) << 10
    }
}
