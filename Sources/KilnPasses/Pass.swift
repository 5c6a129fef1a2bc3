// Passes by name: functions from graphs to graphs, for the pipeline, the command line and the tests.

import KilnIR

/// A pass: a named function from graphs to graphs that compute the same, or (for `differentiate`) more.
public struct Pass: Sendable {
    public var name: String
    /// What it does, in one line.
    public var summary: String
    public var run: @Sendable (Graph) throws -> Graph

    public init(_ name: String, _ summary: String, _ run: @escaping @Sendable (Graph) throws -> Graph) {
        self.name = name
        self.summary = summary
        self.run = run
    }
}

/// The passes of this layer.
public enum Passes {
    public static let commonSubexpressions = Pass("common-subexpressions", "merges operations that compute the same", CommonSubexpressions.apply(to:))
    public static let simplify = Pass("simplify", "rewrites by rules that keep every bit", { try Simplify().apply(to: $0) })
    public static let simplifyFast = Pass("simplify-fast", "rewrites by rules that hold for real numbers", { try Simplify(fastMath: true).apply(to: $0) })
    public static let findAttention = Pass("find-attention", "makes one op of attention that is written out", FindAttention.apply(to:))
    public static let deadCode = Pass("dead-code", "drops what no output depends on", DeadCode.apply(to:))
    public static let inlineCalls = Pass("inline-calls", "puts the bodies of calls in their place", InlineCalls.apply(to:))
    public static let differentiate = Pass("differentiate", "adds the gradients of the first output's sum with respect to the float inputs",
                                           Differentiate.apply(to:))
    public static let fuse = Pass("fuse", "groups operations into kernels", Fuse.run)

    public static let all = [commonSubexpressions, simplify, simplifyFast, findAttention, deadCode, inlineCalls, differentiate, fuse]

    /// The pass with the given name.
    public static func named(_ name: String) -> Pass? { all.first { $0.name == name } }

    /// The passes of a list such as `simplify,dead-code`. Throws the user's error.
    public static func named(list: String) throws -> [Pass] {
        try list.split(separator: ",").map { part in
            let name = part.trimmingPrefix(while: \.isWhitespace)
            guard let pass = named(String(name)) else {
                throw CompileError("passes", "there is no pass `\(name)`", fix: "choose from \(all.map(\.name).joined(separator: ", "))")
            }
            return pass
        }
    }
}
