// Graphs as files for other programs: a graph comes in, a shared object that needs libc and libm alone goes out, and a C header.
import Glibc
import KilnCompiler
import KilnIR
import KilnKernels
import KilnLLVM

extension Graph {
    /// Compiles this graph to a shared object whose C functions begin with the graph's name, and writes the header beside it if asked.
    ///
    /// - Parameters:
    ///   - target: `host`, `x86-64-v3` or `x86-64-v4`.
    ///   - gpus: the GPUs to add code for, such as `[.sm80, .sm90a]`: where there is one of them, the functions use it, else the processor.
    ///   - checksIndices: whether the functions give a status where an index is out of range; if not, they take the nearest position.
    /// - Throws: the user's error for a target that is not known, a name that is no C identifier, or a file that can't be written.
    public func writeLibrary(to path: String, header: String? = nil, target: String = "host", gpus: [GPU] = [], checksIndices: Bool = true) throws {
        guard let processor = HostTarget.named(target) else {
            throw CompileError("compile", "there is no target '\(target)'", fix: "choose from \(HostTarget.names.joined(separator: ", "))")
        }
        try writeLibrary(to: path, header: header, gpus: gpus, options: Options(target: processor, checksIndices: checksIndices))
    }

    /// - Parameter inputs: files that must not be written over.
    package func writeLibrary(to path: String, header: String?, gpus: [GPU] = [], options: Options, inputs: [String] = []) throws {
        try checkPorts()
        let library = try OutputFile(path), declarations = try header.map { try OutputFile($0) }
        if let header, library.isSame(as: header) { throw CompileError(header, "is the library and the header at once", fix: "give each a name of its own") }
        for file in [library, declarations].compactMap({ $0 }) {
            if let input = inputs.first(where: { file.isSame(as: $0) }) {
                throw CompileError(file.name, "is \(input), which the model is read from", fix: "write to another file")
            }
        }
        defer { for file in [library, declarations] { file?.discard() } }
        var options = options
        options.devices = gpus.map { Target($0) }
        options.ptxas = Self.ptxas()
        let compiled = try Pipeline.code(for: self, options: options)
        try SharedObject.link(compiled.code, compiled.interface, target: options.target, intoPartOf: library)
        // Both are whole before one takes its place.
        if let declarations { try FileSystem.write(Array(CHeader.text(for: compiled.interface).utf8), to: declarations.part) }
        try library.replace()
        try declarations?.replace()
    }

    /// NVIDIA's assembler, where it is on the path.
    private static func ptxas() -> String? {
        (getenv("PATH").map { String(cString: $0) } ?? "").split(separator: ":").map { "\($0)/ptxas" }.first { access($0, X_OK) == 0 }
    }
}
