// A line in the terminal that says how far a loop has come and what it has to tell.

#if canImport(Glibc)
import Glibc
#elseif canImport(Musl)
import Musl
#else
import Darwin
#endif

/// A progress bar on standard output. In a terminal one line is rewritten; elsewhere only the last state is printed.
///
///     epoch 3 ━━━━━━━━━━━━━────── 17/23  loss 0.2143
public final class ProgressBar {
    private let title: String
    private let total: Int
    private var done = 0
    private var message = ""
    private let isTerminal = isatty(STDOUT_FILENO) != 0
    private let width = 24
    private let start = ContinuousClock().now
    private var lastShown: ContinuousClock.Instant?

    public init(_ title: String, total: Int) {
        self.title = title
        self.total = max(total, 1)
    }

    /// One step further.
    public func advance(_ message: String = "") {
        done = min(done + 1, total)
        self.message = message
        guard isTerminal, done < total else { return }
        let now = ContinuousClock().now
        if let lastShown, now - lastShown < .milliseconds(50) { return }
        lastShown = now
        write("\r" + line + "\u{1B}[K")
    }

    /// Ends the line.
    public func finish(_ message: String? = nil) {
        if let message { self.message = message }
        let seconds = (ContinuousClock().now - start).components
        let tenths = seconds.seconds * 10 + seconds.attoseconds / 100_000_000_000_000_000
        write((isTerminal ? "\r" : "") + line + "  \(tenths / 10).\(tenths % 10) s" + (isTerminal ? "\u{1B}[K\n" : "\n"))
    }

    /// The bar as text.
    var line: String {
        let filled = width * done / total
        let bar = String(repeating: "━", count: filled) + String(repeating: "─", count: width - filled)
        return "\(title) \(bar) \(done)/\(total)" + (message.isEmpty ? "" : "  " + message)
    }

    private func write(_ text: String) {
        print(text, terminator: "")
        fflush(nil)
    }
}
