// Runs ONNX's own tests of its operators, and whole models, through compiled code.
// Usage: KilnConformance SUITE [--known FILE] [--jobs N] [TEXT …]   the cases whose names, or one of whose operators, are among the
//            texts; all if none is given. FILE lists cases that are known to fail, a name and the reason a line.
//        KilnConformance --models FOLDER [NAME …]   the models of a folder that a script in Tests/Conformance/models has written
//        KilnConformance --cases FOLDER [--known FILE] [TEXT …]   small models that once failed, such as those of Tests/Conformance/cases
// Out: a line for each case that fails, with the reason; of the suite a table by category; then "N passed, N failed", where known
// failures count as neither, and a known failure that passes has failed: the list is to be mended.

import Foundation

/// The words of the command line.
struct Words {
    var words = Array(CommandLine.arguments.dropFirst())

    /// Takes an option and its value away.
    mutating func option(_ name: String) -> String? {
        guard let place = words.firstIndex(of: name), place + 1 < words.count else { return nil }
        defer { words.removeSubrange(place...place + 1) }
        return words[place + 1]
    }
}

var words = Words()
if words.words.first == "--models", let folder = words.words.dropFirst().first {
    guard let counts = try? ModelCase.checkAll(in: folder, named: Array(words.words.dropFirst(2))) else {
        FileHandle.standardError.write(Data("error: \(folder)/models.json is not there, or is damaged\n".utf8))
        exit(2)
    }
    print("\(counts.passed) passed, \(counts.failed) failed")
    exit(counts.failed == 0 ? 0 : 1)
}
if let folder = words.option("--cases") {
    let known = try Report.known(in: words.option("--known"))
    let counts = try SmallCase.checkAll(in: folder, named: words.words, known: known)
    print("\(counts.passed) passed, \(counts.failed) failed")
    exit(counts.failed == 0 ? 0 : 1)
}
let served = words.option("--worker"), listed = words.option("--known")
let jobs = words.option("--jobs").flatMap { Int($0) } ?? ProcessInfo.processInfo.activeProcessorCount
guard let suite = served ?? words.words.first, let bytes = FileManager.default.contents(atPath: suite + "/manifest.json") else {
    FileHandle.standardError.write(Data("usage: KilnConformance SUITE [--known FILE] [--jobs N] [TEXT …]\n".utf8))
    exit(2)
}
let manifest = try JSONDecoder().decode(Manifest.self, from: bytes)
if served != nil {
    Workers.serve(manifest, suite: suite)
    exit(0)
}
let wanted = Array(words.words.dropFirst())
let cases = manifest.tests.filter { test in wanted.isEmpty || wanted.contains { test.name.contains($0) || test.ops[$0] != nil } }
let known = try Report.known(in: listed)
let report = Report(cases, Workers.run(cases.map(\.name), suite: suite, jobs: max(jobs, 1)), known: known)
report.print()
exit(report.failed == 0 ? 0 : 1)
