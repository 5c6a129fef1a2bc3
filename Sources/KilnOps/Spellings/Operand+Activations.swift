// Elementwise functions that are made of others; fusion makes one kernel of each.

import Foundation
import KilnIR

extension Operand {
    /// The Gaussian error linear unit, `x * Φ(x)`; with `tanh`, the approximation that GPT-2 made common.
    /// (D. Hendrycks and K. Gimpel, "Gaussian Error Linear Units", 2016.)
    public func gelu(tanh isApproximate: Bool = false, file: StaticString = #fileID, line: UInt = #line) -> Self {
        if isApproximate {
            let inner = (self + self * self * self * 0.044715) * (2 / Double.pi).squareRoot()
            return self * 0.5 * (inner.tanh(file: file, line: line) + 1)
        }
        return self * 0.5 * ((self * 0.5.squareRoot()).erf(file: file, line: line) + 1)
    }

    /// `x * sigmoid(x)`.
    public func silu(file: StaticString = #fileID, line: UInt = #line) -> Self { self * sigmoid(file: file, line: line) }

    /// `x * tanh(softplus(x))`.
    public func mish(file: StaticString = #fileID, line: UInt = #line) -> Self {
        self * softplus(file: file, line: line).tanh(file: file, line: line)
    }

    /// `log(sigmoid(x))`, without overflow.
    public func logSigmoid(file: StaticString = #fileID, line: UInt = #line) -> Self { -(-self).softplus(file: file, line: line) }

    /// `x` where it is positive, `slope * x` elsewhere.
    public func leakyRelu(_ slope: Double = 0.01, file: StaticString = #fileID, line: UInt = #line) -> Self {
        (self .> 0).select(self, self * slope, file: file, line: line)
    }

    /// `x` where it is positive, `alpha * (exp(x) - 1)` elsewhere.
    public func elu(_ alpha: Double = 1, file: StaticString = #fileID, line: UInt = #line) -> Self {
        // The exponential never sees what would overflow, so that no infinity meets a zero in the gradient.
        let isPositive = self .> 0
        let below = isPositive.select(0, self, file: file, line: line).expm1(file: file, line: line)
        return isPositive.select(self, alpha == 1 ? below : below * alpha, file: file, line: line)
    }

    /// `x` kept between two numbers. The gradient flows where `low <= x <= high`.
    public func hardtanh(_ low: Double = -1, _ high: Double = 1, file: StaticString = #fileID, line: UInt = #line) -> Self {
        clamp(low, high, file: file, line: line)
    }

    /// `x` kept at or above `low` and at or below `high`; NaN stays. The gradient flows where nothing was changed.
    public func clamp(_ low: (some ScalarConvertible)?, _ high: (some ScalarConvertible)?, file: StaticString = #fileID,
                      line: UInt = #line) -> Self {
        var result = self
        if let low { result = (result .< low).select(low, result, file: file, line: line) }
        if let high { result = (result .> high).select(high, result, file: file, line: line) }
        return result
    }

    /// `x` at or above `low`.
    public func clamp(min low: some ScalarConvertible, file: StaticString = #fileID, line: UInt = #line) -> Self {
        (self .< low).select(low, self, file: file, line: line)
    }

    /// `x` at or below `high`.
    public func clamp(max high: some ScalarConvertible, file: StaticString = #fileID, line: UInt = #line) -> Self {
        (self .> high).select(high, self, file: file, line: line)
    }

    /// `self + weight * (end - self)`.
    public func lerp(_ end: Self, _ weight: Self) -> Self { self + weight * (end - self) }
    public func lerp(_ end: Self, _ weight: some ScalarConvertible) -> Self { self + (end - self) * weight }

    /// Where `|a - b| <= absolute + relative * |b|`, or both are equal (infinities, say), or, on demand, both are NaN.
    public func isClose(_ other: Self, relative: Double = 1e-5, absolute: Double = 1e-8, equalNaN: Bool = false,
                        file: StaticString = #fileID, line: UInt = #line) -> Self {
        let a = dtype.isFloat ? self : cast(to: .f64, file: file, line: line)
        let b = other.dtype.isFloat ? other : other.cast(to: .f64, file: file, line: line)
        let isNear = (a - b).abs(file: file, line: line) .<= b.abs(file: file, line: line) * relative + absolute
        let close = (a .== b) | (isNear & b.isFinite(file: file, line: line))
        return equalNaN ? close | (a.isNaN(file: file, line: line) & b.isNaN(file: file, line: line)) : close
    }
}
