// Objects of a program, its exported functions and the runtime to a shared object that needs libc and libm alone, and that can be unloaded.
// The linker is LLVM's, in this process: no C compiler and no development package of libc is asked for.

import CLLD
import Foundation
import KilnIR
import KilnKernels

public enum SharedObject {
    /// Compiles a program and links it; see `link`.
    public static func build(_ program: Program, target: Target, options: LLVMBackend.Options = .init(), to path: String) throws {
        try link(try LLVMBackend.compile(program, target: target, options: options), program, target: target, to: path)
    }

    /// Links a program's code with its exported functions `NAME_…` and the runtime. The same input gives the same bytes.
    /// - Throws: `CompileError` where the file can't be written or libc is not found, `InternalError` where the linker refuses.
    public static func link(_ code: ObjectCode, _ program: Program, target: Target, to path: String) throws {
        try checkName(program.name)
        try checkArguments(program)
        let runtime = try RuntimeObjects.encoded.map { text in
            guard let data = Data(base64Encoded: text) else { throw InternalError("link", "an object of the runtime is malformed") }
            return [UInt8](data)
        }
        let host = target.gpu == nil ? target : HostTarget.detect()
        let constants = code.constants.contents.isEmpty ? nil : ConstantsSection(code.constants)
        let objects = code.objects + [try ExportsEmitter.object(program, target: host)] + runtime + (constants.map { [$0.object] } ?? [])
        let file = URL(fileURLWithPath: path)
        let folder = FileManager.default.temporaryDirectory.appending(path: "kiln-link-\(UUID().uuidString)")
        do {
            try FileManager.default.createDirectory(at: folder, withIntermediateDirectories: true)
        } catch { throw CompileError(path, "no folder for temporary files: \(error.localizedDescription)", fix: "Set TMPDIR to a folder that can be written.") }
        defer { try? FileManager.default.removeItem(at: folder) }
        let files = try objects.enumerated().map { number, object in
            let name = folder.appending(path: "\(number).o")
            do { try Data(object).write(to: name) } catch {
                throw CompileError(path, error.localizedDescription, fix: "Free space in \(folder.deletingLastPathComponent().path).")
            }
            return name.path
        }
        // The linker reports a missing folder as a fault of its own; say it first, and in the user's terms.
        let parent = file.deletingLastPathComponent().path
        guard FileManager.default.isWritableFile(atPath: parent) else {
            throw CompileError(path, "the folder \(parent) is missing or can't be written", fix: "Make the folder, or choose another path.")
        }
        let part = "\(file.path).\(getpid()).part"
        defer { unlink(part) }
        try link(["ld.lld", "-shared", "-soname", file.lastPathComponent, "--gc-sections", "--build-id=none", "--hash-style=gnu", "-O1",
                  "--no-undefined", "-z", "now", "-z", "relro", "-z", "noexecstack", "-z", "lrodata-after-bss", "--strip-all", "--as-needed", "-o", part]
            + files + (try libraries()))
        try constants?.fill(part)
        guard rename(part, file.path) == 0 else {
            throw CompileError(path, "can't be written: \(String(cString: strerror(errno)))", fix: "Make room for it, or choose another path.")
        }
    }

    /// libm and libc as the loader knows them. Their file names are the sonames; only what is used is recorded.
    private static func libraries() throws -> [String] {
        let folders = ["/lib/x86_64-linux-gnu", "/usr/lib/x86_64-linux-gnu", "/lib64", "/usr/lib64", "/lib", "/usr/lib"]
        return try ["libm.so.6", "libc.so.6"].map { name in
            guard let folder = folders.first(where: { FileManager.default.fileExists(atPath: "\($0)/\(name)") }) else {
                throw CompileError("link", "\(name) is not in any of \(folders.joined(separator: ", "))", fix: "Compile on a system with glibc.")
            }
            return "\(folder)/\(name)"
        }
    }

    /// The name starts C functions, so it must be a C identifier.
    private static func checkName(_ name: String) throws {
        let isIdentifier = name.first.map { $0.isASCII && ($0.isLetter || $0 == "_") } ?? false
            && name.allSatisfy { $0.isASCII && ($0.isLetter || $0.isNumber || $0 == "_") }
        if !isIdentifier {
            throw CompileError("model name '\(name)'", "the name starts the names of C functions, so it must be a C identifier",
                               fix: "Choose letters, digits and underscores, such as 'my_model'.")
        }
    }

    /// Callers find arguments by name, and each call finds the sizes from the shapes of its inputs.
    private static func checkArguments(_ program: Program) throws {
        let inputs = program.arguments { if case .input(let i) = $0 { i } else { nil } }
        let outputs = program.arguments { if case .output(let i) = $0 { i } else { nil } }
        for (kind, names) in [("input", inputs.map(\.name)), ("output", outputs.map(\.name))] {
            var seen = Set<String>()
            if let twice = names.first(where: { !seen.insert($0).inserted }) {
                throw CompileError("model \(program.name)", "two \(kind)s have the name '\(twice)', so a caller could not tell them apart",
                                   fix: "Give each \(kind) a name of its own.")
            }
        }
        let known = Set(inputs.flatMap(\.type.shape))
        for symbol in program.symbols where !known.contains(Dim(stringLiteral: symbol)) {
            let types = inputs.filter { $0.type.shape.contains { $0.symbols.contains(symbol) } }.map { "\($0.name): \($0.type)" }
            throw CompileError(
                "model \(program.name)", "no call could find the size '\(symbol)': it is nowhere a whole dimension of an input"
                    + (types.isEmpty ? "" : ", only part of one (\(types.joined(separator: "; ")))"),
                fix: "Make '\(symbol)' a dimension of an input by itself, or name the whole expression with one symbol.")
        }
    }

    private static func link(_ arguments: [String]) throws {
        let texts = arguments.map { strdup($0) }
        defer { for text in texts { free(text) } }
        var message: UnsafeMutablePointer<CChar>?
        let pointers = texts.map { UnsafePointer<CChar>($0) }
        let status = pointers.withUnsafeBufferPointer { kiln_lld_link(Int32($0.count), $0.baseAddress, &message) }
        defer { free(message) }
        guard status == 0 else {
            throw InternalError("link", message.map { String(cString: $0) } ?? "the linker failed with status \(status)")
        }
    }
}
