// `kiln compile`: a model comes in, a shared object goes out, and a C header if asked.
import ArgumentParser
import Kiln
import KilnIR

struct CompileCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "compile", abstract: "Compiles a model to a shared object that needs libc and libm alone.",
        discussion: "Example: kiln compile digits.kiln -o libdigits.so --header digits.h")

    @OptionGroup var model: ModelArguments
    @OptionGroup var library: LibraryArguments
    @OptionGroup var target: TargetArguments

    func run() throws {
        let options = try target.options()
        var graph = try model.load()
        if let name = library.name { graph.name = name }
        try graph.writeLibrary(to: library.output, header: library.header, options: options)
    }
}
