// A user's mistake that waits for a reader. Operators can't take their line as an argument, and layers are called without one, so the stack
// is kept when a mistake is made, and is looked up when somebody asks for the error: for the line outside of Kiln, and for what was called there.
import KilnIR

#if os(Linux) && canImport(Runtime)
import Runtime
#endif

/// What poisoned tensors carry; those that were computed from one another share it.
final class Mistake: @unchecked Sendable {
    private let lock = Lock()
    // Used under the lock.
    private var found: any Error
    private var layer: String?
    #if os(Linux) && canImport(Runtime)
    private var stack: CallStack?
    #endif

    init(_ error: any Error) {
        found = error
        #if os(Linux) && canImport(Runtime)
        if let mistake = error as? any LocatedMistake, mistake.isVague { stack = CallStack() }
        #endif
    }

    /// Says in which layer it was made; the innermost one counts.
    func name(layer type: String, path: String) {
        lock.locked { layer = layer ?? (path.isEmpty ? type : "\(path) (\(type))") }
    }

    /// The error, with the innermost line outside of Kiln's own modules, and with what was called there, where debug information tells them.
    var error: any Error {
        lock.locked {
            guard var mistake = found as? any LocatedMistake else { return found }
            #if os(Linux) && canImport(Runtime)
            if let stack {
                let call = UserCall(stack)
                self.stack = nil
                if mistake.hasVagueLine, call.location.isKnown { mistake.location = call.location }
                if let name = call.name { mistake.rename(name) }
            }
            #endif
            if let layer {
                mistake.name(layer: layer)
                self.layer = nil
            }
            found = mistake
            return found
        }
    }
}

/// A mistake that names its line.
protocol LocatedMistake: Error {
    var location: SourceLocation { get set }
    /// Whether it names what a user's call became, and not the call.
    var hasVagueName: Bool { get }
    /// Says what the user called, where the error names what became of it.
    mutating func rename(_ name: String)
    /// Says in which layer of the model it was made.
    mutating func name(layer: String)
}

extension LocatedMistake {
    /// Whether the line is unknown, or is one of Kiln's own.
    var hasVagueLine: Bool { !location.isKnown || location.isWithinKiln }
    var isVague: Bool { hasVagueLine || hasVagueName }
}

extension ShapeError: LocatedMistake {
    var hasVagueName: Bool { OpNames.isInternal(op) }
    mutating func rename(_ name: String) { if hasVagueName { op = name } }
    mutating func name(layer: String) { context = context ?? "in the layer \(layer)" }
}

extension DeviceError: LocatedMistake {
    var hasVagueName: Bool { OpNames.isInternal(op) }
    mutating func rename(_ name: String) { if hasVagueName { op = name } }
    mutating func name(layer: String) {}
}

extension CompileError: LocatedMistake {
    var hasVagueName: Bool { false }
    mutating func rename(_ name: String) {}
    mutating func name(layer: String) {}
}

/// Names of ops that users write otherwise.
private enum OpNames {
    /// Whether no user writes an op by this name: it has parts, as `take_along`, or stands for several spellings.
    static func isInternal(_ name: String) -> Bool { name.contains("_") || others.contains(name) }

    private static let others: Set<String> = ["contract", "full", "broadcast", "window", "dilate", "iota", "literal", "take", "slice", "permute", "pad"]
}

/// The modules whose frames are not the user's.
private enum CallStackModule {
    static let own: Set<Substring> = ["Kiln", "KilnIR", "KilnOps", "KilnPasses"]

    /// The module of a mangled name, such as `$s5Model3runyyF`; nil for thunks and the standard library.
    static func of(_ name: String) -> Substring? {
        guard name.hasPrefix("$s") else { return name == "main" ? "main" : nil }
        let digits = name.dropFirst(2).prefix(while: \.isNumber)
        guard let length = Int(digits), length > 0 else { return nil }
        return name.dropFirst(2 + digits.count).prefix(length)
    }
}

#if os(Linux) && canImport(Runtime)
/// The stack at a mistake. Each frame is kept by itself, because looking up a line takes long in a large program, and one line is wanted.
private struct CallStack {
    let whole: Backtrace?
    let frames: [Backtrace]

    init() {
        let reach = 40
        whole = try? Backtrace.capture(limit: reach, offset: 1, top: 0)
        // The last of a capture's frames stands for those that were left out.
        frames = (1..<reach).compactMap { try? Backtrace.capture(limit: 2, offset: $0, top: 0) }
    }
}

/// The call from the user's code into Kiln, as a stack has it.
private struct UserCall {
    var location = SourceLocation.unknown
    /// What was called: `matmul`, `Linear`.
    var name: String?

    init(_ stack: CallStack) {
        let images = ImageMap.capture()
        guard let frames = stack.whole?.symbolicated(with: images, options: [.useSymbolCache])?.frames else { return }
        for (number, frame) in frames.enumerated() {
            guard let symbol = frame.symbol, let module = CallStackModule.of(symbol.rawName) else { continue }
            if CallStackModule.own.contains(module) {
                if let name = Self.called(symbol.name) { self.name = name }
                continue
            }
            guard number < stack.frames.count else { return }
            let options: Backtrace.SymbolicationOptions = [.showInlineFrames, .showSourceLocations, .useSymbolCache]
            if look(at: stack.frames[number].symbolicated(with: images, options: options)?.frames ?? []) { return }
        }
        name = nil
    }

    /// Looks through the frames that were inlined into one, innermost first.
    private mutating func look(at frames: [SymbolicatedBacktrace.Frame]) -> Bool {
        for frame in frames {
            guard let symbol = frame.symbol, let module = CallStackModule.of(symbol.rawName) else { continue }
            if CallStackModule.own.contains(module) {
                if let name = Self.called(symbol.name) { self.name = name }
                continue
            }
            guard let place = symbol.sourceLocation, place.line > 0, let file = place.path.split(separator: "/").last,
                // A macro's text has no file; whoever wrote the macro is further out.
                !file.hasPrefix("@") else { continue }
            location = SourceLocation(name: "\(module)/\(file)", line: place.line)
            return true
        }
        return false
    }

    /// What a demangled name calls: `matmul` for `specialized Operand.matmul(_:file:line:)`, `Linear` for `Linear.callAsFunction(_:)`;
    /// nil for closures, operators, and what has no name of a user's.
    private static func called(_ symbol: String) -> String? {
        var text = Substring(symbol)
        for prefix in ["specialized ", "static "] where text.hasPrefix(prefix) { text = text.dropFirst(prefix.count) }
        let path = text.prefix { $0 != "(" && $0 != "<" }.split(separator: ".")
        guard let last = path.last, last.allSatisfy({ $0.isLetter || $0.isNumber || $0 == "_" }) else { return nil }
        switch last {
        case "callAsFunction": return path.count > 1 ? String(path[path.count - 2]) : nil
        case "subscript": return "subscript"
        case "init", "getter", "setter", "modify", "read": return text.contains(".subscript.") ? "subscript" : nil
        default: return String(last)
        }
    }
}
#endif
