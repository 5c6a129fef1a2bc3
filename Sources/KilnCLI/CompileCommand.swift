// `kiln compile`: a model comes in, a shared object with code for the processor and for GPUs goes out, and a C header if asked.
import ArgumentParser
import Kiln
import KilnIR

struct CompileCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "compile", abstract: "Compiles a model to a shared object that needs libc and libm alone.",
        discussion: "Example: kiln compile digits.kiln --gpu sm_80,sm_90a -o libdigits.so --header digits.h")

    @OptionGroup var model: ModelArguments
    @OptionGroup var library: LibraryArguments
    @OptionGroup var target: TargetArguments
    @OptionGroup var gpus: GPUArguments

    func run() throws {
        let options = try target.options()
        let chosen = try gpus.gpus()
        let loaded = try model.load(inputs: [:])
        var graph = loaded.graph
        if let name = library.name { graph.name = name }
        try graph.writeLibrary(to: library.output, header: library.header, gpus: chosen, options: options, inputs: loaded.files + model.valueFiles)
    }
}
