// Elements of any type of ONNX's to numbers on which Kiln computes, and back.

import KilnIR
import KilnOps

/// What a conversion does where the target has no such number.
struct Conversion: Sendable {
    /// Whether 8-bit floats take the greatest number for what is greater.
    var saturates = true
    var rounding = ExponentFloat.Rounding.up
}

extension ElementType {
    /// The least and greatest of the integers that the type holds; nil for other types.
    var integerRange: ClosedRange<Int>? {
        switch self {
        case .uint2: 0...3
        case .int2: -2...1
        case .uint4: 0...15
        case .int4: -8...7
        case .uint8: 0...255
        case .int8: -128...127
        case .uint16: 0...65535
        case .int16: -32768...32767
        case .int32: Int(Int32.min)...Int(Int32.max)
        case .uint32: 0...Int(UInt32.max)
        case .int64: Int.min...Int.max
        default: nil
        }
    }

    /// Elements as numbers of a dtype that has arithmetic; 8- and 4-bit floats become f32, and the rest stays.
    func numbers(_ stored: Value) throws -> Value {
        switch self {
        case .string, .complex64, .complex128: throw Unsupported(reason: "elements of type \(self) are no numbers")
        case .float8e8m0: ExponentFloat.numbers(stored)
        case .float8e4m3fn, .float8e5m2: stored.cast(to: .f32)
        default: SmallFloat(self)?.numbers(stored) ?? stored
        }
    }

    /// Numbers as elements: integers wrap, floats are rounded once or cut off.
    func elements(_ numbers: Value, _ conversion: Conversion = Conversion()) throws -> Value {
        switch self {
        case .string, .complex64, .complex128: throw Unsupported(reason: "numbers to elements of type \(self)")
        case .uint2, .uint4: return (numbers.cast(to: .i32) & (1 << bitWidth - 1)).cast(to: .u8)
        case .int2, .int4: return ((numbers.cast(to: .i32) << (32 - bitWidth)) >> (32 - bitWidth)).cast(to: .i8)
        case .float8e8m0: return ExponentFloat.codes(numbers.cast(to: .f32), conversion.rounding, saturates: conversion.saturates)
        case .float8e4m3fn where conversion.saturates: return numbers.cast(to: .f8e4m3)
        case .float8e5m2 where !conversion.saturates: return numbers.cast(to: .f8e5m2)
        default:
            guard let format = SmallFloat(self), let dtype else { return numbers.cast(to: dtype ?? numbers.dtype) }
            let wide = numbers.dtype == .f64 || numbers.dtype.isInteger && numbers.dtype.byteCount >= 4 ? numbers.cast(to: .f64) : numbers.cast(to: .f32)
            return format.codes(wide, saturates: conversion.saturates).bitcast(to: dtype)
        }
    }

    /// Elements as elements of another type, by value.
    func converted(_ stored: Value, to target: ElementType, _ conversion: Conversion = Conversion()) throws -> Value {
        self == target ? stored : try target.elements(numbers(stored), conversion)
    }

    /// Elements as elements of another type with as many bits, by bits.
    func reinterpreted(_ stored: Value, as target: ElementType) throws -> Value {
        guard let dtype = target.dtype, self.dtype != nil, self != .string, target != .string else {
            throw Unsupported(reason: "the bits of elements of type \(self) as \(target)")
        }
        switch (self, target) {
        case (_, .bool): return stored.cast(to: .bool)
        case (.bool, _): return stored.cast(to: .u8).bitcast(to: dtype)
        case _ where bitWidth < 8:
            let code = stored.cast(to: .u8) & (1 << bitWidth - 1)
            return target.integerRange == nil ? code : try target.elements(code)
        default: return stored.bitcast(to: dtype)
        }
    }
}

extension NodeContext {
    /// Input `number` as numbers on which Kiln computes, whatever type of numbers its elements are.
    func number(_ number: Int) throws -> Value {
        let tensor = try stored(number)
        return try tensor.element.numbers(tensor.value)
    }
}
