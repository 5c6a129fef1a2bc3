// What earlier runs of the tests found: programs' texts and what they were run on come in, whether all agreed then comes out.
// Tests/run --quick names a folder whose name stands for all else that a verdict depends on: the code generator, the interpreter, the runtime, these tests.

import Foundation
import KilnKernels

/// Verdicts that are kept in a folder, a file each; none where the environment names no folder.
enum Verdicts {
    private static let folder: URL? = {
        guard let path = ProcessInfo.processInfo.environment["KILN_TEST_RESULTS"], !path.isEmpty else { return nil }
        let folder = URL(fileURLWithPath: path, isDirectory: true)
        try? FileManager.default.createDirectory(at: folder, withIntermediateDirectories: true)
        return folder
    }()

    /// Runs a check of compiled programs, unless the same check of the same loops has passed before.
    /// - Parameter detail: everything else that decides what is checked.
    /// - Returns: whether all agreed.
    static func check(_ programs: [Program], _ detail: String, _ body: () throws -> Bool) rethrows -> Bool {
        guard let folder else { return try body() }
        var digest = Digest()
        digest.add(detail)
        for program in programs { digest.add(program.description) }
        let file = folder.appendingPathComponent(digest.text).path
        if FileManager.default.fileExists(atPath: file) { return true }
        guard try body() else { return false }
        // A verdict that can't be kept is found again.
        _ = FileManager.default.createFile(atPath: file, contents: nil)
        return true
    }
}

/// FNV-1a over 64 bits, twice from different beginnings: enough to tell texts apart that nobody chose to collide.
private struct Digest {
    private var first: UInt64 = 0xCBF2_9CE4_8422_2325
    private var second: UInt64 = 0x9AE1_6A3B_2F90_404F

    mutating func add(_ text: String) {
        for byte in text.utf8 { add(byte) }
        // Parts stay apart.
        add(0xFF)
    }

    private mutating func add(_ byte: UInt8) {
        first = (first ^ UInt64(byte)) &* 0x100_0000_01B3
        second = (second ^ UInt64(byte)) &* 0x100_0000_01B3
        second = second << 23 | second >> 41
    }

    var text: String { String(first, radix: 16) + "-" + String(second, radix: 16) }
}
