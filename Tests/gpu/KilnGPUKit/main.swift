// Writes a kit: `KilnGPUKit FOLDER [--gpu sm_80,sm_90a] [--ptxas PATH] [--op NAME]… [--no-cases] [--no-workloads]`.

import Foundation
import KilnCompiler
import KilnIR
import KilnKernels
import KilnOps

struct Arguments {
    var folder = ""
    var gpus = [GPU.sm80, .sm90a]
    var ptxas: String?
    var ops: Set<String> = []
    var hasCases = true
    var hasWorkloads = true

    init?(_ words: [String]) {
        var rest = words[...]
        while let word = rest.popFirst() {
            switch word {
            case "--gpu":
                gpus = (rest.popFirst() ?? "").split(separator: ",").compactMap { GPU(name: String($0)) }
                if gpus.isEmpty { return nil }
            case "--ptxas": ptxas = rest.popFirst()
            case "--op": ops.insert(rest.popFirst() ?? "")
            case "--no-cases": hasCases = false
            case "--no-workloads": hasWorkloads = false
            default: folder = word
            }
        }
        if folder.isEmpty { return nil }
    }
}

guard let arguments = Arguments(Array(CommandLine.arguments.dropFirst())) else {
    Kit.note("usage: KilnGPUKit FOLDER [--gpu sm_80,sm_90a] [--ptxas PATH] [--op NAME]… [--no-cases] [--no-workloads]")
    exit(1)
}
let kit = try Kit(folder: arguments.folder, gpus: arguments.gpus, ptxas: arguments.ptxas)
var failures = 0
if arguments.hasCases {
    let ops = Catalogue.all.filter { arguments.ops.isEmpty || arguments.ops.contains($0.name) }
    let counts = await writeCases(of: ops, to: kit)
    print("\(counts.written) cases of \(ops.count) ops; \(counts.failed) do not compile")
    failures += counts.failed
}
if arguments.hasWorkloads {
    func selected(_ workloads: [Workload]) -> [Workload] { workloads.filter { arguments.ops.isEmpty || arguments.ops.contains($0.name) } }
    failures += await writeWorkloads(selected(Workload.all), to: kit, list: "all.workloads")
    failures += await writeWorkloads(selected(Workload.checks), to: kit, list: "checks.workloads")
}
exit(failures == 0 ? 0 : 1)
