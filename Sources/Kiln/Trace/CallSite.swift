// The line of the user's that made a mistake, for operators and subscripts, which can't take it as an argument.
// The stack at the time of the mistake comes in; the innermost frame outside Kiln goes out, where debug information tells it.
import KilnIR

#if os(Linux) && canImport(Runtime)
import Runtime
#endif

/// Finds lines on the stack.
enum CallSite {
    /// The innermost line outside Kiln's own modules; unknown where the program has no debug information. Takes about ten milliseconds.
    static func find() -> SourceLocation {
        #if os(Linux) && canImport(Runtime)
        guard let stack = try? Backtrace.capture(limit: 40).symbolicated(options: [.showInlineFrames, .showSourceLocations]) else { return .unknown }
        for frame in stack.frames {
            guard let symbol = frame.symbol, let place = symbol.sourceLocation, place.line > 0, let module = module(of: symbol.rawName),
                !own.contains(module), let file = place.path.split(separator: "/").last else { continue }
            return SourceLocation(name: "\(module)/\(file)", line: place.line)
        }
        #endif
        return .unknown
    }

    /// An error that says where it was made, if that can be found.
    static func locating(_ error: any Error) -> any Error {
        guard var mistake = error as? ShapeError, !mistake.location.isKnown else { return error }
        mistake.location = find()
        return mistake
    }

    private static let own: Set<Substring> = ["Kiln", "KilnIR", "KilnOps", "KilnPasses", "Swift"]

    /// The module of a mangled name, such as `$s5Model3runyyF`; nil for thunks and the standard library.
    private static func module(of name: String) -> Substring? {
        guard name.hasPrefix("$s") else { return name == "main" ? "main" : nil }
        let digits = name.dropFirst(2).prefix(while: \.isNumber)
        guard let length = Int(digits), length > 0 else { return nil }
        return name.dropFirst(2 + digits.count).prefix(length)
    }
}
