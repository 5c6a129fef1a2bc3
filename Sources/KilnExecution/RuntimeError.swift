// The runtime's failures as a Swift error: a status code of the C runtime comes in, with its message an error goes out.
import KilnRuntime

/// A call of the runtime that failed.
public struct RuntimeError: Error, CustomStringConvertible, Sendable {
    /// The code in `kiln_status`.
    public let status: Int
    /// The status as a word, such as "wrong shape".
    public let name: String
    public let message: String

    init(_ status: kiln_status, message: String? = nil) {
        self.status = Int(status.rawValue)
        name = String(cString: kiln_status_name(status))
        self.message = message ?? String(cString: kiln_last_error())
    }

    init(loading message: String) {
        status = -1
        name = "cannot load"
        self.message = message
    }

    /// What the emulated grid saw a kernel do wrong.
    init(finding message: String) {
        status = Int(KILN_DEVICE_FAILED.rawValue)
        name = "the emulated grid"
        self.message = message
    }

    public var description: String { "\(name): \(message)" }

    static func check(_ status: kiln_status) throws {
        if status != KILN_OK { throw RuntimeError(status) }
    }
}
