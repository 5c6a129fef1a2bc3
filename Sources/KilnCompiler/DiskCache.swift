// Machine code that was made before, in files: the text of what it was made of comes in, the code goes out if it is there.
//
//     FOLDER/2f/2f91…   "kiln code 2\n" │ bytes of code │ digest of the code │ code
//
// A file's name is the digest of the text and of the compiler's build. It is written under another name first and appears as a whole, so
// any number of processes may read and write. What is damaged counts as missing.

import KilnIR
import KilnLLVM
#if canImport(Glibc)
import Glibc
#elseif canImport(Musl)
import Musl
#endif

/// A cache in a folder. What can't be written is not kept, and nobody is told: the code is made anew.
public struct DiskCache: CodeCache {
    public let folder: String
    /// The most bytes that all files take together; those that were used last stay.
    public let limit: Int

    private static let magic = Array("kiln code 2\n".utf8)
    private static let headerBytes = magic.count + 8 + 32
    /// Folders in the folder, each with its share of the limit: whoever adds a file looks over one of them.
    private static let shares = 64
    /// Seconds after which a file under its first name was left behind.
    private static let abandoned = 3600

    public init(folder: String, limit: Int = 512 << 20) {
        self.folder = folder
        self.limit = limit
    }

    /// The user's cache; nil where the environment says that there is to be none, or names no place for it.
    public static let standard: DiskCache? = Environment.process.cacheFolder.map { DiskCache(folder: $0) }

    /// The digest that names a text's file; nil where the compiler can't tell its own build, or has no folder.
    private func digest(of key: String) -> [UInt8]? {
        guard !folder.isEmpty, let build = BuildIdentity.text else { return nil }
        var hash = SHA256()
        hash.update("\(build)\n")
        hash.update(key)
        return hash.digest()
    }

    private func share(_ digest: [UInt8]) -> String { "\(folder)/\([digest[0] % UInt8(Self.shares)].hex)" }

    // MARK: Reading

    public func code(for key: String) -> [UInt8]? {
        guard let digest = digest(of: key) else { return nil }
        let path = "\(share(digest))/\(digest.hex)"
        let file = open(path, O_RDONLY | O_CLOEXEC)
        guard file >= 0 else { return nil }
        defer { close(file) }
        guard let code = Self.contents(file).flatMap(Self.undamaged) else {
            unlink(path)
            return nil
        }
        // The time of the last use, whatever the file system makes of reads.
        futimens(file, nil)
        return code
    }

    private static func contents(_ file: Int32) -> [UInt8]? {
        var status = stat()
        guard fstat(file, &status) == 0, status.st_mode & S_IFMT == S_IFREG, status.st_size >= headerBytes else { return nil }
        let size = Int(status.st_size)
        var isWhole = true
        let bytes = [UInt8](unsafeUninitializedCapacity: size) { memory, count in
            while count < size {
                let got = read(file, memory.baseAddress! + count, size - count)
                if got < 0, errno == EINTR { continue }
                guard got > 0 else { break }
                count += got
            }
            isWhole = count == size
        }
        return isWhole ? bytes : nil
    }

    /// The code in a file; nil where anything is not as it was written.
    private static func undamaged(_ bytes: [UInt8]) -> [UInt8]? {
        guard bytes.starts(with: magic) else { return nil }
        let count = (0..<8).reduce(UInt64(0)) { $0 | UInt64(bytes[magic.count + $1]) << UInt64(8 * $1) }
        let code = bytes[headerBytes...]
        guard count == UInt64(code.count), bytes[(magic.count + 8)..<headerBytes].elementsEqual(checksum(code)) else { return nil }
        return Array(code)
    }

    private static func checksum(_ code: ArraySlice<UInt8>) -> [UInt8] { code.withUnsafeBytes { ContentDigest.digest($0) } }

    // MARK: Writing

    public func keep(_ code: [UInt8], for key: String) {
        let size = Self.headerBytes + code.count
        guard size <= limit / Self.shares, let digest = digest(of: key) else { return }
        let share = share(digest)
        guard Self.makeFolder(share) else { return }
        makeRoom(size, in: share)
        let count = (0..<8).map { UInt8(truncatingIfNeeded: UInt64(code.count) >> UInt64(8 * $0)) }
        let bytes = Self.magic + count + Self.checksum(code[...]) + code
        var name = Array("\(share)/.new-XXXXXX".utf8CString)
        let file = mkstemp(&name)
        guard file >= 0 else { return }
        let isWritten = Self.write(bytes, to: file)
        guard close(file) == 0, isWritten, rename(name, "\(share)/\(digest.hex)") == 0 else {
            unlink(name)
            return
        }
    }

    private static func write(_ bytes: [UInt8], to file: Int32) -> Bool {
        var start = 0
        return bytes.withUnsafeBytes { memory in
            while start < memory.count {
                #if canImport(Glibc)
                let put = Glibc.write(file, memory.baseAddress! + start, memory.count - start)
                #else
                let put = Musl.write(file, memory.baseAddress! + start, memory.count - start)
                #endif
                if put < 0, errno == EINTR { continue }
                guard put > 0 else { return false }
                start += put
            }
            return true
        }
    }

    /// Makes a folder and those above it, for the user alone.
    private static func makeFolder(_ path: String) -> Bool {
        if mkdir(path, 0o700) == 0 || errno == EEXIST { return true }
        guard errno == ENOENT, let slash = path.lastIndex(of: "/"), slash != path.startIndex, makeFolder(String(path[..<slash])) else { return false }
        return mkdir(path, 0o700) == 0 || errno == EEXIST
    }

    /// Removes what was used longest ago until as many bytes more are within the share's limit.
    private func makeRoom(_ bytes: Int, in share: String) {
        var files: [(name: String, size: Int, used: Int)] = []
        guard let list = opendir(share) else { return }
        defer { closedir(list) }
        let now = time(nil)
        while let entry = readdir(list) {
            let name = withUnsafeBytes(of: entry.pointee.d_name) { String(decoding: $0.prefix { $0 != 0 }, as: UTF8.self) }
            var status = stat()
            guard fstatat(dirfd(list), name, &status, AT_SYMLINK_NOFOLLOW) == 0, status.st_mode & S_IFMT == S_IFREG else { continue }
            if name.hasPrefix("."), now - status.st_mtim.tv_sec > Self.abandoned { unlinkat(dirfd(list), name, 0) } else {
                files.append((name, Int(status.st_size), status.st_mtim.tv_sec * 1_000_000_000 + status.st_mtim.tv_nsec))
            }
        }
        var total = files.reduce(bytes) { $0 + $1.size }
        guard total > limit / Self.shares else { return }
        for file in files.sorted(by: { ($0.used, $0.name) < ($1.used, $1.name) }) where !file.name.hasPrefix(".") {
            guard total > limit / Self.shares else { return }
            unlinkat(dirfd(list), file.name, 0)
            total -= file.size
        }
    }
}
