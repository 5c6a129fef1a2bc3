// What the command prints: text comes in, bytes on standard output go out, or the error why they could not be written.

import Glibc
import Kiln

enum StandardOutput {
    /// Writes a text and an end to it. Throws `FileError` where the output is closed or has no room.
    static func put(_ text: String, terminator: String = "\n") throws {
        let bytes = Array((text + terminator).utf8)
        var written = 0
        while written < bytes.count {
            let count = bytes.withUnsafeBytes { write(STDOUT_FILENO, $0.baseAddress! + written, bytes.count - written) }
            if count < 0, errno == EINTR { continue }
            guard count > 0 else {
                throw FileError("standard output", "can't be written: \(String(cString: strerror(errno)))", fix: "lead it to a file or a program that takes it")
            }
            written += count
        }
    }

    /// Makes sure that no file that is opened later takes the place of a standard stream that is closed: what is meant for it must fail.
    static func reserveStreams() {
        for (descriptor, mode) in [(STDIN_FILENO, O_WRONLY), (STDOUT_FILENO, O_RDONLY), (STDERR_FILENO, O_WRONLY)] where fcntl(descriptor, F_GETFD) == -1 {
            _ = open("/dev/null", mode)
        }
    }
}
