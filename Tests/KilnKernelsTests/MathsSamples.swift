// The f32 arguments on which elementary functions are tested: spread over all exponents, and dense where something changes.

/// Arguments for functions of one f32.
enum MathsSamples {
    /// Bit patterns at equal distances over all of f32: signs, exponents, subnormals, infinities and NaNs.
    static let spread: [Float] = (0..<UInt32(1 << 16)).map { Float(bitPattern: $0 &* 65_537) }

    /// Where expansions change from one formula to another, results over- or underflow, or domains end.
    private static let boundaries: [Float] = [
        0, 0x1p-126, 0x1p-64, 0x1p-24, 0x1p-12, 0.34657359, 0.5, 0.5625, 2.0 / 3, 0.70710678, 0.75, 0.78539816, 0.90625, 0.9765625, 1,
        1.0397208, 4.0 / 3, 1.4142135, 1.5707963, 2, 3.1415927, 4, 6.2831853, 9.125, 16.635532, 17.3, 25, 30, 87.33655, 88.72284, 89,
        89.415985, 89.5, 103.97208, 104, 126, 127, 128, 129, 149, 150, 151, 0x1p11, 0x1p17, 0x1p22, 0x1p23, 0x1p24, 0x1p31, 0x1p32,
        0x1p62, 0x1p63, 0x1p64, 0x1p126, .greatestFiniteMagnitude,
    ]

    /// Each boundary with its nearest neighbours, of both signs; infinities and NaN come out of the largest.
    static let boundaryNeighbourhoods: [Float] = boundaries.flatMap { boundary in
        (Int64(-24)...24).flatMap { offset -> [Float] in
            let bits = Int64(boundary.bitPattern) + offset
            guard bits >= 0 else { return [] }
            let value = Float(bitPattern: UInt32(bits))
            return [value, -value]
        }
    }

    /// The multiples of a quarter turn nearest to which an f32 comes, and large arguments of every size.
    static let reductions: [Float] = (1...4096).flatMap { n -> [Float] in
        let nearest = Float(Double(n) * .pi / 2)
        return [nearest, nearest.nextUp, -nearest.nextDown]
    } + (17..<128).flatMap { exponent in
        [1.5585103, 1.0000001, 1.9999999].map { Float(sign: .plus, exponent: exponent, significand: $0) }
    } + [16_367_173 * 0x1p72, 0x1.47d0fep34, 0x1.6ac5b2p93]

    /// Where a sweep over all 2^32 arguments found the greatest error of one function or another.
    static let hardest: [Float] = [
        -0x1.765026p2, -0x1.f9b35ep6, -0x1.677b32p-2, 0x1.4574e2p-1, 0x1.5b9ad6p0, 0x1.569876p-2, -0x1.d3e348p-1,
        -0x1.11299ap-1, 0x1.156bb2p-1, -0x1.18eebcp0, -0x1.6d66acp-2, -0x1.79c10cp2, -0x1.5978cap-3, -0x1.e4aa5ep-1,
        0x1.13e07p-111, -0x1.b784bcp78, -0x1.14c79cp88, -0x1.8e0abap121, -0x1.221cdap0, 0x1.0808eap0,
    ]

    static let all = spread + boundaryNeighbourhoods + reductions + hardest

    /// Arguments in f64: all exponents, the f32 ones and their neighbours, and where exp over- and underflows.
    static let doubles: [Double] = (0..<UInt64(1 << 15)).map { Double(bitPattern: $0 &* 0x2_0003_0005_0007) }
        + (spread + boundaryNeighbourhoods).flatMap { [Double($0), Double($0).nextUp, Double($0) * 1.000000123] }
        + [709.78, 709.782712893384, 709.7827128933841, 710, -708.39, -708.4, -745.13, -745.1332191019411, -745.1332191019412, -746]

    /// For functions of two: pairs whose powers have their special cases, are halfway, or over- and underflow.
    static let special: [Float] = [
        0, -0.0, 1, -1, 2, -2, 3, -3, 0.5, -0.5, 1.5, -1.5, .infinity, -.infinity, .nan, 0x1p-149, -0x1p-149, 0x1p-126, 1.0 / 3,
        .greatestFiniteMagnitude, -.greatestFiniteMagnitude, 0x1p23, 0x1.000002p23, 8_388_607.5, 0x1.fffffep23, -0x1.fffffep23, 0x1p24,
        -0x1p24, 0x1.fffffep-1, -0x1.fffffep-1, 0x1.000002p0, -0x1.000002p0, 4, 5, -4, -5, 127, 128, -149, -150, -151, 1e10, -1e10,
    ]

    /// Pairs of any bits, and pairs whose power is spread evenly over the exponents of f32.
    static let pairs: [(x: Float, y: Float)] = {
        var state: UInt64 = 0x9e37_79b9_7f4a_7c15
        func next() -> UInt32 {
            state = state &* 6_364_136_223_846_793_005 &+ 1_442_695_040_888_963_407
            return UInt32(truncatingIfNeeded: state >> 32)
        }
        return (0..<(1 << 15)).flatMap { _ -> [(x: Float, y: Float)] in
            let x = Float(bitPattern: next()), y = Float(bitPattern: next())
            let base = Float(bitPattern: next() & 0x7fff_ffff)
            let logarithm = (Double(next()) / 0x1p31 - 1) * 152
            return [(x, y), (base, Float(logarithm / Double(base).logarithm2))]
        }
    }()
}

extension Double {
    /// log2 to a few digits: enough to spread samples.
    fileprivate var logarithm2: Double { isFinite && self > 0 ? Double(exponent) + (significand - 1) : 1 }
}
