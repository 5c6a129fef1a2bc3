// Integers as texts of their decimal digits, and back, computed while a model runs.

import KilnIR
import KilnOps

extension Value {
    private static let mostDigits = 20

    private func powersOfTen(_ count: Int) -> Value {
        var powers: [UInt64] = [1]
        while powers.count < count { powers.append(powers[powers.count - 1] * 10) }
        return builder.literal(Literal(.u64, [count], scalars: powers.map { .unsigned($0) }))
    }

    /// Integers as texts, which are as wide as their type needs.
    var decimalTexts: Value {
        let digitCount = [1: 3, 2: 5, 4: 10][dtype.byteCount] ?? (dtype.isSigned ? 19 : Self.mostDigits)
        let axis = rank, places = Dim.constant(digitCount + (dtype.isSigned ? 1 : 0))
        let wide = cast(to: dtype.isSigned ? .i64 : .u64)
        let isNegative = dtype.isSigned ? wide .< 0 : full(.bool(false), type.with(dtype: .bool), at: .unknown)
        let magnitude = isNegative.select(0 - wide, wide).cast(to: .u64)
        let powers = powersOfTen(digitCount)
        // The greatest power first.
        let each = magnitude.unsqueezed(axis), digits = (each / powers.flipping([0])) % 10
        let count = (each .>= powers).cast(to: .i64).sum(axis).maximum(1), sign = isNegative.cast(to: .i64)
        let place = iota(.i64, dims + [places], axis: axis)
        let digit = place - sign.unsqueezed(axis)
        let source = (digit + (digitCount - count).unsqueezed(axis)).maximum(0).minimum(digitCount - 1)
        let text = (digits.gather(axis, source) + 48).cast(to: .u8)
        let isDigit = (digit .>= 0) & (digit .< count.unsqueezed(axis))
        return isDigit.select(text, (digit .< 0).select(full(.unsigned(45), text.type, at: .unknown), 0))
    }

    /// The integers that texts spell: a sign or none, then digits. What is no such text is some number.
    func decimals(as target: DType) -> Value {
        let axis = rank - 1, isDigit = (self .>= 48) & (self .<= 57), place = iota(.i64, dims, axis: axis)
        let isSign = (place .== 0) & ((self .== 43) | (self .== 45))
        let isNegative = ((place .== 0) & (self .== 45)).any(axis)
        // Where the digits end.
        let end = (isDigit | isSign).select(textLengths.unsqueezed(axis), place).min(axis)
        let power = end.unsqueezed(axis) - 1 - place
        let weights = powersOfTen(Self.mostDigits).take(power.maximum(0).minimum(Self.mostDigits - 1), axis: 0)
        let counts = isDigit & (power .>= 0) & (power .< Self.mostDigits)
        let magnitude = counts.select((self.cast(to: .u64) - 48) * weights, 0).sum(axis).cast(to: .i64)
        return isNegative.select(0 - magnitude, magnitude).cast(to: target)
    }
}
