// Ops whose result at a position depends on their operands' elements at that position alone.

import KilnIR

/// The elementwise ops.
public enum Elementwise {
    /// All of them, table by table.
    public static let all: [OpDefinition] = constants
}
