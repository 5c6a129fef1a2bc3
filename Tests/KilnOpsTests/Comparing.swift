// How far two numbers of a dtype lie apart, and the numbers at which functions go wrong.

import KilnIR
import KilnOps

/// Numbers of the dtype between two of its numbers; 0 for two NaNs, nil for one. Zeros of both signs are neighbours of nothing: 0 apart.
func distance(_ a: Scalar, _ b: Scalar, _ dtype: DType) -> Double? {
    guard dtype.isFloat else { return a == b ? 0 : nil }
    let (x, y) = (a.double, b.double)
    if x.isNaN || y.isNaN { return x.isNaN && y.isNaN ? 0 : nil }
    if x == y { return x.sign == y.sign || x != 0 ? 0 : 1 }
    return abs(place(x, dtype) - place(y, dtype))
}

/// The position among all numbers of the dtype, in order.
private func place(_ value: Double, _ dtype: DType) -> Double {
    let magnitude: Double = switch dtype {
    case .f16: Double(Float16(abs(value)).bitPattern)
    case .bf16: Double(bfloat16Bits(abs(value)))
    case .f32: Double(Float(abs(value)).bitPattern)
    case .f8e4m3, .f8e5m2: Double(Float8(dtype).bits(abs(value)))
    default: Double(abs(value).bitPattern)
    }
    return value < 0 ? -magnitude : magnitude
}

/// Limits, zeros, infinities, NaN, denormals, and a few plain numbers.
func specials(_ dtype: DType) -> [Scalar] {
    if dtype == .bool { return [.bool(false), .bool(true)] }
    if dtype.isInteger {
        let width = Int64(dtype.bitWidth)
        if dtype.isUnsigned {
            let most = UInt64.max >> UInt64(64 - width)
            return [0, 1, 2, 3, 7, UInt64(width - 1), UInt64(width), most / 2, most / 2 + 1, most - 1, most].map { .unsigned($0) }
        }
        let most = Int64.max >> (64 - width)
        return [0, 1, -1, 2, -2, 3, 7, -7, width - 1, width, most, most - 1, -most, -most - 1].map { .integer($0) }
    }
    let (most, least, tiny): (Double, Double, Double) = switch dtype {
    case .f16: (65504, 6.103515625e-05, 5.960464477539063e-08)
    case .bf16: (Double(Float(bitPattern: 0x7F7F_0000)), Double(Float.leastNormalMagnitude), Double(Float(bitPattern: 0x0001_0000)))
    case .f32: (Double(Float.greatestFiniteMagnitude), Double(Float.leastNormalMagnitude), Double(Float.leastNonzeroMagnitude))
    case .f8e4m3: (448, 0x1p-6, 0x1p-9)
    case .f8e5m2: (57344, 0x1p-14, 0x1p-16)
    default: (.greatestFiniteMagnitude, .leastNormalMagnitude, .leastNonzeroMagnitude)
    }
    let magnitudes = [0, 1, 0.5, 1.5, 2, 2.5, 3, 10, 100, most, least, tiny, .infinity]
    return (magnitudes + magnitudes.map { -$0 } + [.nan]).map { Scalar.real($0).converted(to: dtype) }
}

/// All lists of one element of each column, or of the columns' elements side by side where there would be too many.
func combinations(_ columns: [[Scalar]]) -> [[Scalar]] {
    columns.reduce([[]]) { lists, column in lists.flatMap { list in column.map { list + [$0] } } }
}
