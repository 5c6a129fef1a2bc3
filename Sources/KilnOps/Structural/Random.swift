// Random bits by counting: each element is a function of the key and its position alone, so any number of threads draws the same.
// Philox4x32-10 (Salmon, Moraes, Dror, Shaw: Parallel random numbers: as easy as 1, 2, 3; SC 2011).

import KilnIR

extension Structural {
    static let randoms = [randomBits]

    /// 32 random bits for each position of a vector. The operands are the key's two words, repeated along it.
    ///
    /// Element `i` is word `i % 4` of Philox4x32-10 for the counter `(i / 4, 0)`, least significant word first.
    public static let randomBits = OpDefinition(
        "random_bits", operandCount: 2, dtypes: [.u32],
        rule: { rule in
            try rule.demandDType(0, in: [.u32])
            try rule.demandDType(1, in: [.u32])
            let (first, second) = (rule.operands[0], rule.operands[1])
            try rule.demand(first.rank == 1 && second.rank == 1, "the key's words are not repeated along one axis",
                            fix: "broadcast them to a vector, and reshape the result")
            try rule.requireEqual(first.shape[0], second.shape[0], "the key's words have sizes \(first.shape[0]) and \(second.shape[0])",
                                  fix: "repeat both as often as there are elements")
            return [first]
        },
        form: { _ in
            .elementwise(ScalarExpr([.u32, .u32]) { key in
                let position = key[0].arena.index(0).converted(to: .u64)
                let counter = position(.shiftRight, position.constant(.unsigned(2)))
                let zero = key[0].constant(.unsigned(0))
                let low = counter.converted(to: .u32)
                let high = counter(.shiftRight, counter.constant(.unsigned(32))).converted(to: .u32)
                let words = philox([low, high, zero, zero], key)
                let lane = position.converted(to: .u32)(.and, key[0].constant(.unsigned(3)))
                let isOdd = lane(.and, lane.constant(.unsigned(1)))(.equal, lane.constant(.unsigned(1)))
                return (lane < 2).select(isOdd.select(words[1], words[0]), isOdd.select(words[3], words[2]))
            })
        },
        pullback: { _ in [nil, nil] },
        samples: { dtype in
            dtype != .u32 ? [] : [OpSample([TensorType(.u32, [37]), TensorType(.u32, [37])], isSmooth: false),
                                  OpSample([TensorType(.u32, ["n"]), TensorType(.u32, ["n"])], isSmooth: false),
                                  OpSample([TensorType(.u32, [0]), TensorType(.u32, [0])], isSmooth: false)]
        })

    /// Ten rounds on a counter of four words with a key of two.
    private static func philox(_ counter: [ScalarTerm], _ key: [ScalarTerm]) -> [ScalarTerm] {
        var (words, key) = (counter, key)
        let multipliers = [words[0].constant(.unsigned(0xD251_1F53)), words[0].constant(.unsigned(0xCD9E_8D57))]
        let increments = [key[0].constant(.unsigned(0x9E37_79B9)), key[0].constant(.unsigned(0xBB67_AE85))]
        for round in 0..<10 {
            if round > 0 { key = [key[0] + increments[0], key[1] + increments[1]] }
            let high = [words[0](.multiplyHigh, multipliers[0]), words[2](.multiplyHigh, multipliers[1])]
            let low = [words[0] * multipliers[0], words[2] * multipliers[1]]
            words = [high[1](.xor, words[1])(.xor, key[0]), low[1], high[0](.xor, words[3])(.xor, key[1]), low[0]]
        }
        return words
    }
}

extension Operand {
    /// Random u32 of the given shape from a key, u32[2].
    public static func randomBits(key: Self, _ shape: Shape, file: StaticString = #fileID, line: UInt = #line) -> Self {
        let location = SourceLocation(file, line)
        guard key.type == TensorType(.u32, [2]) else {
            return key.mistaken("randomBits", "takes a key of type u32[2], was given \(key.type)", fix: "pass two words of 32 bits", at: location)
        }
        let count = shape.reduce(Dim.constant(1), *)
        let words = (0..<2).map { word in
            key.slicing(starts: [.constant(word)], ends: [.constant(word + 1)], at: location).broadcasting(to: [count], axes: [0], at: location)
        }
        return apply(Structural.randomBits, words[0], words[1], at: location).reshaping(to: shape, at: location)
    }

