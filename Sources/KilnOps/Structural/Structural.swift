// The ops that are not elementwise, table by table.

import KilnIR

/// The structural ops.
public enum Structural {
    public static let all: [OpDefinition] = views + windowing + reductions + scans + contractions + attentions + gathers + scatters + indexChecks + sorting + measuring + control + randoms
}
