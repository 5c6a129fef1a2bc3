// Shared objects: what they need, what they export, whether they run, and whether a C program can use the header.

import Foundation
import KilnIR
import KilnKernels
import KilnLLVM
import KilnRuntime
import Testing

/// A caller's tensor as kiln.h lays it out; declared here, because the library under test has a runtime of its own.
private struct CTensor {
    var data: UnsafeMutableRawPointer?
    var dtype: Int32
    var rank: Int32
    var shape: UnsafePointer<Int64>?
}
private typealias Run = @convention(c) (UnsafeRawPointer?, Int64, UnsafeRawPointer?, Int64) -> Int32

@Suite struct SharedObjectTests {
    /// `out = erf(in0) + in1`, of `n` rows of 3; erf of f64 is libm's.
    private var model: Program {
        let type = TensorType(.f64, ["n", 3])
        let body = lanesLoop(Dim.symbol("n") * 3, width: 8) { position in
            [load(0, 0, position), load(1, 1, position), apply(2, .erf, [0], .f64), apply(3, .add, [2, 1], .f64), store(2, position, 3)]
        }
        return program("erfsum", inputs: [type, type], outputs: [type], symbols: ["n"], body: [body])
    }

    private func withLibrary(_ body: (URL) throws -> Void) throws {
        let folder = FileManager.default.temporaryDirectory.appending(path: "kiln-so-\(UUID().uuidString)")
        try FileManager.default.createDirectory(at: folder, withIntermediateDirectories: true)
        defer { try? FileManager.default.removeItem(at: folder) }
        let library = folder.appending(path: "liberfsum.so")
        try SharedObject.build(model, target: host, to: library.path)
        try body(library)
    }

