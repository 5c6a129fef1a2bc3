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
        let file = try OutputFile(path)
        defer { file.discard() }
        try link(code, program, target: target, intoPartOf: file)
        try file.replace()
    }

    /// The same, and leaves the library in the file's part.
    package static func link(_ code: ObjectCode, _ program: Program, target: Target, intoPartOf file: OutputFile) throws {
        try checkName(program.name)
        try checkArguments(program)
        let runtime = try RuntimeObjects.encoded.map { text in
            guard let data = Data(base64Encoded: text) else { throw InternalError("link", "an object of the runtime is malformed") }
            return [UInt8](data)
        }
        let host = target.gpu == nil ? target : HostTarget.detect()
        let constants = code.constants.contents.isEmpty ? nil : ConstantsSection(code.constants)
        let objects = code.objects + [try ExportsEmitter.object(program, target: host)] + runtime + (constants.map { [$0.object] } ?? [])
        let archive = ObjectArchive.bytes(objects)
        // The linker writes to mapped memory; what it makes is not larger than what it is given, but for headers.
        try file.reserve(archive.count + 1 << 17)
        let name = (file.name as NSString).lastPathComponent
        try link(["ld.lld", "-shared", "-soname", name, "--gc-sections", "--build-id=none", "--hash-style=gnu", "-O1",
                  "--no-undefined", "-z", "now", "-z", "relro", "-z", "noexecstack", "-z", "lrodata-after-bss", "--strip-all", "--as-needed", "-o", file.part]
            + (try libraries()), archive, file)
        try constants?.fill(file.part)
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

    private static func link(_ arguments: [String], _ archive: [UInt8], _ file: OutputFile) throws {
        let texts = arguments.map { strdup($0) }
        defer { for text in texts { free(text) } }
        var message: UnsafeMutablePointer<CChar>?
        let pointers = texts.map { UnsafePointer<CChar>($0) }
        let status = pointers.withUnsafeBufferPointer { pointers in
            archive.withUnsafeBytes { kiln_lld_link(Int32(pointers.count), pointers.baseAddress, $0.baseAddress, $0.count, &message) }
        }
        defer { free(message) }
        guard status != 0 else { return }
        let text = message.map { String(cString: $0) } ?? "the linker failed with status \(status)"
        // What it says of the file that it writes is for the user to mend.
        guard status > 0, !text.contains(file.part) else {
            throw CompileError(file.name, "can't be written: \(text)", fix: "make room for it, or choose another path")
        }
        throw InternalError("link", text)
    }
}
