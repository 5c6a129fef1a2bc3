// Compiles every op of the catalogue, with every dtype and sample, for GPUs, and assembles the PTX with NVIDIA's assembler.
// In: --ptxas PATH, and on demand --op NAME, --target NAME and --kernels. Out: what each schedule's kernels take, and one line
// "N passed, N failed": a kernel fails that does not assemble, or that spills registers where products are summed.

import Dispatch
import Foundation
import KilnIR
import KilnKernels
import KilnOps

func option(_ name: String) -> String? {
    let arguments = CommandLine.arguments
    return arguments.firstIndex(of: "--\(name)").flatMap { $0 + 1 < arguments.count ? arguments[$0 + 1] : nil }
}

guard let ptxas = option("ptxas") else {
    print("usage: KilnPTX --ptxas PATH [--op NAME] [--target sm_80 | sm_90 | sm_90a] [--kernels]")
    exit(2)
}
let ops = Catalogue.all.filter { option("op") == nil || option("op") == $0.name }
let gpus = GPU.all.filter { option("target") == nil || option("target") == $0.name }
let jobs = ops.flatMap { op in gpus.map { (op: op, gpu: $0) } }
let shows = CommandLine.arguments.contains("--kernels")
let results = Results()
let lanes = 2
DispatchQueue.concurrentPerform(iterations: lanes) { lane in
    for number in stride(from: lane, to: jobs.count, by: lanes) {
        let job = jobs[number]
        do {
            let (kernels, failures) = try OpCheck(job.op, job.gpu, ptxas: ptxas).run()
            results.add(kernels, failures)
            if shows { for kernel in kernels { print("\(kernel.target) \(kernel.source): \(kernel.name): \(kernel.use)") } }
        } catch { results.add([], ["\(job.op.name) for \(job.gpu.name): \(error)"]) }
    }
}
for failure in results.failures { print("FAILED \(failure)") }
results.printTable()
print("\(results.kernels.count - results.spilling.count) passed, \(results.failures.count + results.spilling.count) failed")
exit(results.failures.isEmpty && results.spilling.isEmpty ? 0 : 1)
