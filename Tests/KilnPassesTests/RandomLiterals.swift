// Inputs for graphs under test: random elements, among them every one that is special for the dtype.

import KilnIR

/// A sequence of numbers that is the same in every run (splitmix64; G. Steele, D. Lea and C. Flood, 2014).
struct Random: RandomNumberGenerator {
    private var state: UInt64

    init(seed: Int) { state = UInt64(bitPattern: Int64(seed)) &* 0x9E37_79B9_7F4A_7C15 }

    mutating func next() -> UInt64 {
        state &+= 0x9E37_79B9_7F4A_7C15
        var z = state
        z = (z ^ (z >> 30)) &* 0xBF58_476D_1CE4_E5B9
        z = (z ^ (z >> 27)) &* 0x94D0_49BB_1331_11EB
        return z ^ (z >> 31)
    }

    /// Elements of which about half are special: zeros of both signs, infinities, NaN, the extremes.
    mutating func special(_ type: TensorType, symbols: [String: Int] = ["n": 5]) -> Literal {
        let shape = type.shape.map { $0.evaluate(symbols: symbols)! }
        return Literal(type.dtype, shape, scalars: (0..<shape.reduce(1, *)).map { _ in element(type.dtype) })
    }

    /// Elements of a range.
    mutating func uniform(_ type: TensorType, _ range: ClosedRange<Double>) -> Literal {
        let shape = type.shape.map { $0.constant! }
        return Literal(type.dtype, shape, scalars: (0..<shape.reduce(1, *)).map { _ in .real(Double.random(in: range, using: &self)) })
    }

    private mutating func element(_ dtype: DType) -> Scalar {
        let isSpecial = Bool.random(using: &self)
        if dtype == .bool { return .bool(isSpecial) }
        if dtype.isFloat {
            let specials = [0, -0.0, 1, -1, 2, 0.5, -0.5, .infinity, -.infinity, .nan, 1e-45, -1e-40, 65504, 3.4e38, 1e300, -2.5]
            return .real(isSpecial ? specials.randomElement(using: &self)! : Double.random(in: -8...8, using: &self))
        }
        let (low, high) = (Int64.min >> Int64(64 - dtype.bitWidth), Int64.max >> Int64(64 - dtype.bitWidth))
        let specials: [Int64] = [0, 1, -1, 2, low, high, low &+ 1]
        return .integer(isSpecial ? specials.randomElement(using: &self)! : Int64(truncatingIfNeeded: next()))
    }
}

extension Literal {
    /// The first position at which the elements differ in their bits, any NaN being as good as another.
    func firstDifference(from other: Literal) -> Int? {
        guard dtype == other.dtype, shape == other.shape else { return 0 }
        return (0..<count).first { position in
            let (a, b) = (self[position], other[position])
            return a != b && !(a.double.isNaN && b.double.isNaN)
        }
    }
}
