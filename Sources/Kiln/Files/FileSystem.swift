// Files of the operating system: a path comes in, its bytes go out, read whole or mapped; and the other way round.
// Writing replaces a file in one step, so that nobody ever sees half of it.

import KilnIR

#if canImport(Glibc)
import Glibc
#elseif canImport(Musl)
import Musl
#else
import Darwin
#endif

/// Reading and writing whole files.
public enum FileSystem {
    /// A file's bytes. Pipes are read to their end.
    public static func contents(of path: String) throws -> [UInt8] {
        let (descriptor, size) = try open(path)
        defer { close(descriptor) }
        var contents: [UInt8] = []
        contents.reserveCapacity(size)
        while true {
            let piece = try [UInt8](unsafeUninitializedCapacity: max(size - contents.count, 1 << 16)) { buffer, count in
                let got = readSome(descriptor, buffer)
                guard got >= 0 else { throw failure(path, "can't be read") }
                count = got
            }
            if piece.isEmpty { return contents }
            guard contents.count < Self.longestPipe || size > 0 else { throw FileError(path, "goes on for more than \(Self.longestPipe >> 20) MiB", fix: "give a file that ends") }
            if contents.isEmpty { contents = piece } else { contents += piece }
        }
    }

    /// Writes a file, replacing one that is there only when all bytes are written.
    public static func write(_ bytes: [UInt8], to path: String) throws {
        var status = stat()
        // What is no plain file, such as /dev/stdout, is written in place.
        let isThere = stat(path, &status) == 0, isSpecial = isThere && status.st_mode & S_IFMT != S_IFREG
        // A link stays one: its target is replaced.
        let destination = isThere && !isSpecial ? target(of: path) : path
        let place = isSpecial ? path : "\(destination).\(getpid()).part"
        let descriptor = creat(place, 0o666)
        guard descriptor >= 0 else { throw failure(path, "can't be written") }
        var written = 0
        while written < bytes.count {
            let count = bytes.withUnsafeBytes { writeSome(descriptor, UnsafeRawBufferPointer(rebasing: $0[written...])) }
            guard count > 0 else {
                let error = failure(path, "can't be written")
                close(descriptor)
                if !isSpecial { unlink(place) }
                throw error
            }
            written += count
        }
        guard close(descriptor) == 0, isSpecial || rename(place, destination) == 0 else {
            let error = failure(path, "can't be written")
            if !isSpecial { unlink(place) }
            throw error
        }
    }

    /// A file's bytes, mapped into memory and read when they are looked at. Whoever shortens or changes the file meanwhile breaks it; one
    /// that is replaced stays what it was. What can't be mapped, such as a pipe, is read.
    public static func map(_ path: String) throws -> ByteRegion {
        let (descriptor, size) = try open(path)
        defer { close(descriptor) }
        guard size > 0 else { return ByteRegion(copying: try contents(of: path)) }
        guard let base = mmap(nil, size, PROT_READ, MAP_PRIVATE, descriptor, 0), base != MAP_FAILED else { throw failure(path, "can't be mapped") }
        return ByteRegion(UnsafeRawBufferPointer(start: base, count: size), owner: Mapping(base, size), forget: forgetPages)
    }

    /// Whether two paths lead to one file that is there.
    public static func areSame(_ a: String, _ b: String) -> Bool {
        var (first, second) = (stat(), stat())
        return stat(a, &first) == 0 && stat(b, &second) == 0 && first.st_mode & S_IFMT == S_IFREG && first.st_dev == second.st_dev && first.st_ino == second.st_ino
    }

    /// How much is read of what has no size of its own.
    private static let longestPipe = 1 << 30

    /// The file that a path leads to, links followed.
    private static func target(of path: String) -> String {
        guard let real = realpath(path, nil) else { return path }
        defer { free(real) }
        return String(cString: real)
    }

    /// Opens a file for reading; the size is 0 for what has none, such as a pipe.
    private static func open(_ path: String) throws -> (descriptor: Int32, size: Int) {
        let descriptor = openForReading(path)
        guard descriptor >= 0 else { throw failure(path, "can't be opened") }
        var status = stat()
        guard fstat(descriptor, &status) == 0, status.st_mode & S_IFMT != S_IFDIR else {
            close(descriptor)
            throw FileError(path, "is a directory", fix: "name a file")
        }
        // Devices have no end, but for the null device; a terminal has one when its user says so.
        var nothing = stat()
        let isNull = stat("/dev/null", &nothing) == 0 && nothing.st_rdev == status.st_rdev
        guard ![S_IFCHR, S_IFBLK].contains(status.st_mode & S_IFMT) || isNull || isatty(descriptor) == 1 else {
            close(descriptor)
            throw FileError(path, "is a device", fix: "name a file")
        }
        return (descriptor, status.st_mode & S_IFMT == S_IFREG ? Int(status.st_size) : 0)
    }

    private static func failure(_ path: String, _ what: String) -> FileError {
        let reason = String(cString: strerror(errno))
        return FileError(path, "\(what): \(reason)", fix: "check the path and its permissions")
    }
}

// Outside of the type, where the C library's names are not hidden by its own.
private func openForReading(_ path: String) -> Int32 { open(path, O_RDONLY | O_CLOEXEC) }
private func readSome(_ descriptor: Int32, _ buffer: UnsafeMutableBufferPointer<UInt8>) -> Int {
    read(descriptor, buffer.baseAddress, buffer.count)
}
private func writeSome(_ descriptor: Int32, _ bytes: UnsafeRawBufferPointer) -> Int { write(descriptor, bytes.baseAddress, bytes.count) }

/// Lets the pages go that lie within some bytes of a mapped file, which has them still.
private func forgetPages(_ bytes: UnsafeRawBufferPointer) {
    let page = UInt(sysconf(Int32(_SC_PAGESIZE)))
    let start = (UInt(bitPattern: bytes.baseAddress) + page - 1) / page * page
    let end = (UInt(bitPattern: bytes.baseAddress) + UInt(bytes.count)) / page * page
    if start < end { madvise(UnsafeMutableRawPointer(bitPattern: start), Int(end - start), MADV_DONTNEED) }
}

/// Mapped memory, until it is let go.
private final class Mapping: Sendable {
    private let address: UInt
    private let count: Int

    init(_ base: UnsafeMutableRawPointer, _ count: Int) { (address, self.count) = (UInt(bitPattern: base), count) }

    deinit { munmap(UnsafeMutableRawPointer(bitPattern: address), count) }
}
