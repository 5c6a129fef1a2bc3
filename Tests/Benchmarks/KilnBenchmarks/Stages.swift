// Where compilation's time goes: a workload that is one graph comes in, a JSON line with the seconds of each stage goes out.

import Foundation
import Kiln
import KilnCompiler
import KilnIR
import KilnONNX

/// A workload whose graph is known before it runs.
protocol CompiledWorkload: Workload {
    func graph() throws -> Graph
}

extension GraphWorkload: CompiledWorkload {}

extension ImportedWorkload: CompiledWorkload {
    func graph() throws -> Graph { try Graph(onnx: path) }
}

/// The seconds of each stage of compiling a workload, LLVM's as processor time of all threads together; for a training step, those of
/// its programs, whose stages are not told apart.
func stages(_ name: String, _ workload: any Workload, _ options: Options) throws -> String {
    guard let compiled = workload as? any CompiledWorkload else {
        try workload.prepare(workload.makeInputs())()
        return "{\"workload\": \"\(name)\", \"programs\": \(statistics.compilations), \"compile_s\": \(text(statistics.compileSeconds, digits: 4))}"
    }
    let graph = try compiled.graph()
    let made = try Pipeline.code(for: graph, options: options)
    let code = made.code.timings
    let stages = made.timings + [("emit_cpu", code.emit), ("optimize_cpu", code.optimize), ("generate_cpu", code.generate)]
    let total = made.timings.reduce(0) { $0 + $1.seconds }
    return "{\"workload\": \"\(name)\", \"total\": \(text(total, digits: 4)), "
        + stages.map { "\"\($0.stage)\": \(text($0.seconds, digits: 4))" }.joined(separator: ", ")
        + ", \"objects\": \(made.code.objects.count), \"bytes\": \(made.code.objects.reduce(0) { $0 + $1.count })}"
}
