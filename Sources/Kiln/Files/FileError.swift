// What can be wrong with a file: its name, the byte where it happened, the problem and what would fix it.

/// A file that can't be read or written.
public struct FileError: Error, CustomStringConvertible, Sendable, Hashable {
    /// The path, with the member's name for a file inside an archive, or `<bytes>`.
    public var file: String
    /// Where in the file; nil where it is the file as a whole.
    public var offset: Int?
    public var problem: String
    public var fix: String

    public init(_ file: String, offset: Int? = nil, _ problem: String, fix: String) {
        self.file = file
        self.offset = offset
        self.problem = problem
        self.fix = fix
    }

    public var description: String { "\(file)\(offset.map { ", byte \($0)" } ?? ""): \(problem)\n  fix: \(fix)" }
}

extension FileError {
    static let again = "get the file again, it is damaged or was cut short"
}
