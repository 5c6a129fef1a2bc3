// A file that is to be written: a path comes in; out goes the part beside it that takes its place when all is written, so that nobody ever
// sees half of it. Only plain files are replaced, and a link's target, not the link.

import Foundation
import KilnIR

/// A file under construction.
public struct OutputFile: Sendable {
    /// What errors call it.
    public let name: String
    /// The file itself, links followed.
    public let path: String
    /// Beside it; what is written here becomes the file.
    public let part: String

    /// - Throws: `CompileError` where there is a folder, a device or a pipe of that name, or nothing can be written there.
    public init(_ name: String) throws {
        self.name = name
        var status = stat()
        let isThere = stat(name, &status) == 0
        if isThere, status.st_mode & S_IFMT == S_IFDIR {
            throw CompileError(name, "is a folder", fix: "name a file in it, such as \(name.hasSuffix("/") ? name : name + "/")model.so")
        }
        guard !isThere || status.st_mode & S_IFMT == S_IFREG else {
            throw CompileError(name, "is a device, a pipe or a socket, and only plain files are replaced", fix: "name a file")
        }
        guard isThere || lstat(name, &status) != 0 else {
            throw CompileError(name, "is a link to nothing", fix: "remove it, or name the file that it should lead to")
        }
        guard !name.isEmpty, !name.hasSuffix("/") else { throw CompileError("'\(name)'", "is no name of a file", fix: "name a file") }
        if isThere, let real = realpath(name, nil) {
            path = String(cString: real)
            free(real)
        } else { path = name }
        let parent = (path as NSString).deletingLastPathComponent
        guard access(parent.isEmpty ? "." : parent, W_OK) == 0 else {
            throw CompileError(name, "the folder \(parent.isEmpty ? "." : parent) is missing or can't be written", fix: "make the folder, or choose another path")
        }
        part = "\(path).\(getpid()).part"
        removeAbandoned(in: parent.isEmpty ? "." : parent)
    }

    /// Whether two names mean one file.
    public func isSame(as other: String) -> Bool {
        var (own, its) = (stat(), stat())
        if stat(path, &own) == 0, stat(other, &its) == 0 { return own.st_dev == its.st_dev && own.st_ino == its.st_ino }
        func absolute(_ path: String) -> String {
            let url = URL(fileURLWithPath: path)
            return url.deletingLastPathComponent().resolvingSymlinksInPath().appending(path: url.lastPathComponent).path
        }
        return absolute(path) == absolute(other)
    }

    /// Makes sure that the part can grow to so many bytes: whoever maps it can't be told later that there is no room.
    func reserve(_ count: Int) throws {
        let descriptor = open(part, O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC, 0o666)
        guard descriptor >= 0 else { throw failure(errno) }
        let error = posix_fallocate(descriptor, 0, off_t(max(count, 1)))
        close(descriptor)
        unlink(part)
        if error != 0, error != EINVAL, error != EOPNOTSUPP { throw failure(error) }
    }

    /// Puts the part in the file's place.
    public func replace() throws {
        guard rename(part, path) == 0 else { throw failure(errno) }
    }

    /// Takes the part away, where it is there.
    public func discard() { unlink(part) }

    private func failure(_ error: Int32) -> CompileError {
        CompileError(name, "can't be written: \(String(cString: strerror(error)))", fix: "make room for it, or choose another path")
    }

    /// Takes away parts of this file whose writers were ended before they could.
    private func removeAbandoned(in folder: String) {
        let prefix = (path as NSString).lastPathComponent + "."
        for entry in (try? FileManager.default.contentsOfDirectory(atPath: folder)) ?? [] where entry.hasPrefix(prefix) && entry.contains(".part") {
            guard let writer = pid_t(entry.dropFirst(prefix.count).prefix { $0 != "." }), writer > 0, writer != getpid(), kill(writer, 0) != 0, errno == ESRCH,
                entry.dropFirst(prefix.count + "\(writer)".count).hasPrefix(".part") else { continue }
            unlink("\(folder)/\(entry)")
        }
    }
}
