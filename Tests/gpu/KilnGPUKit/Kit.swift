// The folder of files that a machine with a GPU runs: shared objects, inputs, and what must come out.

import Foundation
import KilnCompiler
import KilnIR
import KilnKernels
import KilnLLVM
import KilnOps

/// A kit that is being written.
struct Kit: Sendable {
    let folder: URL
    let options: Options

    /// - Parameter ptxas: NVIDIA's assembler, for machine code that the driver need not compile; nil for PTX alone.
    init(folder: String, gpus: [GPU], ptxas: String?) throws {
        self.folder = URL(fileURLWithPath: folder)
        try FileManager.default.createDirectory(at: self.folder, withIntermediateDirectories: true)
        guard let host = HostTarget.named("x86-64-v3") else { throw CompileError("pack", "there is no target x86-64-v3", fix: "pack on x86-64") }
        options = Options(target: host, devices: gpus.map { Target($0) }, ptxas: ptxas, threads: 1)
    }

    /// Compiles a graph to `NAME.so`.
    func link(_ graph: Graph) throws {
        let artifact = try Pipeline.compile(graph, options: options)
        try SharedObject.link(artifact.code, artifact.program, target: options.target, to: folder.appending(path: "\(graph.name).so").path)
    }

    func write(_ bytes: [UInt8], to name: String) throws { try Data(bytes).write(to: folder.appending(path: name)) }

    /// The graph alone may be what a GPU can't run yet; the error then says so once, and the rest goes on.
    static func note(_ text: String) { FileHandle.standardError.write(Data("\(text)\n".utf8)) }
}
