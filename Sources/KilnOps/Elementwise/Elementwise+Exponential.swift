// Exponentials and logarithms.

import Foundation
import KilnIR

extension Elementwise {
    static let exponential = [exp, exp2, expm1, log, log2, log1p]
}

extension Elementwise {
    public static let exp = unary("exp", ulp: 0.9, meaning: { $0(.exp) }, real: { Foundation.exp($0) },
        derivative: { _, y in y })
}
extension Operand {
    public func exp(file: StaticString = #fileID, line: UInt = #line) -> Self { applying(Elementwise.exp, file, line) }
}

extension Elementwise {
    public static let exp2 = unary("exp2", ulp: 0.95, meaning: { $0(.exp2) }, real: { Foundation.exp2($0) },
        derivative: { _, y in y * M_LN2 })
}
extension Operand {
    public func exp2(file: StaticString = #fileID, line: UInt = #line) -> Self { applying(Elementwise.exp2, file, line) }
}

extension Elementwise {
    /// `exp(x) - 1`, accurate near 0.
    public static let expm1 = unary("expm1", ulp: 1.2, meaning: { $0(.expm1) }, real: { Foundation.expm1($0) },
        derivative: { _, y in y + 1 })
}
extension Operand {
    public func expm1(file: StaticString = #fileID, line: UInt = #line) -> Self { applying(Elementwise.expm1, file, line) }
}

extension Elementwise {
    public static let log = unary("log", ulp: 0.95, domains: 0.5...3, meaning: { $0(.log) }, real: { Foundation.log($0) },
        derivative: { x, _ in x.reciprocal() })
}
extension Operand {
    public func log(file: StaticString = #fileID, line: UInt = #line) -> Self { applying(Elementwise.log, file, line) }
}

extension Elementwise {
    public static let log2 = unary("log2", ulp: 1.5, domains: 0.5...3, meaning: { $0(.log2) }, real: { Foundation.log2($0) },
        derivative: { x, _ in (x * M_LN2).reciprocal() })
}
extension Operand {
    public func log2(file: StaticString = #fileID, line: UInt = #line) -> Self { applying(Elementwise.log2, file, line) }
}

extension Elementwise {
    /// `log(1 + x)`, accurate near 0.
    public static let log1p = unary("log1p", ulp: 1.55, domains: -0.5...2, meaning: { $0(.log1p) }, real: { Foundation.log1p($0) },
        derivative: { x, _ in (x + 1).reciprocal() })
}
extension Operand {
    public func log1p(file: StaticString = #fileID, line: UInt = #line) -> Self { applying(Elementwise.log1p, file, line) }
}
