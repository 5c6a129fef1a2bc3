// What the environment says of compilation. It is read here, once, and nowhere else.

#if canImport(Glibc)
import Glibc
#elseif canImport(Musl)
import Musl
#endif

/// The environment's variables that concern the compiler.
struct Environment: Sendable {
    /// Where compiled code is kept; nil for nowhere. `KILN_CACHE` is a folder, or `off`; if it is not set, the folder is `kiln` in
    /// `XDG_CACHE_HOME`, or else in `.cache` of `HOME`.
    let cacheFolder: String?

    /// The process's, as it was when it was first asked for.
    static let process = Environment { name in getenv(name).map { String(cString: $0) } }

    init(_ variable: (String) -> String?) {
        func path(_ name: String) -> String? { variable(name).flatMap { $0.hasPrefix("/") ? $0 : nil } }
        cacheFolder = switch variable("KILN_CACHE") {
        case "off": nil
        case let folder? where !folder.isEmpty: folder
        default: (path("XDG_CACHE_HOME") ?? path("HOME").map { "\($0)/.cache" }).map { "\($0)/kiln" }
        }
    }
}
