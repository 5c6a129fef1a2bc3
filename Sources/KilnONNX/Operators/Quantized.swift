// What quantized tensors have in common: scales and zero points, laid along a tensor's axes, and the way there and back.

import KilnIR
import KilnOps

/// How elements stand for reals: `real = (element - zero) * scale`. Both broadcast against the tensor.
struct Quantization {
    /// The elements' type.
    var element: ElementType
    var scale: Value
    /// As numbers of the elements' dtype; nil for 0.
    var zero: Value?

    /// Integers, exactly, less their zero point: the products of two of which i32 can add up.
    func centered(_ elements: Value) throws -> Value {
        guard element.integerRange != nil else { return try centeredReals(elements) }
        let wide = elements.cast(to: .i32)
        return zero.map { wide - $0.cast(to: .i32) } ?? wide
    }

    /// Elements in f32, less their zero point.
    private func centeredReals(_ elements: Value) throws -> Value {
        let wide = try element.numbers(elements).cast(to: .f32)
        guard let zero, element.integerRange != nil else { return wide }
        return wide - zero.cast(to: .f32)
    }

    /// The reals that elements stand for, in the scale's dtype or the given one.
    func reals(_ elements: Value, _ dtype: DType? = nil) throws -> Value {
        (try centeredReals(elements) * scale.cast(to: .f32)).cast(to: dtype ?? scale.dtype)
    }

    /// Reals that are multiples of the scale already, rounded to elements.
    func elements(ofQuotients quotients: Value, saturates: Bool = true) throws -> Value {
        guard let range = element.integerRange else {
            let shifted = element == .float4e2m1 ? try zero.map { quotients + (try element.numbers($0)).cast(to: quotients.dtype) } : nil
            return try element.elements(shifted ?? quotients, Conversion(saturates: saturates))
        }
        // Sums of what is in range are exact in f32, and the rest is cut off.
        let wide = quotients.dtype == .f64 ? quotients : quotients.cast(to: .f32)
        let rounded = wide.round()
        let shifted = zero.map { rounded + $0.cast(to: wide.dtype) } ?? rounded
        return try element.elements(shifted.clamp(Double(range.lowerBound), Double(range.upperBound)))
    }

    /// Reals as elements.
    func elements(_ reals: Value) throws -> Value {
        try elements(ofQuotients: reals.cast(to: .f32) / scale.cast(to: .f32))
    }
}

extension Value {
    /// As u8, with the scale and the zero point that make the most of 0 and all elements.
    func dynamicallyQuantized() -> (elements: Value, scale: Value, zero: Value) {
        let greatest = max().maximum(0), least = min().minimum(0)
        let scale = (greatest .== least).select(1, greatest - least) / 255
        let zero = (-least / scale).clamp(0, 255).round()
        return (((self / scale).round() + zero).clamp(0, 255).cast(to: .u8), scale, zero.cast(to: .u8))
    }
}

extension NodeContext {
    /// Scale and zero point at inputs `scale` and `zero`, for elements of a type; its own is the zero point's where that is given.
    func quantization(_ scale: Int, _ zero: Int, _ element: ElementType, laid: (Value) throws -> Value = { $0 }) throws -> Quantization {
        let point = try storedIfPresent(zero)
        return Quantization(element: point?.element ?? element, scale: try laid(try number(scale)), zero: try point.map { try laid($0.value) })
    }

    /// A tensor's scale or zero point so that it broadcasts: one number, one for each position along an axis, or, with blocks,
    /// one for each `block` positions along it.
    func laid(_ value: Value, along x: Value, axis place: Int, block: Int) throws -> Value {
        if value.type.elementCount == 1 { return value.reshape([]) }
        let axis = try axis(place, rank: x.rank)
        if block == 0 {
            guard value.rank == 1 else { throw mistake("has scales of shape \(value.dims) without a block_size") }
            return value.appendingAxes(x.rank - axis - 1)
        }
        guard value.rank == x.rank, block > 0 else { throw mistake("has blocks of \(block) and scales of shape \(value.dims) for elements of shape \(x.dims)") }
        var apart = value.dims, merged = value.dims
        apart.insert(.constant(block), at: axis + 1)
        merged[axis] = merged[axis] * .constant(block)
        return value.unsqueezed(axis + 1).expand(apart).reshape(merged).narrow(axis, start: 0, length: x.size(axis: axis))
    }

    /// A scale or zero point of a product's left operand: one number, or one for each row.
    func laidByRows(_ value: Value) -> Value {
        value.type.elementCount == 1 ? value.reshape([]) : value.rank == 1 ? value.unsqueezed(1) : value
    }

    /// A scale or zero point of a product's right operand: one number, or one for each column.
    func laidByColumns(_ value: Value) -> Value { value.type.elementCount == 1 ? value.reshape([]) : value }
}
