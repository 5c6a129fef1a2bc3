// `kiln inspect`: a model comes in, its text at one stage of compilation goes out, all of it or one kernel.
import ArgumentParser
import Kiln
import KilnCompiler
import KilnIR
import KilnKernels
import KilnLLVM

struct InspectCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "inspect", abstract: "Prints a model at one stage of compilation.",
        discussion: "Examples: kiln inspect digits.kiln --stage loops; kiln inspect digits.kiln --stage ptx --gpu sm_90a")

    @OptionGroup var model: ModelArguments
    @OptionGroup var stage: StageArguments
    @OptionGroup var target: TargetArguments

    func run() throws {
        var options = try target.options()
        if let gpu = try stage.chosenGPU() { options.target = Target(gpu) }
        let graph = try model.load()
        if stage.stage == .graph { return try StandardOutput.put(graph.description(literalsAtMost: stage.longest), terminator: "") }
        let groups = try Pipeline.fuse(Pipeline.simplify(graph, options), options)
        if stage.stage == .groups, stage.kernel == nil { return try StandardOutput.put(groups.description(literalsAtMost: stage.longest), terminator: "") }
        let program = try Pipeline.lower(groups, checks: SizeChecks(of: graph, in: groups), options)
        let kernel = try stage.kernel.map { try number(of: $0, in: program) }
        switch stage.stage {
        case .graph: break
        case .groups: if let kernel { try StandardOutput.put(groups.groupRegions[kernel].description(literalsAtMost: stage.longest), terminator: "") }
        case .loops: try StandardOutput.put(kernel.map { program.kernels[$0].description(in: program) } ?? program.description(literalsAtMost: stage.longest), terminator: "")
        case .llvm: try show(kernel, program, .llvm, options)
        case .ptx where kernel == nil: try StandardOutput.put(try Pipeline.generate(program, options).devices.compactMap(\.ptx).joined(), terminator: "")
        case .asm, .ptx: try show(kernel, program, .assembly, options)
        }
    }

    private func number(of name: String, in program: Program) throws -> Int {
        guard let number = program.kernels.firstIndex(where: { $0.name == name }) else {
            throw CompileError("--kernel", "there is no kernel '\(name)'", fix: "choose from \(program.kernels.map(\.name).joined(separator: ", "))")
        }
        return number
    }

    /// The text of one kernel, or of every kernel and then of what calls them.
    private func show(_ kernel: Int?, _ program: Program, _ listing: LLVMBackend.Listing, _ options: Options) throws {
        if let kernel {
            let text = switch listing {
            case .llvm: try LLVMBackend.llvmText(program, kernel: kernel, target: options.target)
            case .assembly: try LLVMBackend.assembly(program, kernel: kernel, target: options.target)
            }
            return try StandardOutput.put(text, terminator: "")
        }
        try StandardOutput.put(try LLVMBackend.texts(program, target: options.target, listing, threads: options.threads).joined(separator: "\n"), terminator: "")
    }
}

extension Graph {
    /// The fused kernels' graphs, in the order in which lowering numbers kernels.
    var groupRegions: [Graph] {
        operations.flatMap { operation -> [Graph] in
            if case .group? = try? form(of: operation) { return [operation.regions[0]] }
            return operation.regions.flatMap(\.groupRegions)
        }
    }
}
