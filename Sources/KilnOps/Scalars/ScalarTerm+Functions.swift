// The functions that ops' meanings are written with.

import KilnIR

extension ScalarTerm {
    func abs() -> ScalarTerm { dtype.isUnsigned ? self : self(.absolute) }
    func exp() -> ScalarTerm { self(.exp) }
    func log1p() -> ScalarTerm { self(.log1p) }
    func maximum(_ other: ScalarTerm) -> ScalarTerm { self(.maximum, other) }
    func equals(_ other: ScalarTerm) -> ScalarTerm { self(.equal, other) }

    static func + (a: Double, b: ScalarTerm) -> ScalarTerm { b.constant(.real(a)) + b }
    static func - (a: Double, b: ScalarTerm) -> ScalarTerm { b.constant(.real(a)) - b }
    static func * (a: Double, b: ScalarTerm) -> ScalarTerm { b.constant(.real(a)) * b }
    static func / (a: Double, b: ScalarTerm) -> ScalarTerm { b.constant(.real(a)) / b }

    /// This bool's choice between a number and a term.
    func select(_ a: Double, _ b: ScalarTerm) -> ScalarTerm { select(b.constant(.real(a)), b) }
    func select(_ a: ScalarTerm, _ b: Double) -> ScalarTerm { select(a, a.constant(.real(b))) }
}