    /// Random numbers, each equally likely, at least `low` and below `high`.
    ///
    /// The 24 highest of an element's 32 bits count (f64: all 32), so f16 and bf16, rounded from f32, can reach `high` itself.
    public static func uniform(key: Self, _ shape: Shape, dtype: DType = .f32, low: Double = 0, high: Double = 1, file: StaticString = #fileID,
                               line: UInt = #line) -> Self {
        let location = SourceLocation(file, line)
        let bits = randomBits(key: key, shape, file: file, line: line)
        let wide: DType = dtype == .f64 ? .f64 : .f32
        let unit = bits.unit(wide, at: location)
        if low == 0, high == 1 { return unit.casting(to: dtype, at: location) }
        return unit.multiplied(by: unit.filled(.real(high - low), at: location), at: location)
            .added(unit.filled(.real(low), at: location), at: location).casting(to: dtype, at: location)
    }

    /// Normally distributed random numbers.
    ///
    /// Box and Muller, A note on the generation of random normal deviates (1958): each takes two of the elements of a stream.
    public static func normal(key: Self, _ shape: Shape, dtype: DType = .f32, mean: Double = 0, deviation: Double = 1,
                              file: StaticString = #fileID, line: UInt = #line) -> Self {
        let location = SourceLocation(file, line)
        let both = randomBits(key: key, [2] + shape, file: file, line: line)
        let wide: DType = dtype == .f64 ? .f64 : .f32
        let part = { (number: Int) in both.select(axis: 0, index: number, file: file, line: line).unit(wide, at: location) }
        let (first, second) = (part(0), part(1))
        // 1 - u is above zero, so its logarithm is finite.
        let logarithm = Self.apply(Elementwise.log, first.filled(1, at: location).subtracted(first, at: location), at: location)
        let radius = Self.apply(Elementwise.sqrt, logarithm.multiplied(by: logarithm.filled(-2, at: location), at: location), at: location)
        let angle = Self.apply(Elementwise.cos, second.multiplied(by: second.filled(.real(2 * Double.pi), at: location), at: location), at: location)
        var result = radius.multiplied(by: angle, at: location)
        if deviation != 1 { result = result.multiplied(by: result.filled(.real(deviation), at: location), at: location) }
        if mean != 0 { result = result.added(result.filled(.real(mean), at: location), at: location) }
        return result.casting(to: dtype, at: location)
    }

    /// Random integers, at least `low` and below `high`, which are at most 2³² apart: the high word of bits times the span, whose
    /// bias is below the span over 2³².
    public static func randint(key: Self, _ shape: Shape, low: Int = 0, high: Int, dtype: DType = .i64, file: StaticString = #fileID,
                               line: UInt = #line) -> Self {
        let location = SourceLocation(file, line)
        let (span, overflow) = high.subtractingReportingOverflow(low)
        guard !overflow, span > 0, span <= 1 << 32 else {
            return key.mistaken("randint", "\(low)..<\(high) is no range of at most 2^32 integers", fix: "give low < high", at: location)
        }
        let wide = randomBits(key: key, shape, file: file, line: line).casting(to: .u64, at: location)
        let scaled = wide.multiplied(by: wide.filled(.unsigned(UInt64(span)), at: location), at: location)
        let offset = Self.apply(Elementwise.shr, scaled, scaled.filled(.unsigned(32), at: location), at: location).casting(to: .i64, at: location)
        return offset.added(offset.filled(.integer(Int64(low)), at: location), at: location).casting(to: dtype, at: location)
    }

    /// True with the given probability.
    public static func bernoulli(key: Self, _ shape: Shape, probability: Double, file: StaticString = #fileID, line: UInt = #line) -> Self {
        let location = SourceLocation(file, line)
        let draws = uniform(key: key, shape, file: file, line: line)
        return draws.compared(Elementwise.lt, draws.filled(.real(probability), at: location), at: location)
    }

    /// Random bits as numbers in `0 ..< 1`: multiples of 2⁻²⁴ in f32, of 2⁻³² in f64.
    private func unit(_ dtype: DType, at location: SourceLocation) -> Self {
        let kept = dtype == .f64 ? self : .apply(Elementwise.shr, self, filled(8, at: location), at: location)
        let number = kept.casting(to: dtype, at: location)
        return number.multiplied(by: number.filled(.real(dtype == .f64 ? 0x1p-32 : 0x1p-24), at: location), at: location)
    }
}
