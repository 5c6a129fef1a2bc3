// Which build of the compiler this is, for the cache: code that another build made may be other code.

import KilnLLVM

enum BuildIdentity {
    /// The files that this code and LLVM were loaded from, as they lie on the disk; nil where they can't be found there as they were loaded.
    static let text: String? = {
        guard let own = file(holding: UInt(bitPattern: #dsohandle)) else { return nil }
        return "LLVM \(LLVMBackend.version)\n" + ([own] + llvm()).joined(separator: "\n")
    }()

    /// A line for the mapped file that holds an address.
    private static func file(holding address: UInt) -> String? {
        MappedFiles().mappings.first { $0.start <= address && address < $0.end }.flatMap { MappedFiles.identity($0) }
    }

    private static func llvm() -> [String] {
        var seen: Set<String> = []
        return MappedFiles().mappings.filter { $0.path.contains("libLLVM") && seen.insert($0.path).inserted }.compactMap { MappedFiles.identity($0) }
    }
}
