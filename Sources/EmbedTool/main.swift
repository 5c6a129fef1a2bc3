// The build plugin's tool: `EmbedTool CLANG OUTPUT.swift TYPES.h SOURCE.c…` compiles the sources and writes a Swift file with the objects,
// and with the text of the types that the headers of models share with the runtime's.

import Foundation

/// Compiles one C file to an object that a shared object can hold with nothing of it visible.
func object(of source: URL, clang: URL, folder: URL) throws -> Data {
    let object = folder.appending(path: source.deletingPathExtension().lastPathComponent + ".o")
    let process = Process()
    process.executableURL = clang
    process.currentDirectoryURL = source.deletingLastPathComponent()
    process.arguments = ["-std=c11", "-O2", "-fPIC", "-fvisibility=hidden", "-ffunction-sections", "-fdata-sections", "-fno-ident", "-DNDEBUG",
                         "-c", source.lastPathComponent, "-o", object.path]
    #if arch(x86_64)
    // Thread-local variables by descriptor need no function of the loader's, which would be one more library.
    process.arguments?.append("-mtls-dialect=gnu2")
    #endif
    try process.run()
    process.waitUntilExit()
    guard process.terminationStatus == 0 else { exit(process.terminationStatus) }
    return try Data(contentsOf: object)
}

let arguments = CommandLine.arguments
guard arguments.count > 4 else {
    FileHandle.standardError.write(Data("usage: EmbedTool CLANG OUTPUT.swift TYPES.h SOURCE.c…\n".utf8))
    exit(1)
}
let clang = URL(fileURLWithPath: arguments[1])
let output = URL(fileURLWithPath: arguments[2])
var text = """
    // The C runtime's objects, written by EmbedTool at build time.

    enum RuntimeObjects {
        /// Each object of the runtime, in base64.
        static let encoded: [String] = [

    """
for source in arguments[4...] {
    let data = try object(of: URL(fileURLWithPath: source), clang: clang, folder: output.deletingLastPathComponent())
    text += "        \"\(data.base64EncodedString())\",\n"
}
text += "    ]\n\n    /// kiln_types.h.\n    static let types = #\"\"\"\n"
for line in try String(contentsOf: URL(fileURLWithPath: arguments[3]), encoding: .utf8).split(separator: "\n", omittingEmptySubsequences: false) {
    text += line.isEmpty ? "\n" : "        \(line)\n"
}
text += "        \"\"\"#\n}\n"
try text.write(to: output, atomically: true, encoding: .utf8)
