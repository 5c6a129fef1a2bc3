// The errors of the compiler: the user's mistakes (ShapeError, CompileError, ParseError) and our own (InternalError).

/// A user's mistake in applying an operation: wrong shapes, dtypes or attributes.
public struct ShapeError: Error, CustomStringConvertible, Sendable {
    public var op: String
    /// What is wrong, in one sentence.
    public var problem: String
    public var operands: [TensorType]
    public var location: SourceLocation
    /// What would fix it, in one sentence.
    public var fix: String
    /// Where in a model, such as `in the layer blocks.3.query (Linear)`.
    public var context: String?
    /// Two sizes that should be equal and, as far as their symbols say, may be; nil where the mistake is another.
    public var unequal: (Dim, Dim)?
    /// Whether a value would take more memory than can be held, which is all that is wrong.
    public var isTooLarge: Bool

    public init(op: String, _ problem: String, operands: [TensorType] = [], at location: SourceLocation = .unknown, fix: String,
                unequal: (Dim, Dim)? = nil, isTooLarge: Bool = false) {
        self.op = op
        self.problem = problem
        self.operands = operands
        self.location = location
        self.fix = fix
        self.unequal = unequal
        self.isTooLarge = isTooLarge
    }

    public var description: String {
        var lines = ["\(op): \(problem)"]
        for (number, type) in operands.enumerated().prefix(8) { lines.append("  operand \(number): \(type)") }
        if operands.count > 8 { lines.append("  … and \(operands.count - 8) more") }
        if let context { lines.append("  \(context)") }
        if location.isKnown { lines.append("  at \(location)") }
        lines.append("  fix: \(fix)")
        return lines.joined(separator: "\n")
    }
}

/// A user's mistake found outside a single operation: a missing file, an option that does not exist, a graph that can't be compiled.
public struct CompileError: Error, CustomStringConvertible, Sendable {
    public var subject: String
    public var problem: String
    public var location: SourceLocation
    public var fix: String

    public init(_ subject: String, _ problem: String, at location: SourceLocation = .unknown, fix: String) {
        self.subject = subject
        self.problem = problem
        self.location = location
        self.fix = fix
    }

    public var description: String {
        "\(subject): \(problem)" + (location.isKnown ? "\n  at \(location)" : "") + "\n  fix: \(fix)"
    }
}

/// A mistake of Kiln's own: the pass that made it, and the IR around it.
public struct InternalError: Error, CustomStringConvertible, Sendable {
    public var pass: String
    public var problem: String
    public var context: String

    public init(_ pass: String, _ problem: String, context: String = "") {
        self.pass = pass
        self.problem = problem
        self.context = context
    }

    public var description: String {
        "internal error in \(pass): \(problem)\(context.isEmpty ? "" : "\n" + context)\n  This is a fault of Kiln's, not of your program."
    }
}
