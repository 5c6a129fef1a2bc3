// The dtype in which two meet: two dtypes come in, the one that holds both goes out, as PyTorch promotes them.

extension DType {
    /// The dtype in which two dtypes meet.
    ///
    /// | | bool | signed | unsigned | float |
    /// |---|---|---|---|---|
    /// | **bool** | bool | the other | the other | the other |
    /// | **signed** | | the wider | the least signed that holds both | the float |
    /// | **unsigned** | | | the wider | the float |
    /// | **float** | | | | the wider; of equal width, f32 |
    ///
    /// A u64 and a signed integer have none, and nil is returned.
    public static func promotion(_ a: DType, _ b: DType) -> DType? {
        if a == b { return a }
        switch (a.kind, b.kind) {
        case (_, .bool): return a
        case (.bool, _): return b
        case (.float, .float): return a.bitWidth == b.bitWidth ? .f32 : wider(a, b)
        case (.float, _): return a
        case (_, .float): return b
        case (.signed, .signed), (.unsigned, .unsigned): return wider(a, b)
        case (.signed, .unsigned): return signed(holding: b, atLeast: a)
        case (.unsigned, .signed): return signed(holding: a, atLeast: b)
        }
    }

    private static func wider(_ a: DType, _ b: DType) -> DType { a.bitWidth > b.bitWidth ? a : b }

    private static func signed(holding unsigned: DType, atLeast least: DType) -> DType? {
        allCases.filter { $0.kind == .signed && $0.bitWidth > unsigned.bitWidth && $0.bitWidth >= least.bitWidth }.min { $0.bitWidth < $1.bitWidth }
    }
}

extension DType.Kind {
    /// Bools below integers below floats: what a number of Swift's, or a tensor of rank 0, must be above to change a tensor's dtype.
    package var rank: Int {
        switch self {
        case .bool: 0
        case .signed, .unsigned: 1
        case .float: 2
        }
    }
}
