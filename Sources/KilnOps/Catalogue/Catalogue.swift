// Every op there is, by name: the one list that the parser, the passes, the tests and the documentation read.
// It is the concatenation of the tables beside the declarations, so an op is added where it is declared and nowhere else.

import KilnIR

/// The ops of Kiln.
public enum Catalogue {
    /// All ops, in the order of their tables.
    public static let all: [OpDefinition] = Elementwise.all + Structural.all + Structural.calls

    private static let byName = Dictionary(all.map { ($0.name, $0) }, uniquingKeysWith: { first, _ in first })

    /// The op with the given name in text.
    public static func op(named name: String) -> OpDefinition? { byName[name] }

    /// The ops with which constants are recorded.
    public static let constants = ConstantOps(literal: Elementwise.literal, full: Elementwise.full)
}
