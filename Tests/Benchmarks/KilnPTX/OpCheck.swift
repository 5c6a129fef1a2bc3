// One op for one GPU: all its samples as one graph, compiled and assembled; what the assembler says of each kernel.

import Foundation
import KilnCompiler
import KilnIR
import KilnKernels
import KilnLLVM
import KilnOps

/// What a kernel takes, as the assembler reports it.
struct KernelUse: Sendable {
    var target: String
    /// The op, and the dtypes that were compiled together.
    var source: String
    var name: String
    var registers = 0
    var stackBytes = 0
    var spillBytes = 0
    /// Of a unit, by the loops.
    var sharedBytes = 0

    /// The kernel's name without the graph's and its number.
    var schedule: String {
        let words = name.split(separator: "_")
        guard let kernel = words.firstIndex(where: { $0.first == "k" && $0.dropFirst().allSatisfy(\.isNumber) }) else { return name }
        return words[(kernel + 1)...].dropLast().filter { $0 != "batch" && !$0.allSatisfy(\.isNumber) }.joined(separator: "_")
    }
    var use: String { "\(registers) registers, \(sharedBytes) bytes shared, \(stackBytes) on the stack, \(spillBytes) spilled" }
    /// Whether sums of products must stay in registers here.
    var isStrict: Bool { schedule.contains("contract") || schedule.contains("attention") || schedule.contains("convolution") }
}

struct OpCheck {
    let op: OpDefinition
    let gpu: GPU
    let ptxas: String

    init(_ op: OpDefinition, _ gpu: GPU, ptxas: String) {
        self.op = op
        self.gpu = gpu
        self.ptxas = ptxas
    }

    /// The kernels, and what went wrong for the op as a whole or one of its dtypes.
    func run() throws -> (kernels: [KernelUse], failures: [String]) {
        var kernels: [KernelUse] = []
        var failures: [String] = []
        for dtypes in groups() {
            do { kernels += try check(dtypes) } catch {
                if dtypes.count == 1 { failures.append("\(op.name) of \(dtypes[0]) for \(gpu.name): \(error)") } else {
                    // Which dtype it is shows when each is alone.
                    for dtype in dtypes {
                        do { kernels += try check([dtype]) } catch { failures.append("\(op.name) of \(dtype) for \(gpu.name): \(error)") }
                    }
                }
            }
        }
        return (kernels, failures)
    }

    /// The dtypes with samples, so many at a time that one text stays small.
    private func groups() -> [[DType]] {
        let all = op.dtypes.filter { !op.samples($0).isEmpty }
        return stride(from: 0, to: all.count, by: 4).map { Array(all[$0..<min($0 + 4, all.count)]) }
    }

    private func check(_ dtypes: [DType]) throws -> [KernelUse] {
        let builder = GraphBuilder("batch")
        var outputs: [(String, Value)] = []
        for (number, sample) in dtypes.flatMap({ op.samples($0) }).enumerated() {
            let inputs = sample.operands.enumerated().map { builder.input("c\(number)_x\($0)", $1) }
            let results = try builder.graph.append(op, inputs.map(\.id), sample.attributes, regions: sample.regions).map(builder.value)
            outputs += results.enumerated().map { ("c\(number)_y\($0)", $1) }
        }
        let graph = try builder.finish(outputs)
        let artifact = try Pipeline.compile(graph, options: Options(target: Target(gpu), threads: 1, verifies: true))
        guard let ptx = artifact.code.devices.first?.ptx, !ptx.isEmpty else { return [] }
        var found = uses(in: try PTX.assemble(ptx, for: gpu.name, ptxas: ptxas, reportsUse: true).report,
                         of: "\(op.name) of \(dtypes.map(\.name).joined(separator: ", "))")
        let shared = artifact.program.kernels.flatMap { $0.launches.map(\.sharedBytes) }
        guard found.count == shared.count else { throw InternalError("ptxas", "reports on \(found.count) of \(shared.count) kernels") }
        // Kernels stand in the order of their numbers in the names.
        found.sort { number($0.name) < number($1.name) }
        for position in found.indices { found[position].sharedBytes = shared[position] }
        // What is portable runs on what comes later.
        if !gpu.isSpecific, gpu.architecture == 90 { _ = try PTX.assemble(ptx, for: "sm_100", ptxas: ptxas) }
        return found
    }

    /// The kernel's and the phase's number.
    private func number(_ name: String) -> Int {
        let words = name.split(separator: "_")
        let kernel = words.first { $0.first == "k" && $0.dropFirst().allSatisfy(\.isNumber) }.flatMap { Int($0.dropFirst()) } ?? 0
        return kernel * 1000 + (Int(words.last?.dropFirst() ?? "") ?? 0)
    }

    private func uses(in report: String, of source: String) -> [KernelUse] {
        var found: [KernelUse] = []
        func numbers(_ line: Substring) -> [Int] { line.split { !$0.isNumber }.compactMap { Int($0) } }
        for line in report.split(separator: "\n") {
            if let range = line.range(of: "Compiling entry function '") {
                found.append(KernelUse(target: gpu.name, source: source, name: String(line[range.upperBound...].prefix { $0 != "'" })))
            } else if !found.isEmpty, line.contains("bytes stack frame") {
                let counts = numbers(line)
                (found[found.count - 1].stackBytes, found[found.count - 1].spillBytes) = (counts[0], counts[1] + counts[2])
            } else if !found.isEmpty, let range = line.range(of: "Used ") { found[found.count - 1].registers = numbers(line[range.upperBound...])[0] }
        }
        return found
    }
}
