// The files in the process's memory: an address comes in, and which bytes of which file lie there goes out, as text that is another when the
// file was written since. So weights that are mapped, gigabytes perhaps, are told apart without a look at them.

import KilnIR
#if canImport(Glibc)
import Glibc
#elseif canImport(Musl)
import Musl
#endif

/// The mapped files, as they were when this was made.
struct MappedFiles {
    struct Mapping {
        var start: UInt
        var end: UInt
        /// Where in the file it begins.
        var offset: UInt
        var inode: UInt
        var path: String
    }

    private(set) var mappings: [Mapping] = []
    /// The files' identities by path; nil for one that is not where it was mapped from, or was written a moment ago.
    private var identities: [String: String?] = [:]
    private let now: Int

    /// Seconds in which a file can be written twice without another time: more than any file system's clock takes for a tick.
    static let tick = 3

    /// - Parameter now: the time in seconds, by the clock that files' times are of.
    init(now: Int = time(nil)) {
        self.now = now
        guard let list = fopen("/proc/self/maps", "r") else { return }
        defer { fclose(list) }
        var (line, capacity): (UnsafeMutablePointer<CChar>?, Int) = (nil, 0)
        defer { free(line) }
        while getline(&line, &capacity, list) > 0, let line {
            // `start-end access offset device inode path`
            let words = String(cString: line).split(separator: " ", maxSplits: 5, omittingEmptySubsequences: true)
            guard words.count == 6 else { continue }
            let range = words[0].split(separator: "-").compactMap { UInt($0, radix: 16) }
            let path = words[5].drop { $0 == " " }.dropLast()
            guard range.count == 2, let offset = UInt(words[2], radix: 16), let inode = UInt(words[4]), path.hasPrefix("/") else { continue }
            mappings.append(Mapping(start: range[0], end: range[1], offset: offset, inode: inode, path: String(path)))
        }
    }

    /// Which file's bytes a literal's are; nil where they are no file's, or one's that could be written again without another time.
    mutating func identity(of literal: Literal) -> String? {
        guard let address = literal.lastingAddress, let mapping = mapping(of: UInt(bitPattern: address), literal.byteCount) else { return nil }
        if identities[mapping.path] == nil { identities[mapping.path] = .some(Self.identity(mapping, before: now - Self.tick)) }
        return identities[mapping.path]!.map { "\($0) from \(mapping.offset + UInt(bitPattern: address) - mapping.start)" }
    }

    /// The list is in the addresses' order.
    private func mapping(of address: UInt, _ count: Int) -> Mapping? {
        var (low, high) = (0, mappings.count)
        while low < high {
            let middle = (low + high) / 2
            if mappings[middle].end <= address { low = middle + 1 } else { high = middle }
        }
        guard low < mappings.count, mappings[low].start <= address, UInt(count) <= mappings[low].end - address else { return nil }
        return mappings[low]
    }

    /// A file that was written anew has another inode or another time of change, whatever its other times say.
    /// - Parameter limit: the last second in which it may have changed; any where there is none.
    static func identity(_ mapping: Mapping, before limit: Int? = nil) -> String? {
        var status = stat()
        guard stat(mapping.path, &status) == 0, status.st_mode & S_IFMT == S_IFREG, UInt(status.st_ino) == mapping.inode else { return nil }
        if let limit, max(status.st_ctim.tv_sec, status.st_mtim.tv_sec) > limit { return nil }
        return "\(status.st_dev) \(status.st_ino) \(status.st_size) \(status.st_mtim.tv_sec).\(status.st_mtim.tv_nsec) "
            + "\(status.st_ctim.tv_sec).\(status.st_ctim.tv_nsec)"
    }
}
