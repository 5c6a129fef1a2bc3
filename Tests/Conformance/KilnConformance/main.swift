// Runs ONNX's own tests of its operators, and whole models, through compiled code.
// Usage: KilnConformance SUITE [TEXT …]   the cases whose names, or one of whose operators, are among the texts; all if none is given.
//        KilnConformance --models FOLDER [NAME …]   the models of a folder that a script in Tests/Conformance/models has written
// Out: a line for each case that fails, with the reason, then "N passed, N failed".

import Foundation

let arguments = CommandLine.arguments.dropFirst()
if arguments.first == "--models", let folder = arguments.dropFirst().first {
    let counts = try ModelCase.checkAll(in: folder, named: Array(arguments.dropFirst(2)))
    print("\(counts.passed) passed, \(counts.failed) failed")
    exit(counts.failed == 0 ? 0 : 1)
}
guard let suite = arguments.first, let bytes = FileManager.default.contents(atPath: suite + "/manifest.json") else {
    FileHandle.standardError.write(Data("usage: KilnConformance SUITE [TEXT …]\n".utf8))
    exit(2)
}
let manifest = try JSONDecoder().decode(Manifest.self, from: bytes)
let wanted = Array(arguments.dropFirst())
var passed = 0, failed = 0
for test in manifest.tests where wanted.isEmpty || wanted.contains(where: { test.name.contains($0) || test.ops[$0] != nil }) {
    do {
        try CaseRun(test: test, folder: suite + "/" + test.dir).run()
        passed += 1
    } catch {
        failed += 1
        print("\(test.name): \("\(error)".replacingOccurrences(of: "\n", with: " | ").prefix(300))")
    }
}
print("\(passed) passed, \(failed) failed")
exit(failed == 0 ? 0 : 1)
