// The command `kiln`: words come in, a subcommand runs, an exit code goes out. 0: done; 1: the user's mistake; 70: Kiln's own.
import ArgumentParser
import Glibc
import Kiln
import KilnExecution
import KilnIR
import KilnONNX

@main
struct KilnCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "kiln",
        abstract: "Compiles, runs and inspects models.",
        discussion: """
            A MODEL is an .onnx file, or a .kiln file, the text of a graph; `-` reads a text from standard input.
            Exit codes: 0 done, 1 a mistake in what was given (the message is on standard error), 70 a fault of Kiln's own.
            """,
        version: "kiln \(version)",
        subcommands: [CompileCommand.self, RunCommand.self, VerifyCommand.self, InspectCommand.self, PassesCommand.self, BenchCommand.self])

    static let version = "0.1.0"

    static func main() {
        StandardOutput.reserveStreams()
        // A file that grows past what is allowed is an error of the write, not the end of the process.
        signal(SIGXFSZ, SIG_IGN)
        do {
            var command = try parseAsRoot()
            try command.run()
        } catch { Glibc.exit(ending(with: error)) }
    }

    /// Says what went wrong, and gives the exit code.
    private static func ending(with error: any Error) -> Int32 {
        if let failure = error as? InternalError {
            CommandLine.say("kiln: \(failure)")
            return 70
        }
        if isMistake(error) {
            CommandLine.say("error: \(error)")
            return 1
        }
        // The parser's own: help and version are no errors.
        if exitCode(for: error).isSuccess {
            do { try StandardOutput.put(fullMessage(for: error)) } catch {
                CommandLine.say("error: \(error)")
                return 1
            }
            return 0
        }
        CommandLine.say(fullMessage(for: error))
        return 1
    }

    private static func isMistake(_ error: any Error) -> Bool {
        error is CompileError || error is ShapeError || error is ParseError || error is FileError || error is RuntimeError
            || error is ModelError || error is UnsupportedModel || error is ValueNeeded || error is VerifyFailure
    }
}

extension CommandLine {
    /// Prints a line on standard error.
    static func say(_ line: String) {
        let bytes = Array((line + "\n").utf8)
        _ = write(STDERR_FILENO, bytes, bytes.count)
    }
}
