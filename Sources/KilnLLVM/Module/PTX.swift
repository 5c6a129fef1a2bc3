// PTX as text: the parts of one program become one image, and NVIDIA's assembler makes machine code of it where it is at hand.

import Foundation
import KilnIR
import KilnKernels

public enum PTX {
    /// One text of several that LLVM wrote for the same target; what all of them declare is declared once.
    static func merge(_ texts: [String]) -> String {
        var seen: Set<Substring> = []
        let header = [".version", ".target", ".address_size", ".extern .shared"]
        let lines = texts.flatMap { $0.split(separator: "\n", omittingEmptySubsequences: false) }.filter { line in
            guard !line.hasPrefix("//"), !line.isEmpty else { return false }
            return !header.contains { line.hasPrefix($0) } || seen.insert(line).inserted
        }
        guard !lines.isEmpty else { return "" }
        // Products of 8-bit floats by one warp came with a later version than all else.
        let isLater = lines.contains { $0.contains("mma.sync") && ($0.contains(".e4m3.") || $0.contains(".e5m2.")) }
        return lines.map { isLater && $0.hasPrefix(".version 8.0") ? ".version 8.4" : $0 }.joined(separator: "\n") + "\n"
    }

    /// What the assembler made of a text, and what it has to say of it.
    public struct Assembled: Sendable {
        public let code: [UInt8]
        public let report: String
    }

    /// Machine code of a text for a processor such as `sm_90a`.
    /// - Parameters:
    ///   - ptxas: the path of NVIDIA's assembler.
    ///   - reportsUse: whether the report says how many registers and how much memory each kernel takes.
    /// - Throws: `CompileError` where there is no such assembler, `InternalError` where it finds fault with the text.
    public static func assemble(_ text: String, for processor: String, ptxas: String, reportsUse: Bool = false) throws -> Assembled {
        let folder = FileManager.default.temporaryDirectory.appending(path: "kiln-ptxas-\(UUID().uuidString)")
        do {
            try FileManager.default.createDirectory(at: folder, withIntermediateDirectories: true)
        } catch { throw CompileError("ptxas", "no folder for temporary files: \(error.localizedDescription)", fix: "Set TMPDIR to a folder that can be written.") }
        defer { try? FileManager.default.removeItem(at: folder) }
        let (source, result) = (folder.appending(path: "kernels.ptx"), folder.appending(path: "kernels.cubin"))
        let process = Process()
        process.executableURL = URL(fileURLWithPath: ptxas)
        process.arguments = (reportsUse ? ["-v"] : []) + ["-arch=\(processor)", source.path, "-o", result.path]
        let output = Pipe()
        (process.standardOutput, process.standardError) = (output, output)
        do {
            try Data(text.utf8).write(to: source)
            try process.run()
        } catch { throw CompileError("ptxas", "\(ptxas) does not start: \(error.localizedDescription)", fix: "Give the path of NVIDIA's assembler, or compile without.") }
        let report = String(decoding: output.fileHandleForReading.readDataToEndOfFile(), as: UTF8.self)
        process.waitUntilExit()
        guard process.terminationStatus == 0 else { throw InternalError("ptxas", report.isEmpty ? "status \(process.terminationStatus)" : report) }
        return Assembled(code: [UInt8](try Data(contentsOf: result)), report: report)
    }
}
