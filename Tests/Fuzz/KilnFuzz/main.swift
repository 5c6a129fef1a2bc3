// Feeds a reader with mutated inputs: KilnFuzz --format kiln --runs 1000000 --seed 1 [--input FILE] [--keep FILE] [--seeds FOLDER]
// [--findings FOLDER]
// Every input is written to the file `--keep` before it is read, so that one that crashes the reader is found there.

import Foundation
import KilnIR

struct Arguments {
    var format = "kiln"
    var runs = 1_000_000
    var seed: UInt64 = 1
    /// A file to read once instead of mutating.
    var input: String?
    var keep: String?
    /// Where more inputs to begin with lie: files in the format, by how their names end.
    var seeds: String?
    /// Where to put inputs that show a fault, each with what is wrong, to go on; without it the first ends the program.
    var findings: String?

    /// The arguments of the command line, or nothing where they make no sense.
    init?(_ words: [String]) {
        guard words.count % 2 == 0 else { return nil }
        for position in stride(from: 0, to: words.count, by: 2) {
            let value = words[position + 1]
            switch words[position] {
            case "--format": format = value
            case "--runs": guard let number = Int(value), number >= 0 else { return nil }; runs = number
            case "--seed": guard let number = UInt64(value) else { return nil }; seed = number
            case "--input": input = value
            case "--keep": keep = value
            case "--seeds": seeds = value
            case "--findings": findings = value
            default: return nil
            }
        }
    }
}

func fail(_ message: String, _ code: Int32) -> Never {
    let line = Array((message + "\n").utf8)
    _ = write(STDERR_FILENO, line, line.count)
    exit(code)
}

func contents(of path: String) -> [UInt8] {
    guard let file = fopen(path, "rb") else { fail("\(path) can't be read", 2) }
    defer { fclose(file) }
    var bytes: [UInt8] = []
    var buffer = [UInt8](repeating: 0, count: 1 << 16)
    while true {
        let count = fread(&buffer, 1, buffer.count, file)
        if count == 0 { return bytes }
        bytes += buffer[..<count]
    }
}

/// The files of a folder and those within it, in the order of their names; those that are too large to be changed much are left out.
func files(in folder: String, ending: String) throws -> [[UInt8]] {
    try FileManager.default.subpathsOfDirectory(atPath: folder).sorted().filter { $0.hasSuffix(ending) }.map { contents(of: folder + "/" + $0) }
        .filter { $0.count <= Mutator.greatestSize }
}

/// No input may take more memory than this: one that asks for more ends the program.
func limitResources() {
    var limit = rlimit(rlim_cur: 6 << 30, rlim_max: 6 << 30)
    setrlimit(__rlimit_resource_t(RLIMIT_AS.rawValue), &limit)
}

var findingCount = 0

/// Reads one input; true where it was accepted. Faults of the reader end the program, or go to the folder for them.
@MainActor func accepts(_ input: [UInt8], _ format: Format, _ where_: String, findings folder: String? = nil) -> Bool {
    do {
        try format.read(input)
        return true
    } catch let error where error is Finding || error is InternalError {
        guard let folder else { fail("\(where_): \(error)", 1) }
        let path = "\(folder)/\(getpid())-\(findingCount)"
        guard FileManager.default.createFile(atPath: path + "." + (format.ending ?? format.name), contents: Data(input)),
            FileManager.default.createFile(atPath: path + ".txt", contents: Data("\(where_): \(error)\n".utf8)) else { fail("\(path) can't be written", 2) }
        findingCount += 1
        return true
    } catch { return false }
}

guard let arguments = Arguments(Array(CommandLine.arguments.dropFirst())), let format = Format.all.first(where: { $0.name == arguments.format })
else { fail("usage: KilnFuzz --format \(Format.all.map(\.name).joined(separator: "|")) --runs N --seed S [--input FILE] [--keep FILE] [--seeds FOLDER] [--findings FOLDER]", 2) }

if let path = arguments.input {
    print(accepts(contents(of: path), format, path) ? "accepted" : "rejected")
    exit(0)
}

let keep = arguments.keep ?? "/tmp/kiln-fuzz-\(getpid()).\(format.name)"
let descriptor = open(keep, O_CREAT | O_RDWR | O_TRUNC, 0o644)
guard descriptor >= 0 else { fail("\(keep) can't be written", 2) }
limitResources()
var seeds = try format.seeds()
for (number, seed) in seeds.enumerated() where !accepts(seed, format, "seed \(number)", findings: arguments.findings) {
    fail("seed \(number) is rejected:\n\(String(decoding: seed, as: UTF8.self))", 1)
}
let others = try format.others()
for (number, seed) in others.enumerated() { _ = accepts(seed, format, "seed \(seeds.count + number)", findings: arguments.findings) }
seeds += try others + (arguments.seeds.map { try files(in: $0, ending: "." + (format.ending ?? format.name)) } ?? [])
var mutator = Mutator(format, seeds: seeds, seed: arguments.seed)
var acceptedCount = 0
var slowest = Duration.zero
var total = Duration.zero
let clock = ContinuousClock()
for run in 0..<arguments.runs {
    let input = mutator.next()
    _ = input.withUnsafeBytes { pwrite(descriptor, $0.baseAddress, $0.count, 0) }
    ftruncate(descriptor, off_t(input.count))
    // One that never comes back ends the program.
    alarm(60)
    let start = clock.now
    if accepts(input, format, "input \(run), in \(keep)", findings: arguments.findings) {
        acceptedCount += 1
        mutator.keep(input)
    }
    let time = clock.now - start
    slowest = max(slowest, time)
    total += time
    // An input of a few kilobytes has no business taking this long.
    if time > .seconds(5) { fail("input \(run), in \(keep), took \(time)", 1) }
}
unlink(keep)
print("\(arguments.runs) inputs, \(acceptedCount) accepted, \(arguments.runs - acceptedCount) rejected; \(seeds.count) seeds, mean \(total / max(arguments.runs, 1)), slowest \(slowest)")
if findingCount > 0 { fail("\(findingCount) findings, in \(arguments.findings!)", 1) }
