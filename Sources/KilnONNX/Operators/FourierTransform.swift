// Discrete Fourier transforms as contractions with tables of roots of unity. In comes a tensor whose last axis holds the real parts
// alone or the real and imaginary parts; out goes the transform along one axis.

import Foundation
import KilnIR
import KilnOps

/// A transform of real or complex numbers.
///
/// A length with divisors is split (J. W. Cooley and J. W. Tukey, 1965): for n = a · b, element b · i + j and frequency u + a · v,
///
///     z[b·i + j]  ──table of a──►  y[u, j]  ──times w^(u·j)──►  ──table of b──►  Z[u + a·v]        w = exp(-2πi / n)
struct FourierTransform {
    var isInverse = false
    /// Forward, only the frequencies up to half the length are given; inverse, only they are read, and the result is real.
    var isOneSided = false

    /// Lengths up to this are one contraction; longer ones have factors of at most this size, where they have divisors.
    private static let directLimit = 32
    /// Primes above this go through lengths that are powers of two.
    private static let primeLimit = 512
    /// Tables of longer transforms would be larger than the models that ask for them.
    private static let lengthLimit = 1 << 20

    private var sign: Double { isInverse ? 1 : -1 }

    /// - Parameter length: what the axis is cut or filled up with zeros to; the axis's own size, or, for an inverse that reads one
    ///   side, the even length with as many frequencies, where there is none.
    func callAsFunction(_ x: Value, axis: Int, length: Dim? = nil) throws -> Value {
        let readsOneSide = isInverse && isOneSided
        let size = length ?? (readsOneSide ? (x.size(axis: axis) - 1) * 2 : x.size(axis: axis))
        let real = x.size(axis: -1) == 1
        guard x.dtype.isFloat, axis < x.rank - 1, real || x.size(axis: -1) == 2 else {
            throw Unsupported(reason: "a Fourier transform along axis \(axis) of \(x.type)")
        }
        guard size.constant.map({ $0 > 0 && $0 <= Self.lengthLimit }) ?? true else { throw Unsupported(reason: "a Fourier transform of length \(size)") }
        // Rows of parts: [rows…, size, parts].
        var rows = x.inSingle.movingAxis(axis, to: x.rank - 2)
        rows = resized(rows, to: readsOneSide ? size / 2 + 1 : size)
        if readsOneSide { rows = mirrored(rows, to: size) }
        var result = try transformed(rows, size)
        if isInverse { result = result / count(size, like: result) }
        if isOneSided { result = isInverse ? result.narrow(-1, start: 0, length: 1) : result.narrow(-2, start: 0, length: size / 2 + 1) }
        return result.movingAxis(x.rank - 2, to: axis).cast(to: x.dtype)
    }

    /// The rows cut, or filled up with zeros.
    private func resized(_ rows: Value, to size: Dim) -> Value {
        var high = rows.dims.map { _ in Dim.constant(0) }
        high[rows.rank - 2] = size - rows.size(axis: -2)
        return high[rows.rank - 2] == 0 ? rows : rows.padding(low: high.map { _ in 0 }, high: high)
    }

    /// One side of a spectrum and its mirror image, conjugated: what the spectrum of a real signal is.
    private func mirrored(_ rows: Value, to size: Dim) -> Value {
        let axis = rows.rank - 2, complex = rows.size(axis: axis + 1) == 1 ? padded(rows) : rows
        let image = complex.narrow(axis, start: 1, length: size - size / 2 - 1).flipping([axis])
        let signs = complex.literal(Literal(complex.dtype, [2], doubles: [1, -1]), at: .unknown)
        return .concatenate([complex, image * signs], axis: axis)
    }

    /// Real numbers with imaginary parts of zero.
    private func padded(_ rows: Value) -> Value {
        var high = rows.dims.map { _ in Dim.constant(0) }
        high[rows.rank - 1] = 1
        return rows.padding(low: high.map { _ in 0 }, high: high)
    }

    /// The transform along the last axis but one, both parts of it.
    private func transformed(_ rows: Value, _ size: Dim) throws -> Value {
        let axis = rows.rank - 2
        guard let n = size.constant else { return contracted(rows, with: computedTable(size, parts: rows.size(axis: axis + 1), like: rows)) }
        guard n > Self.directLimit, let a = (2...Self.directLimit).last(where: { n % $0 == 0 }) else {
            return try n > Self.primeLimit ? chirped(rows.size(axis: axis + 1) == 1 ? padded(rows) : rows, n) : contracted(rows, with: table(n, parts: rows.size(axis: axis + 1) == 1 ? 1 : 2, like: rows))
        }
        let b = n / a, outer = Array(rows.dims.prefix(axis))
        // [rows…, i, j, parts] → [rows…, j, i, parts] → [rows…, j, u, 2].
        let split = rows.reshaping(to: outer + [.constant(a), .constant(b), rows.size(axis: axis + 1)]).transpose(axis, axis + 1)
        let first = try transformed(split, .constant(a))
        let turned = times(first, roots(n, rows: b, columns: a, like: rows))
        // [rows…, u, j, 2] → [rows…, u, v, 2] → [rows…, v, u, 2].
        let second = try transformed(turned.transpose(axis, axis + 1), .constant(b))
        return second.transpose(axis, axis + 1).reshaping(to: outer + [size, 2])
    }

