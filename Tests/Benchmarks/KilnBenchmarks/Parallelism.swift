// Into how many work items the kernels of the catalogue are cut: every op on its samples, enlarged to millions of elements. Counted in the
// lowered program, not timed. Out comes a line for each kernel launch, and the reason where fewer than 64 threads would find work.

import KilnCompiler
import KilnIR
import KilnKernels
import KilnOps

enum Parallelism {
    /// Work items that a large kernel should offer.
    private static let wanted = 64
    /// Elements that the enlarged operands should have together.
    private static let elements = 1 << 22
    /// Scalar operations for which a work item of its own is worth handing out.
    private static let leastWork = 4096

    /// Prints the table; whether every kernel has work items enough or a reason.
    static func printTable() throws -> Bool {
        var (launches, few, unexplained, unscaled) = (0, 0, 0, 0)
        for op in Catalogue.all {
            guard let dtype = op.dtypes.contains(.f32) ? .f32 : op.dtypes.first else { continue }
            for sample in op.samples(dtype) where sample.regions.isEmpty {
                guard let graph = enlargedGraph(op, sample), let program = try? program(of: graph) else {
                    unscaled += 1
                    continue
                }
                let text = "\(op.name)(\(graph.inputs.map { "\(graph.type(of: $0.value))" }.joined(separator: ", ")))"
                for kernel in program.kernels {
                    for (number, launch) in kernel.launches.enumerated() {
                        launches += 1
                        let workItems = launch.workItems.constant ?? 0
                        let reason = workItems < wanted ? reason(launch, number, of: kernel) : nil
                        if workItems < wanted { few += 1 }
                        if workItems < wanted, reason == nil { unexplained += 1 }
                        print("\(text) \(kernel.name).\(number): \(workItems) work items\(workItems < wanted ? ": " + (reason ?? "NO REASON") : "")")
                    }
                }
            }
        }
        print("\(launches) kernel launches, \(few) of fewer than \(wanted) work items, \(unexplained) of them without a reason; \(unscaled) samples have one size only")
        return unexplained == 0
    }

    private static func reason(_ launch: KernelLaunch, _ number: Int, of kernel: Kernel) -> String? {
        let work = launch.work.constant ?? 0
        if launch.workItems == 0 { return "there is nothing to do" }
        if work < wanted * leastWork { return "\(work) scalar operations are not worth more" }
        let all = kernel.launches.reduce(0) { $0 + ($1.work.constant ?? 0) }
        if work * 20 <= all { return "\(work * 100 / max(all, 1)) % of the kernel's work, which gets no faster by more" }
        let workItems = launch.workItems.constant ?? 1
        if work / max(workItems, 1) <= 2 * leastWork { return "\(work / max(workItems, 1)) scalar operations in each are not worth more" }
        return nil
    }

    /// The op alone on a sample whose sizes are large, all of them if that is a program, or else one after the other.
    static func enlargedGraph(_ op: OpDefinition, _ sample: OpSample) -> Graph? {
        // The sizes of windows stay as they are.
        let hasWindow = op.attributeNames.contains("strides")
        let sizes = Set(sample.operands.flatMap { $0.shape.map { $0.constant ?? 1 } }).filter { $0 > (hasWindow ? 3 : 1) }.sorted()
        let hasSymbol = sample.operands.contains { $0.shape.contains { $0.constant == nil } }
        var choices: [Set<Int>] = sizes.isEmpty ? [] : [Set(sizes)] + sizes.reversed().map { [$0] }
        if hasSymbol { choices.insert([], at: 0) }
        for choice in choices {
            guard let factor = factor(sample, choice) else { continue }
            func large(_ dim: Dim) -> Dim {
                if let size = dim.constant { return choice.contains(size) ? .constant(size * factor) : dim }
                return dim.substituting { if case .symbol = $0 { .constant(factor * 4) } else { nil } }
            }
            let attributes = Attributes(sample.attributes.entries.map { entry in
                guard case .dims(let dims) = entry.value, entry.name == "shape" || entry.name == "ends" else { return entry }
                return (entry.name, .dims(dims.map(large)))
            })
            let builder = GraphBuilder("large")
            let inputs = sample.operands.enumerated().map { builder.input("x\($0.offset)", $0.element.with(shape: $0.element.shape.map(large))) }
            guard let results = try? builder.graph.append(op, inputs.map(\.id), attributes, regions: []),
                let graph = try? builder.finish(results.enumerated().map { ("y\($0.offset)", builder.value($0.element)) }) else { continue }
            return graph
        }
        return nil
    }

    private static func program(of graph: Graph) throws -> Program {
        let options = Options()
        let groups = try Pipeline.fuse(Pipeline.simplify(graph, options), options)
        return try Pipeline.lower(groups, checks: SizeChecks(of: graph, in: groups), options)
    }

    /// By how much the chosen sizes grow so that the largest operand is large.
    private static func factor(_ sample: OpSample, _ choice: Set<Int>) -> Int? {
        var factor = 1
        while factor < elements {
            let most = sample.operands.map { $0.shape.reduce(1) { product, dim in
                min(product * (dim.constant.map { choice.contains($0) ? $0 * factor : $0 } ?? factor * 4), 1 << 40)
            } }.max() ?? 0
            if most >= elements { return most >= 1 << 36 ? nil : factor }
            factor += max(factor / 8, 1)
        }
        return nil
    }
}
