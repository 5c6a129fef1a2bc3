// Times one workload and prints a JSON line: `KilnBenchmarks WORKLOAD [--threads N] [--json]`.

import Foundation
import KilnExecution
import KilnCompiler
import KilnLLVM
import KilnKernels

/// Runs until two seconds have passed, at least five and at most 200 times; gives the first run's and the median's seconds.
func measure(_ workload: any Workload) throws -> (first: Double, median: Double, runs: Int) {
    func seconds(_ body: () throws -> Void) rethrows -> Double {
        let start = DispatchTime.now().uptimeNanoseconds
        try body()
        return Double(DispatchTime.now().uptimeNanoseconds - start) / 1e9
    }
    var run: () throws -> Void = {}
    let first = try seconds {
        run = try workload.prepare()
        try run()
    }
    for _ in 0..<2 { try run() }
    var times: [Double] = []
    while times.count < 5 || times.reduce(0, +) < 2 && times.count < 200 { times.append(try seconds(run)) }
    return (first, times.sorted()[times.count / 2], times.count)
}

func text(_ value: Double, digits: Int) -> String { String(format: "%.\(digits)f", value) }

let arguments = Array(CommandLine.arguments.dropFirst())
guard let name = arguments.first, let workload = Workloads.all[name] else {
    let names = Workloads.all.keys.sorted().joined(separator: " ")
    FileHandle.standardError.write(Data("usage: KilnBenchmarks WORKLOAD [--threads N] [--json]\nworkloads: \(names)\n".utf8))
    exit(1)
}
var threads = 0
if let position = arguments.firstIndex(of: "--threads"), position + 1 < arguments.count { threads = Int(arguments[position + 1]) ?? 0 }
if arguments.contains("--dump"), let w = workload as? GraphWorkload {
    let a = try Pipeline.compile(w.graph())
    print(a.groups, a.program)
    for t in a.timings { print(t) }
    for k in a.program.kernels.indices { print(try LLVMBackend.assembly(a.program, kernel: k, target: HostTarget.detect())) }
    exit(0)
}
do {
    try Threads.set(threads)
    let (first, median, runs) = try measure(workload)
    print("{\"workload\": \"\(name)\", \"ms\": \(text(median * 1e3, digits: 4)), \"compile_s\": \(text(first, digits: 3)), \"runs\": \(runs), \"threads\": \(threads)}")
} catch {
    FileHandle.standardError.write(Data("\(error)\n".utf8))
    exit(1)
}
