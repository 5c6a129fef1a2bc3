// Functions that networks bend their signals with. Those that are made of others are in Operand+Activations.swift.

import Foundation
import KilnIR

extension Elementwise {
    static let activations = [relu, sigmoid, softplus, softsign, erf]
}

extension Elementwise {
    /// The greater of x and 0; NaN stays.
    public static let relu = unary(
        "relu", DType.numbers, domains: 0.5...2, -2 ... -0.5, meaning: { x in x.maximum(x.constant(0)) },
        real: { $0.isNaN ? $0 : $0 > 0 ? $0 : 0 }, whole: { Swift.max($0, 0) }, partial: { x, _ in .where(x .> 0) })
}
extension Operand {
    public func relu(file: StaticString = #fileID, line: UInt = #line) -> Self { applying(Elementwise.relu, file, line) }
}

extension Elementwise {
    /// `1 / (1 + exp(-x))`. The exponential is taken of what is not positive, so it can't overflow.
    public static let sigmoid = unary(
        "sigmoid", ulp: 4, domains: -4...4,
        meaning: { x in
            let e = (-x.abs()).exp()
            return (x < 0).select(e, 1) / (1 + e)
        },
        real: { 1 / (1 + Foundation.exp(-$0)) }, derivative: { _, y in y * (1 - y) })
}
extension Operand {
    public func sigmoid(file: StaticString = #fileID, line: UInt = #line) -> Self { applying(Elementwise.sigmoid, file, line) }
}

extension Elementwise {
    /// `log(1 + exp(x))`, without overflow.
    public static let softplus = unary(
        "softplus", ulp: 4, domains: -4...4, meaning: { x in x.maximum(x.constant(0)) + (-x.abs()).exp().log1p() },
        real: { $0 > 40 ? $0 : Foundation.log1p(Foundation.exp($0)) }, derivative: { x, _ in x.sigmoid() })
}
extension Operand {
    public func softplus(file: StaticString = #fileID, line: UInt = #line) -> Self { applying(Elementwise.softplus, file, line) }
}

extension Elementwise {
    /// `x / (1 + |x|)`. Two roundings of half a unit each.
    public static let softsign = unary(
        "softsign", ulp: 1.5, domains: 0.25...4, -4 ... -0.25, meaning: { x in x / (x.abs() + 1) }, real: { $0 / (1 + Swift.abs($0)) },
        derivative: { x, _ in (1 + x.abs()).square().reciprocal() })
}
extension Operand {
    public func softsign(file: StaticString = #fileID, line: UInt = #line) -> Self { applying(Elementwise.softsign, file, line) }
}

extension Elementwise {
    /// The error function.
    public static let erf = unary("erf", ulp: 1.3, meaning: { $0(.erf) }, real: { Foundation.erf($0) },
                                  derivative: { x, _ in (-(x * x)).exp() * M_2_SQRTPI })
}
extension Operand {
    public func erf(file: StaticString = #fileID, line: UInt = #line) -> Self { applying(Elementwise.erf, file, line) }
}
