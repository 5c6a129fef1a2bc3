// A user's mistake that waits for a reader, with the line that made it: operators and subscripts can't take their line as an argument,
// so the stack is kept when a mistake without a line is made, and is looked up when somebody asks for the error.
import KilnIR

#if os(Linux) && canImport(Runtime)
import Runtime
#endif

/// What poisoned tensors carry; those that were computed from one another share it.
final class Mistake: @unchecked Sendable {
    // Used under the trace's lock.
    private var found: any Error
    #if os(Linux) && canImport(Runtime)
    private var stack: Backtrace?
    #endif

    init(_ error: any Error) {
        found = error
        #if os(Linux) && canImport(Runtime)
        if let mistake = error as? any LocatedMistake, !mistake.location.isKnown { stack = try? Backtrace.capture(limit: 40) }
        #endif
    }

    /// The error, with the innermost line outside Kiln's own modules where debug information tells it.
    var error: any Error {
        Trace.shared.locked {
            #if os(Linux) && canImport(Runtime)
            if let stack, var mistake = found as? any LocatedMistake {
                mistake.location = Self.place(in: stack)
                found = mistake
                self.stack = nil
            }
            #endif
            return found
        }
    }

    #if os(Linux) && canImport(Runtime)
    private static func place(in stack: Backtrace) -> SourceLocation {
        guard let frames = stack.symbolicated(options: [.showInlineFrames, .showSourceLocations, .useSymbolCache])?.frames else { return .unknown }
        for frame in frames {
            guard let symbol = frame.symbol, let place = symbol.sourceLocation, place.line > 0, let module = module(of: symbol.rawName),
                !ownModules.contains(module), let file = place.path.split(separator: "/").last,
                // A macro's text has no file; whoever wrote the macro is further out.
                !file.hasPrefix("@") else { continue }
            return SourceLocation(name: "\(module)/\(file)", line: place.line)
        }
        return .unknown
    }

    private static let ownModules: Set<Substring> = ["Kiln", "KilnIR", "KilnOps", "KilnPasses"]

    /// The module of a mangled name, such as `$s5Model3runyyF`; nil for thunks and the standard library.
    private static func module(of name: String) -> Substring? {
        guard name.hasPrefix("$s") else { return name == "main" ? "main" : nil }
        let digits = name.dropFirst(2).prefix(while: \.isNumber)
        guard let length = Int(digits), length > 0 else { return nil }
        return name.dropFirst(2 + digits.count).prefix(length)
    }
    #endif
}

/// A mistake that names its line.
protocol LocatedMistake: Error {
    var location: SourceLocation { get set }
}

extension ShapeError: LocatedMistake {}
extension DeviceError: LocatedMistake {}