    /// A transform as a convolution with exp(±πi · k² / n), done by transforms of a power of two (L. I. Bluestein, 1970).
    private func chirped(_ rows: Value, _ n: Int) throws -> Value {
        var size = 1
        while size < 2 * n - 1 { size *= 2 }
        let chirp = (0..<n).map { root($0 * $0 % (2 * n), 2 * n) }
        func literal(_ values: [(real: Double, imaginary: Double)]) -> Value {
            rows.literal(Literal(rows.dtype, [values.count, 2], doubles: values.flatMap { [$0.real, $0.imaginary] }), at: .unknown)
        }
        let conjugates = (0..<size).map { place -> (real: Double, imaginary: Double) in
            let distance = min(place, size - place)
            return distance < n ? (chirp[distance].real, -chirp[distance].imaginary) : (0, 0)
        }
        let signs = rows.literal(Literal(rows.dtype, [2], doubles: [1, -1]), at: .unknown)
        let first = try transformed(resized(times(rows, literal(chirp)), to: .constant(size)), .constant(size))
        let second = try transformed(literal(conjugates), .constant(size))
        // The way back is the same transform of the conjugate.
        let sums = try transformed(times(first, second) * signs, .constant(size)) * signs * (1 / Double(size))
        return times(sums.narrow(-2, start: 0, length: .constant(n)), literal(chirp))
    }

    /// Sums over a row's elements and parts with a table [size, parts, frequencies, 2].
    private func contracted(_ rows: Value, with table: Value) -> Value {
        rows.contracting(table, reduce: ([rows.rank - 2, rows.rank - 1], [0, 1]))
    }

    /// Products of complex numbers, pair by pair.
    private func times(_ x: Value, _ y: Value) -> Value {
        let part = { (value: Value, number: Int) in value.narrow(-1, start: .constant(number), length: 1) }
        let (a, b, c, d) = (part(x, 0), part(x, 1), part(y, 0), part(y, 1))
        return .concatenate([a * c - b * d, a * d + b * c], axis: -1)
    }

    // MARK: Tables

    /// exp(±2πi · k / n), of a k that is first brought below n, so that the angle is exact.
    private func root(_ k: Int, _ n: Int) -> (real: Double, imaginary: Double) {
        let angle = sign * 2 * Double.pi * Double(k % n) / Double(n)
        return (cos(angle), sin(angle))
    }

    /// The roots as matrices that a pair of real and imaginary part is multiplied by.
    private func table(_ n: Int, parts: Int, like x: Value) -> Value {
        var values: [Double] = []
        values.reserveCapacity(n * n * parts * 2)
        for element in 0..<n {
            for part in 0..<parts {
                for frequency in 0..<n {
                    let (c, s) = root(element * frequency, n)
                    values += part == 0 ? [c, s] : [-s, c]
                }
            }
        }
        return x.literal(Literal(x.dtype, [n, parts, n, 2], doubles: values), at: .unknown)
    }

    /// exp(±2πi · row · column / n): [rows, columns, 2].
    private func roots(_ n: Int, rows: Int, columns: Int, like x: Value) -> Value {
        let values = (0..<rows).flatMap { row in (0..<columns).flatMap { column in [root(row * column, n).real, root(row * column, n).imaginary] } }
        return x.literal(Literal(x.dtype, [rows, columns, 2], doubles: values), at: .unknown)
    }

    /// The table for a length that is known only when the program runs.
    private func computedTable(_ size: Dim, parts: Dim, like x: Value) -> Value {
        let shape: Shape = [size, size], n = x.size(size)
        let products = x.iota(.i64, shape, axis: 0) * x.iota(.i64, shape, axis: 1)
        let angle = (products % n).cast(to: .f64) / n.cast(to: .f64) * (sign * 2 * Double.pi)
        let (c, s) = (angle.cos(), angle.sin())
        let ofReal = Value.stack([c, s], axis: 2).unsqueezed(1)
        return (parts == 1 ? ofReal : .concatenate([ofReal, Value.stack([-s, c], axis: 2).unsqueezed(1)], axis: 1)).cast(to: x.dtype)
    }

    private func count(_ size: Dim, like x: Value) -> Value { x.size(size).cast(to: x.dtype) }
}

extension Value {
    /// A size as i64 of rank 0.
    fileprivate func size(_ dim: Dim) -> Value { builder.sizes([dim]).reshaping(to: []) }
}
