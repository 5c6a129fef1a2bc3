// Local simplification: a graph comes in, one whose operations no rule applies to goes out, without what the rules left unused.
// The rules stand in Rules/, group by group.

import KilnIR
import KilnOps

/// The pass that rewrites by rules until none applies.
public struct Simplify: Sendable {
    private let driver: RewriteDriver

    /// - Parameter fastMath: whether rules count that hold for real numbers only.
    public init(fastMath: Bool = false) { driver = fastMath ? Self.fast : Self.exact }

    public func apply(to graph: Graph) throws -> Graph { try DeadCode.apply(to: driver.apply(to: graph)) }

    /// All rules.
    public static let rules: [Rule] =
        Rules.constants + Rules.arithmetic + Rules.floats + Rules.roundings + Rules.integers + Rules.logic + Rules.comparisons
        + Rules.choices + Rules.casts + Rules.identityViews + Rules.viewsOfViews + Rules.ranges + Rules.reductions + Rules.contractions
        + Rules.controls + Rules.reals

    private static let exact = RewriteDriver(rules.filter { $0.tag == .exact })
    private static let fast = RewriteDriver(rules)
}
