// Which element is nearest to each result of a resampled axis, by integers alone: an axis's sizes or its exact scale come in, indices go
// out. A position is a fraction of whole numbers, so that one that is whole, or lies between two elements, is seen as what it is.

import KilnIR
import KilnOps

/// Results for each element of an axis.
struct ResamplingScale {
    let value: Double
    /// The same as a fraction in lowest terms; nil where its numbers are too large to be computed with.
    let ratio: (numerator: Int, denominator: Int)?

    /// A float, which is a whole number over a power of two.
    init(_ value: Double) {
        var numerator = value, denominator = 1
        while numerator != numerator.rounded(), denominator < 1 << 40 {
            numerator *= 2
            denominator *= 2
        }
        self.value = value
        ratio = numerator == numerator.rounded() && numerator < 0x1p40 ? (Int(numerator), denominator) : nil
    }

    /// One size over another, both at least 1.
    init(_ numerator: Int, over denominator: Int) {
        value = Double(numerator) / Double(denominator)
        var (a, b) = (numerator, denominator)
        while b != 0 { (a, b) = (b, a % b) }
        ratio = (numerator / a, denominator / a)
    }

    /// The floor of a size times this, half a result more where that is asked for.
    func scaled(_ size: Dim, roundsHalfUp: Bool = false) -> Dim {
        let (numerator, denominator) = ratio ?? (Int(value * 0x1p31), 1 << 31)
        guard let count = size.constant, max(count, numerator) >= 1 << 30 else {
            return roundsHalfUp ? (size * .constant(2 * numerator) + .constant(denominator)) / .constant(2 * denominator)
                : size * .constant(numerator) / .constant(denominator)
        }
        return .constant(Int(min(Double(count) * value + (roundsHalfUp ? 0.5 : 0), 0x1p62).rounded(.down)))
    }
}

extension AxisResampling {
    /// The index of each result's element, at least 0, which may lie past the axis; nil where the part of the axis that is read is
    /// not known before the model runs, or numbers are too large.
    func nearestIndices(_ node: NodeContext) -> Value? {
        guard crop == nil, let (over, under) = fractions(node) else { return nil }
        let (a, b) = (over, under.maximum(1))
        return switch rounding {
        case .floor: a.maximum(0) / b
        case .ceil, .ceilWhenSmaller: (a + b - 1).maximum(0) / b
        case .preferFloor: (a * 2 + b - 1).maximum(0) / (b * 2)
        case .preferCeil: (a * 2 + b).maximum(0) / (b * 2)
        }
    }

    private var rounding: ResamplingRule.Rounding {
        guard rule.rounding == .ceilWhenSmaller else { return rule.rounding }
        return scale.map { $0.value < 1 } ?? false ? .ceil : .floor
    }

    /// Where each result lies, as numerators, i64 [output], over one denominator. No position is less than -1/2.
    private func fractions(_ node: NodeContext) -> (over: Value, under: Value)? {
        let size = node.size(input), count = node.size(output)
        let y = size.iota(.i64, [output], axis: 0)
        guard let scale else {
            let middle = { (y * 2 + 1) * size }
            switch rule.position {
            case .alignedCorners: return (y * (size - 1), count - 1)
            case .asymmetric: return (y * size, count)
            case .halfPixelForNearest: return (middle(), count * 2)
            case .halfPixel, .halfPixelSymmetric: return (middle() - count, count * 2)
            case .halfPixelOfPyTorch: return (firstAlone(middle() - count, node), count * 2)
            case .cropped: return nil
            }
        }
        // The largest product is four times a position, the denominator and, where ends meet, the size; sizes that are open are taken as 2²⁰.
        guard let (numerator, denominator) = scale.ratio else { return nil }
        let factors = [4, output.constant ?? 1 << 20, max(numerator, denominator), rule.position == .alignedCorners ? input.constant ?? 1 << 20 : 1]
        guard factors.reduce(1.0, { $0 * Double($1) }) < 0x1p62 else { return nil }
        let p = node.size(.constant(numerator)), q = node.size(.constant(denominator))
        let middle = { (y * 2 + 1) * q }
        switch rule.position {
        // The output's size is taken as it was before it was rounded down.
        case .alignedCorners: return (y * (size - 1) * q, size * p - q)
        case .asymmetric: return (y * q, p)
        case .halfPixelForNearest: return (middle(), p * 2)
        case .halfPixel: return (middle() - p, p * 2)
        case .halfPixelSymmetric: return (middle() - p + size * p - count * q, p * 2)
        case .halfPixelOfPyTorch: return (firstAlone(middle() - p, node), p * 2)
        case .cropped: return nil
        }
    }

    /// The numerators, or 0 where there is but one result.
    private func firstAlone(_ over: Value, _ node: NodeContext) -> Value {
        let zero = node.full(0, TensorType(.i64, []))
        return output == 1 ? over * zero : (node.size(output) .> 1).select(over, zero)
    }
}
