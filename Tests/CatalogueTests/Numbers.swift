// Elements for inputs: drawn at random within a range, or the numbers at which kernels go wrong.

import KilnIR
import KilnOps

extension SampleNumbers {
    /// Whole numbers in `0..<count`.
    mutating func below(_ count: Int) -> Int { Int(next() % UInt64(count)) }

    /// A tensor with floats in the range and small integers.
    mutating func plain(_ type: TensorType, _ range: ClosedRange<Double> = -2...2, symbols: [String: Int] = [:]) throws -> Literal {
        try OpSample([type], domain: range).draw(&self, symbols: symbols)[0]
    }

    /// A tensor of the numbers at which kernels go wrong, in random order, among plain ones.
    mutating func special(_ dtype: DType, _ shape: [Int], _ pool: [Scalar]? = nil) -> Literal {
        let pool = pool ?? specials(dtype)
        return Literal(dtype, shape, scalars: (0..<shape.reduce(1, *)).map { _ in pool[below(pool.count)] })
    }
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
    let format = FloatFormat(dtype)
    let magnitudes = [0, 1, 0.5, 1.5, 2, 2.5, 3, 10, 100, 3e4, format.greatest, format.leastNormal, format.leastNonzero, .infinity]
    return (magnitudes + magnitudes.map { -$0 } + [.nan]).map { .real(format.rounded($0)) }
}

/// The numbers of a float dtype, as Doubles.
struct FloatFormat {
    let dtype: DType
    init(_ dtype: DType) { self.dtype = dtype }

    /// Bits of the significand after the point.
    var significandBits: Int {
        switch dtype {
        case .f16: 10
        case .bf16: 7
        case .f32: 23
        case .f8e4m3: 3
        case .f8e5m2: 2
        default: 52
        }
    }
    var leastExponent: Int {
        switch dtype {
        case .f16, .f8e5m2: -14
        case .f8e4m3: -6
        case .bf16, .f32: -126
        default: -1022
        }
    }
    /// f8e4m3 has numbers where others have infinity.
    var greatestExponent: Int { dtype == .f8e4m3 ? 8 : 1 - leastExponent }
    /// Half the distance from 1 to the next number: the greatest relative error of one rounding.
    var unitRoundoff: Double { Double(sign: .plus, exponent: -significandBits - 1, significand: 1) }
    var greatest: Double { (2 - unitRoundoff * (dtype == .f8e4m3 ? 4 : 2)) * Double(sign: .plus, exponent: greatestExponent, significand: 1) }
    var leastNormal: Double { Double(sign: .plus, exponent: leastExponent, significand: 1) }
    var leastNonzero: Double { Double(sign: .plus, exponent: leastExponent - significandBits, significand: 1) }

    func rounded(_ value: Double) -> Double { Literal(dtype, [1], doubles: [value])[0].double }

    /// The distance between the numbers of this dtype around an exact value.
    func unit(at exact: Double) -> Double {
        let exponent = exact == 0 ? leastExponent : min(max(exact.exponent, leastExponent), greatestExponent)
        return Double(sign: .plus, exponent: exponent - significandBits, significand: 1)
    }

    /// How far a number is from an exact value, in units of the value's last place; infinite where NaN, an infinity or a zero's sign
    /// is wrong. An overflow counts as the power of two after the greatest number.
    func error(_ value: Double, exact: Double) -> Double {
        if value.isNaN || exact.isNaN { return value.isNaN && exact.isNaN ? 0 : .infinity }
        if exact == 0 || exact.isInfinite { return value == exact && value.sign == exact.sign ? 0 : .infinity }
        if dtype == .f64, value.isInfinite { return value == exact ? 0 : abs(exact) == greatest ? 1 : .infinity }
        if dtype == .f64 { return abs(value - exact) / unit(at: exact) }
        let limit = Double(sign: .plus, exponent: greatestExponent + 1, significand: 1)
        let finite = min(max(value, -limit), limit), target = min(max(exact, -limit), limit)
        return abs(finite - target) / unit(at: exact)
    }
}
