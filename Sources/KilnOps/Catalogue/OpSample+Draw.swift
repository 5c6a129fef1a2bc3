// Values for an op's samples: what every test of the catalogue draws its inputs with.

import KilnIR

extension OpSample {
    /// Values of the sample's types: floats from the domain, integers from the operand's range or the domain's whole numbers.
    package func draw(_ numbers: inout SampleNumbers, symbols: [String: Int]) throws -> [Literal] {
        try operands.enumerated().map { number, type in
            let shape = try type.shape.map { dim -> Int in
                guard let size = dim.evaluate(symbols: symbols), size >= 0 else { throw InternalError("samples", "`\(dim)` has no size") }
                return size
            }
            let scalars = (0..<shape.reduce(1, *)).map { _ in numbers.next(type.dtype, domain, integerRanges[number]) }
            return Literal(type.dtype, shape, scalars: scalars)
        }
    }
}

/// A small generator of numbers that gives the same ones for the same seed (S. Vigna's splitmix64).
package struct SampleNumbers: RandomNumberGenerator {
    private var state: UInt64
    package init(seed: UInt64) { state = seed }

    package mutating func next() -> UInt64 {
        state &+= 0x9E37_79B9_7F4A_7C15
        var z = state
        z = (z ^ (z >> 30)) &* 0xBF58_476D_1CE4_E5B9
        z = (z ^ (z >> 27)) &* 0x94D0_49BB_1331_11EB
        return z ^ (z >> 31)
    }

    /// A number of a dtype in a domain.
    mutating func next(_ dtype: DType, _ domain: ClosedRange<Double>, _ range: ClosedRange<Int>?) -> Scalar {
        if let range, dtype != .bool { return Scalar.integer(Int64(Int.random(in: range, using: &self))).converted(to: dtype) }
        if dtype == .bool { return .bool(next() & 1 != 0) }
        if dtype.isFloat { return Scalar.real(Double.random(in: domain, using: &self)).converted(to: dtype) }
        let low = dtype.isUnsigned ? Swift.max(0, domain.lowerBound.rounded(.up)) : domain.lowerBound.rounded(.up)
        let high = Swift.max(low, domain.upperBound.rounded(.down))
        return Scalar.integer(Int64.random(in: Int64(low)...Int64(high), using: &self)).converted(to: dtype)
    }
}