    @Test func runsAfterDlopen() throws {
        try withLibrary { library in
            let handle = try #require(dlopen(library.path, RTLD_NOW | RTLD_LOCAL))
            let run = unsafeBitCast(try #require(dlsym(handle, "erfsum_run")), to: Run.self)
            var (x, y, z) = ((0..<15).map { Double($0) / 10 }, (0..<15).map(Double.init), [Double](repeating: 0, count: 15))
            let shape: [Int64] = [5, 3]
            let wrong: [Int64] = [5, 4]
            x.withUnsafeMutableBytes { x in y.withUnsafeMutableBytes { y in z.withUnsafeMutableBytes { z in
                shape.withUnsafeBufferPointer { shape in wrong.withUnsafeBufferPointer { wrong in
                    func tensor(_ data: UnsafeMutableRawBufferPointer, _ sizes: UnsafeBufferPointer<Int64> ) -> CTensor {
                        CTensor(data: data.baseAddress, dtype: 12, rank: 2, shape: sizes.baseAddress)
                    }
                    let (inputs, outputs) = ([tensor(x, shape), tensor(y, shape)], [tensor(z, shape)])
                    #expect(run(inputs, 2, outputs, 1) == 0)
                    #expect(run([tensor(x, shape), tensor(y, wrong)], 2, outputs, 1) == 6)
                    #expect(run(nil, 2, outputs, 1) == 1)
                } }
            } } }
            #expect(z == (0..<15).map { erf(Double($0) / 10) + Double($0) })
        }
    }

    @Test func needsLibcAndLibmAlone() throws {
        try withLibrary { library in
            let file = ELFFile([UInt8](try Data(contentsOf: library)))
            #expect(Set(file.needed) == ["libc.so.6", "libm.so.6"])
            #expect(file.soname == "liberfsum.so")
            #expect(file.exported.contains("erfsum_run") && file.exported.allSatisfy { $0.hasPrefix("erfsum_") })
            #expect(file.bytes.count < 100_000)
        }
    }

    @Test func theSameProgramGivesTheSameBytes() throws {
        try withLibrary { first in
            try withLibrary { second in
                let (a, b) = (try Data(contentsOf: first), try Data(contentsOf: second))
                #expect(a == b)
            }
        }
        let one = try LLVMBackend.compile(model, target: host, options: .init(threads: 1))
        let two = try LLVMBackend.compile(model, target: host, options: .init(threads: 2))
        #expect(one.objects == two.objects)
    }

    /// The linker resets LLVM's options for the process, those that code is made with among them.
    @Test func linkingLeavesCodeAsItIs() throws {
        let before = try LLVMBackend.compile(model, target: host)
        try withLibrary { _ in }
        #expect(try LLVMBackend.compile(model, target: host).objects == before.objects)
    }

    @Test func namesAndPathsThatCannotBe() throws {
        var program = model
        program.name = "two words"
        #expect(throws: CompileError.self) { try SharedObject.build(program, target: host, to: "/tmp/x.so") }
        #expect(throws: CompileError.self) { try SharedObject.build(model, target: host, to: "/nowhere/at/all/x.so") }
    }

    @Test(.enabled(if: clang != nil)) func aCProgramUsesTheHeader() throws {
        try withLibrary { library in
            let folder = library.deletingLastPathComponent()
            try CHeader.text(for: model).write(to: folder.appending(path: "erfsum.h"), atomically: true, encoding: .utf8)
            let source = """
                #include "erfsum.h"
                #include "erfsum.h"
                #include <string.h>
                int main(void) {
                  double x[6] = {0}, y[6] = {1, 2, 3, 4, 5, 6}, z[6];
                  int64_t shape[2] = {2, 3};
                  kiln_tensor inputs[2] = {{x, KILN_F64, 2, shape}, {y, KILN_F64, 2, shape}};
                  kiln_tensor output = {z, KILN_F64, 2, shape};
                  if (erfsum_run(inputs, 2, &output, 1) != KILN_OK) return 1;
                  if (memcmp(y, z, sizeof z)) return 2;
                  if (erfsum_run(inputs, 1, &output, 1) != KILN_WRONG_COUNT) return 3;
                  if (!strlen(erfsum_last_error())) return 4;
                  char text[64];
                  if (erfsum_input_type(0, text, sizeof text) != 9 || strcmp(text, "f64[n, 3]")) return 5;
                  return strcmp(erfsum_symbol_name(0), "n") ? 6 : 0;
                }
                """
            try source.write(to: folder.appending(path: "main.c"), atomically: true, encoding: .utf8)
            let arguments = ["-std=c99", "-Wall", "-Wextra", "-Werror", "main.c", "-o", "main", "-L.", "-lerfsum", "-Wl,-rpath,\(folder.path)"]
            #expect(try execute(clang!, arguments, in: folder) == 0)
            #expect(try execute(folder.appending(path: "main").path, [], in: folder) == 0)
        }
    }

    /// The header and kiln.h declare the same types, whichever comes first.
    @Test(.enabled(if: clang != nil), arguments: ["#include <kiln.h>\n#include \"erfsum.h\"", "#include \"erfsum.h\"\n#include <kiln.h>"])
    func theHeaderAndKilnsOwnGoTogether(_ includes: String) throws {
        let folder = FileManager.default.temporaryDirectory.appending(path: "kiln-header-\(UUID().uuidString)")
        try FileManager.default.createDirectory(at: folder, withIntermediateDirectories: true)
        defer { try? FileManager.default.removeItem(at: folder) }
        try CHeader.text(for: model).write(to: folder.appending(path: "erfsum.h"), atomically: true, encoding: .utf8)
        try "\(includes)\nkiln_tensor t = {0, KILN_F64, 0, 0};\nkiln_status s = KILN_UNSUPPORTED_CPU;\n"
            .write(to: folder.appending(path: "main.c"), atomically: true, encoding: .utf8)
        let runtime = URL(filePath: #filePath).deletingLastPathComponent().appending(path: "../../Runtime/include").path
        for language in [["-x", "c", "-std=c99"], ["-x", "c++", "-std=c++17"]] {
            #expect(try execute(clang!, language + ["-Wall", "-Wextra", "-Werror", "-fsyntax-only", "-I\(runtime)", "main.c"], in: folder) == 0)
        }
    }

    /// Names come from models' files: whatever they hold, the header declares what the model exports and nothing else.
    @Test(.enabled(if: clang != nil)) func namesDoNotBecomeCode() throws {
        var hostile = model
        let names = ["x\nint evil(void) { return 1; }\n//", "y\r\nint evil;\\", "z??/\u{2028}*/ int evil; /* \u{202e}"]
        for index in hostile.buffers.indices { hostile.buffers[index].name = names[index % names.count] }
        let text = CHeader.text(for: hostile), plain = CHeader.text(for: model)
        func code(_ header: String) -> [String] { header.split(whereSeparator: \.isNewline).map(String.init).filter { !$0.hasPrefix("//") } }
        #expect(code(text) == code(plain))
        #expect(text.split(whereSeparator: \.isNewline).allSatisfy { !$0.hasSuffix("\\") && !$0.contains("??/") })
        #expect(text.contains("// inputs[0]: x\\u{a}int evil(void) { return 1; }\\u{a}//: f64[n, 3]"))
        let folder = FileManager.default.temporaryDirectory.appending(path: "kiln-header-\(UUID().uuidString)")
        try FileManager.default.createDirectory(at: folder, withIntermediateDirectories: true)
        defer { try? FileManager.default.removeItem(at: folder) }
        try (text + "int evil(void);\nint evil(void) { return 0; }\n").write(to: folder.appending(path: "main.c"), atomically: true, encoding: .utf8)
        #expect(try execute(clang!, ["-std=c99", "-trigraphs", "-Wall", "-Werror", "-fsyntax-only", "main.c"], in: folder) == 0)
    }

    @Test func theHeadersExampleIsOfTheModel() throws {
        let text = CHeader.text(for: model)
        #expect(text.contains("//     kiln_tensor inputs[2] = {"))
        #expect(text.contains("//       {x0, KILN_F64, 2, (const int64_t[]){8, 3}},   // in0\n"))
        #expect(text.contains("//     if (erfsum_run(inputs, 2, outputs, 1) != KILN_OK) puts(erfsum_last_error());"))
    }

    @Test func whatNoCallerCouldUse() throws {
        var twice = model
        for index in twice.buffers.indices { if case .input = twice.buffers[index].storage { twice.buffers[index].name = "same" } }
        #expect { try SharedObject.build(twice, target: host, to: "/tmp/never.so") } throws: { "\($0)".contains("two inputs have the name 'same'") }
        let type = TensorType(.f64, [Dim.symbol("a") + Dim.symbol("b")])
        let sum = program("sum", inputs: [type], outputs: [type], symbols: ["a", "b"], body: [])
        #expect { try SharedObject.build(sum, target: host, to: "/tmp/never.so") } throws: {
            let text = "\($0)"
            return text.contains("the size 'a'") && text.contains("in0: f64[a + b]")
        }
    }

    /// The compiler's list of the processor's extensions and the runtime's are one.
    @Test func extensionsAreTheRuntimes() throws {
        for (code, name) in CPUFeatures.names.enumerated() { #expect(kiln_cpu_feature_name(Int64(code)).map { String(cString: $0) } == name) }
        #expect(kiln_cpu_feature_name(Int64(CPUFeatures.names.count)) == nil && kiln_cpu_feature_name(-1) == nil)
        // What the library was compiled for is in its table, and this processor has it.
        try withLibrary { library in
            let handle = try #require(dlopen(library.path, RTLD_NOW | RTLD_LOCAL))
            defer { dlclose(handle) }
            let check = unsafeBitCast(try #require(dlsym(handle, "erfsum_check")), to: (@convention(c) () -> Int32).self)
            let features = unsafeBitCast(try #require(dlsym(handle, "erfsum_cpu_features")),
                                         to: (@convention(c) (UnsafeMutablePointer<CChar>?, Int) -> Int64).self)
            #expect(check() == 0)
            var text = [CChar](repeating: 0, count: 1000)
            let length = features(&text, text.count)
            #expect(length > 0 && length < 1000)
            #expect(Set(String(decoding: text.prefix(Int(length)).map(UInt8.init(bitPattern:)), as: UTF8.self).split(separator: ", ").map(String.init)).isSubset(of: CPUFeatures.names))
        }
    }

    @Test func aClosedLibraryIsGone() throws {
        try withLibrary { library in
            let handle = try #require(dlopen(library.path, RTLD_NOW | RTLD_LOCAL))
            dlclose(handle)
            #expect(dlopen(library.path, RTLD_NOW | RTLD_NOLOAD) == nil)
        }
    }

    private func execute(_ program: String, _ arguments: [String], in folder: URL) throws -> Int32 {
        let process = Process()
        process.executableURL = URL(fileURLWithPath: program)
        process.arguments = arguments
        process.currentDirectoryURL = folder
        try process.run()
        process.waitUntilExit()
        return process.terminationStatus
    }
}

/// The C compiler on the path, if any.
private let clang: String? = (ProcessInfo.processInfo.environment["PATH"] ?? "").split(separator: ":")
    .map { "\($0)/clang" }.first { FileManager.default.isExecutableFile(atPath: $0) }

/// The dynamic section of a 64-bit ELF file.
private struct ELFFile {
    let bytes: [UInt8]
    private(set) var needed: [String] = []
    private(set) var soname = ""
    private(set) var exported: [String] = []

    init(_ bytes: [UInt8]) {
        self.bytes = bytes
        let (sections, count) = (word(40, 8), word(60, 2))
        for section in (0..<count).map({ sections + 64 * $0 }) {
            let (offset, size) = (word(section + 24, 8), word(section + 32, 8))
            let strings = word(sections + 64 * word(section + 40, 4) + 24, 8)
            switch word(section + 4, 4) {
            case 6: // SHT_DYNAMIC
                for entry in stride(from: offset, to: offset + size, by: 16) {
                    if word(entry, 8) == 1 { needed.append(text(strings + word(entry + 8, 8))) }
                    if word(entry, 8) == 14 { soname = text(strings + word(entry + 8, 8)) }
                }
            case 11: // SHT_DYNSYM; defined ones have a section
                for entry in stride(from: offset + 24, to: offset + size, by: 24) where word(entry + 6, 2) != 0 {
                    exported.append(text(strings + word(entry, 4)))
                }
            default: break
            }
        }
    }

    private func word(_ offset: Int, _ size: Int) -> Int { (0..<size).reduce(0) { $0 | Int(bytes[offset + $1]) << (8 * $1) } }
    private func text(_ offset: Int) -> String { String(decoding: bytes[offset...].prefix { $0 != 0 }, as: UTF8.self) }
}
