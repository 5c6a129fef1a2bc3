// Roots, reciprocals, and rounding to integral values.

import Foundation
import KilnIR

extension Elementwise {
    static let algebraic = [sqrt, rsqrt, reciprocal, floor, ceil, round, trunc]
}

extension Elementwise {
    public static let sqrt = unary("sqrt", domains: 0.5...3, meaning: { $0(.squareRoot) }, real: { $0.squareRoot() },
                                   derivative: { _, y in 0.5 / y })
}
extension Operand {
    public func sqrt(file: StaticString = #fileID, line: UInt = #line) -> Self { applying(Elementwise.sqrt, file, line) }
}

extension Elementwise {
    public static let rsqrt = unary("rsqrt", ulp: 0.51, domains: 0.5...3, meaning: { $0(.reciprocalSquareRoot) }, real: { 1 / $0.squareRoot() },
                                    derivative: { _, y in y * y * y * -0.5 })
}
extension Operand {
    public func rsqrt(file: StaticString = #fileID, line: UInt = #line) -> Self { applying(Elementwise.rsqrt, file, line) }
}

extension Elementwise {
    public static let reciprocal = unary("reciprocal", domains: 0.5...2, -2 ... -0.5, meaning: { 1 / $0 }, real: { 1 / $0 },
                                         derivative: { _, y in -(y * y) })
}
extension Operand {
    public func reciprocal(file: StaticString = #fileID, line: UInt = #line) -> Self { applying(Elementwise.reciprocal, file, line) }
}

extension Elementwise {
    public static let floor = unary("floor", domains: 0.1...0.9, -1.9 ... -1.1, meaning: { $0(.floor) }, real: { Foundation.floor($0) })
}
extension Operand {
    public func floor(file: StaticString = #fileID, line: UInt = #line) -> Self { applying(Elementwise.floor, file, line) }
}

extension Elementwise {
    public static let ceil = unary("ceil", domains: 0.1...0.9, -1.9 ... -1.1, meaning: { $0(.ceil) }, real: { Foundation.ceil($0) })
}
extension Operand {
    public func ceil(file: StaticString = #fileID, line: UInt = #line) -> Self { applying(Elementwise.ceil, file, line) }
}

extension Elementwise {
    /// The nearest integral value, ties to even.
    public static let round = unary("round", domains: -0.4...0.4, 0.6...1.4, meaning: { $0(.round) }, real: { Foundation.rint($0) })
}
extension Operand {
    public func round(file: StaticString = #fileID, line: UInt = #line) -> Self { applying(Elementwise.round, file, line) }
}

extension Elementwise {
    public static let trunc = unary("trunc", domains: -0.9...0.9, 1.1...1.9, meaning: { $0(.truncate) }, real: { Foundation.trunc($0) })
}
extension Operand {
    public func trunc(file: StaticString = #fileID, line: UInt = #line) -> Self { applying(Elementwise.trunc, file, line) }
}
