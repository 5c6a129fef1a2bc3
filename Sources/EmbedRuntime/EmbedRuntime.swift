// A build plugin: the C runtime's sources to a Swift file that holds their objects, so that the compiler can link
// the runtime into shared objects on machines that have no C compiler.

import Foundation
import PackagePlugin

@main
struct EmbedRuntime: BuildToolPlugin {
    func createBuildCommands(context: PluginContext, target: Target) throws -> [Command] {
        let runtime = context.package.directoryURL.appending(path: "Runtime")
        let paths = try FileManager.default.subpathsOfDirectory(atPath: runtime.path).sorted()
        // The emulator runs in the compiler's process alone.
        let inputs = paths.filter { !$0.hasPrefix("emulator/") }.map { runtime.appending(path: $0) }.filter { ["c", "h"].contains($0.pathExtension) }
        if !inputs.contains(where: { $0.pathExtension == "c" }) { Diagnostics.error("no C sources in \(runtime.path)") }
        let output = context.pluginWorkDirectoryURL.appending(path: "RuntimeObjects.swift")
        // Clang comes with every Swift toolchain.
        let clang = try context.tool(named: "clang").url
        return [.buildCommand(displayName: "Compiling the runtime for shared objects", executable: try context.tool(named: "EmbedTool").url,
                              arguments: [clang.path, output.path, runtime.appending(path: "include/kiln_types.h").path] + inputs.filter { $0.pathExtension == "c" }.map(\.path),
                              inputFiles: inputs, outputFiles: [output])]
    }
}
