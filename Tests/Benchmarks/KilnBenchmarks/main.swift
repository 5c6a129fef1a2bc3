// Times one workload and prints a JSON line: `KilnBenchmarks WORKLOAD [--threads N] [--models FOLDER] [--json]`; or, as `compile_growth`,
// prints how compile time grows with the graph; as `parallelism`, counts work items; as `concurrent`, times a library's calls by two
// threads beside those by one; as `index_checks`, what checking indices costs.

import Foundation
import KilnExecution
import KilnCompiler
import KilnLLVM
import KilnKernels

/// What was measured of a workload, in seconds.
struct Measurement {
    /// Compiling and the first run.
    var first: Double
    var median: Double
    /// Processor time of a run, all threads together: steadier than the clock on a machine that others use too.
    var processor: Double
    var runs: Int
}

/// The most memory that the process has had, in bytes, mapped files that were read among it.
func peakMemory() -> Int {
    var usage = rusage()
    getrusage(RUSAGE_SELF.rawValue, &usage)
    return usage.ru_maxrss * 1024
}

/// Runs until two seconds have passed, at least five and at most 200 times.
func measure(_ workload: any Workload) throws -> Measurement {
    func seconds(_ body: () throws -> Void) rethrows -> Double {
        let start = DispatchTime.now().uptimeNanoseconds
        try body()
        return Double(DispatchTime.now().uptimeNanoseconds - start) / 1e9
    }
    let inputs = try workload.makeInputs()
    var run: () throws -> Void = {}
    let first = try seconds {
        run = try workload.prepare(inputs)
        try run()
    }
    for _ in 0..<2 { try run() }
    var times: [Double] = []
    let start = clock()
    while times.count < 5 || times.reduce(0, +) < 2 && times.count < 200 { times.append(try seconds(run)) }
    let processor = Double(clock() - start) / Double(CLOCKS_PER_SEC) / Double(times.count)
    return Measurement(first: first, median: times.sorted()[times.count / 2], processor: processor, runs: times.count)
}

func text(_ value: Double, digits: Int) -> String { String(format: "%.\(digits)f", value) }

let arguments = Array(CommandLine.arguments.dropFirst())

func option(_ name: String) -> String? {
    arguments.firstIndex(of: name).flatMap { $0 + 1 < arguments.count ? arguments[$0 + 1] : nil }
}

if arguments.first == "compile_growth" {
    do {
        try CompileGrowth.run(Array(arguments.dropFirst()))
        exit(0)
    } catch {
        FileHandle.standardError.write(Data("\(error)\n".utf8))
        exit(1)
    }
}
let reports: [String: () throws -> Bool] = [
    "parallelism": Parallelism.printTable, "concurrent": Requests.concurrent, "index_checks": Requests.indexChecks,
]
if let report = arguments.first.flatMap({ reports[$0] }) { exit(try report() ? 0 : 1) }
guard let name = arguments.first, let workload = Workloads.named(name, models: option("--models") ?? "models") else {
    let names = Workloads.all.keys.sorted().joined(separator: " ")
    FileHandle.standardError.write(Data("""
        usage: KilnBenchmarks WORKLOAD [--threads N] [--models FOLDER] [--json] [--stages]
        workloads: \(names) model_NAME import_NAME, for FOLDER/NAME.onnx (models); compile_growth \(reports.keys.sorted().joined(separator: " "))\n
        """.utf8))
    exit(1)
}
let threads = option("--threads").flatMap { Int($0) } ?? 0
if arguments.contains("--dump"), let w = workload as? GraphWorkload {
    let a = try Pipeline.compile(w.graph())
    print(a.groups, a.program)
    for t in a.timings { print(t) }
    for k in a.program.kernels.indices { print(try LLVMBackend.assembly(a.program, kernel: k, target: HostTarget.detect())) }
    exit(0)
}
do {
    if arguments.contains("--stages") {
        print(try stages(name, workload, Options(threads: threads)))
        exit(0)
    }
    try Threads.set(threads)
    let result = try measure(workload)
    print("""
        {"workload": "\(name)", "ms": \(text(result.median * 1e3, digits: 4)), "compile_s": \(text(result.first, digits: 3)), \
        "cpu_ms": \(text(result.processor * 1e3, digits: 4)), "runs": \(result.runs), "threads": \(threads), "peak_mb": \(text(Double(peakMemory()) / 1e6, digits: 1))}
        """)
} catch {
    FileHandle.standardError.write(Data("\(error)\n".utf8))
    exit(1)
}
