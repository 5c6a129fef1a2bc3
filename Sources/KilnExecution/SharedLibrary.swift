// Loads a compiled shared object: a path comes in, the programs that it exports go out as executables.
import KilnIR
import KilnRuntime

#if canImport(Glibc)
import Glibc
#elseif canImport(Musl)
import Musl
#else
import Darwin
#endif

/// A shared object that the compiler wrote. It stays loaded as long as it, or an executable from it, lives.
public final class SharedLibrary: @unchecked Sendable {
    private let handle: UnsafeMutableRawPointer
    public let path: String

    public init(path: String) throws {
        // Without a slash the loader would search its own directories.
        let place = path.contains("/") ? path : "./" + path
        guard let handle = dlopen(place, RTLD_NOW | RTLD_LOCAL) else { throw RuntimeError(loading: Self.reason(path)) }
        self.handle = handle
        self.path = path
    }

    deinit { dlclose(handle) }

    /// The program with the given name: the object exports the function `NAME_info`, which gives the address of its table.
    public func executable(_ name: String) throws -> Executable {
        typealias Info = @convention(c) () -> UnsafeRawPointer?
        guard let info = dlsym(handle, name + "_info"), let table = unsafeBitCast(info, to: Info.self)() else {
            throw RuntimeError(loading: "\(path) has no program named \(name)")
        }
        return try Executable(program: table, owner: self)
    }

    private static func reason(_ path: String) -> String { dlerror().map { String(cString: $0) } ?? path }
}
