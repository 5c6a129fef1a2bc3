// Which build of the compiler this is, for the cache: code that another build made may be other code.

import KilnLLVM
#if canImport(Glibc)
import Glibc
#elseif canImport(Musl)
import Musl
#endif

enum BuildIdentity {
    /// The files that this code and LLVM were loaded from, as they lie on the disk; nil where they can't be found there as they were loaded.
    static let text: String? = {
        guard let own = file(holding: UInt(bitPattern: #dsohandle)) else { return nil }
        return "LLVM \(LLVMBackend.version)\n" + ([own] + llvm()).joined(separator: "\n")
    }()

    /// A line for the mapped file that holds an address.
    private static func file(holding address: UInt) -> String? {
        mappings().first { $0.start <= address && address < $0.end }.flatMap { identity($0.path, inode: $0.inode) }
    }

    private static func llvm() -> [String] {
        var seen: Set<String> = []
        return mappings().filter { $0.path.contains("libLLVM") && seen.insert($0.path).inserted }.compactMap { identity($0.path, inode: $0.inode) }
    }

    /// A file that was written anew has another inode or another time of change, whatever its other times say.
    private static func identity(_ path: String, inode: UInt) -> String? {
        var status = stat()
        guard stat(path, &status) == 0, UInt(status.st_ino) == inode else { return nil }
        return "\(status.st_dev) \(status.st_ino) \(status.st_size) \(status.st_mtim.tv_sec).\(status.st_mtim.tv_nsec) "
            + "\(status.st_ctim.tv_sec).\(status.st_ctim.tv_nsec)"
    }

    private struct Mapping {
        var start: UInt
        var end: UInt
        var inode: UInt
        var path: String
    }

    /// The files in the process's memory. A line of the list: `start-end access offset device inode path`.
    private static func mappings() -> [Mapping] {
        guard let list = fopen("/proc/self/maps", "r") else { return [] }
        defer { fclose(list) }
        var found: [Mapping] = []
        var (line, capacity): (UnsafeMutablePointer<CChar>?, Int) = (nil, 0)
        defer { free(line) }
        while getline(&line, &capacity, list) > 0, let line {
            let words = String(cString: line).split(separator: " ", maxSplits: 5, omittingEmptySubsequences: true)
            guard words.count == 6 else { continue }
            let range = words[0].split(separator: "-").compactMap { UInt($0, radix: 16) }
            let path = words[5].drop { $0 == " " }.dropLast()
            guard range.count == 2, let inode = UInt(words[4]), path.hasPrefix("/") else { continue }
            found.append(Mapping(start: range[0], end: range[1], inode: inode, path: String(path)))
        }
        return found
    }
}
