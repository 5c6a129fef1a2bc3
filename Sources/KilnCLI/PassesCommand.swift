// `kiln passes`: a graph's text comes in, the text after some passes goes out.
import ArgumentParser
import Kiln
import KilnIR
import KilnPasses

struct PassesCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "passes", abstract: "Runs passes on a graph and prints the result.",
        discussion: "Passes:\n" + Passes.all.map { "  \($0.name): \($0.summary)" }.joined(separator: "\n")
            + "\nExample: kiln passes model.kiln --run differentiate,simplify,dead-code")

    @OptionGroup var model: ModelArguments
    @OptionGroup var passes: PassArguments

    func run() throws {
        let chosen = try Passes.named(list: passes.run)
        let graph = try model.load()
        var runner = PassRunner(verifies: true)
        if passes.verbose { runner.log = { CommandLine.say($0) } }
        let result = try runner.run(chosen, on: graph)
        try StandardOutput.put("\(result.graph)", terminator: "")
    }
}
