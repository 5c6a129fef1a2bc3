// The meaning of every scalar function on every dtype, one node at a time: what a ScalarExpr computes, bit for bit.
// Each node is rounded to its own dtype, so an expansion of a transcendental function can be held against its kernel.

import Foundation
import KilnIR

/// A ScalarExpr made ready to be evaluated many times. Not thread-safe: copies are independent.
public struct ScalarEvaluator {
    private let expression: ScalarExpr
    private let constants: [Scalar?]
    private var registers: [Scalar]

    public init(_ expression: ScalarExpr) {
        self.expression = expression
        constants = zip(expression.nodes, expression.dtypes).map { node, dtype in
            if case .constant(let value) = node { value.converted(to: dtype).rounded(to: dtype) } else { nil }
        }
        registers = constants.map { $0 ?? .integer(0) }
    }

    /// The value for the operands' elements and the position along each axis.
    public mutating func callAsFunction(_ arguments: [Scalar], at indices: [Int] = []) -> Scalar {
        for id in expression.nodes.indices {
            let dtype = expression.dtypes[id]
            switch expression.nodes[id] {
            case .constant: break
            case .argument(let number): registers[id] = arguments[number]
            case .index(let axis): registers[id] = .integer(Int64(indices[axis]))
            case .apply(let function, let operands): registers[id] = apply(function, operands, dtype)
            }
        }
        return registers[expression.result]
    }

    private func apply(_ function: ScalarFunction, _ operands: [Int], _ dtype: DType) -> Scalar {
        let first = registers[operands[0]]
        switch operands.count {
        case 1: return function.evaluate(first, from: expression.dtypes[operands[0]], to: dtype)
        case 2: return function.evaluate(first, registers[operands[1]], from: expression.dtypes[operands[0]], to: dtype)
        default: return function.evaluate(first, registers[operands[1]], registers[operands[2]], to: dtype)
        }
    }
}

extension Interpreter {
    /// The value of an expression at one position, each node rounded to its dtype.
    public static func evaluate(_ expression: ScalarExpr, _ arguments: [Scalar], at indices: [Int] = []) -> Scalar {
        var evaluator = ScalarEvaluator(expression)
        return evaluator(arguments.enumerated().map { $0.element.converted(to: argumentType(expression, $0.offset)) }, at: indices)
    }

    /// The value of an expression of floats.
    public static func evaluate(_ expression: ScalarExpr, _ arguments: [Double]) -> Double {
        evaluate(expression, arguments.map { Scalar.real($0) }).double
    }

    private static func argumentType(_ expression: ScalarExpr, _ number: Int) -> DType {
        expression.nodes.firstIndex(of: .argument(number)).map { expression.dtypes[$0] } ?? .f64
    }
}

extension Scalar {
    /// This value rounded or wrapped to what `dtype` can hold. It is in `dtype`'s representation already.
    func rounded(to dtype: DType) -> Scalar {
        switch dtype {
        case .bool: .bool(isTrue)
        case .i8: .integer(Int64(Int8(truncatingIfNeeded: int64)))
        case .i16: .integer(Int64(Int16(truncatingIfNeeded: int64)))
        case .i32: .integer(Int64(Int32(truncatingIfNeeded: int64)))
        case .i64: .integer(int64)
        case .u8: .unsigned(UInt64(UInt8(truncatingIfNeeded: int64)))
        case .u16: .unsigned(UInt64(UInt16(truncatingIfNeeded: int64)))
        case .u32: .unsigned(UInt64(UInt32(truncatingIfNeeded: int64)))
        case .u64: .unsigned(UInt64(bitPattern: int64))
        case .f16, .bf16, .f32, .f64, .f8e4m3, .f8e5m2: .real(dtype.rounded(double))
        }
    }

    /// This value by value in another dtype: floats truncate and saturate, NaN gives 0; integers wrap; to bool is `!= 0`.
    public func cast(to dtype: DType) -> Scalar {
        if dtype == .bool { return .bool(isTrue) }
        switch self {
        case .real(let value):
            if dtype.isFloat { return .real(dtype.rounded(value)) }
            return dtype.isUnsigned ? .unsigned(Self.saturated(value, dtype)) : .integer(Self.saturated(value, dtype))
        case .integer(let value) where dtype == .f32: return .real(Double(Float(value)))
        case .unsigned(let value) where dtype == .f32: return .real(Double(Float(value)))
        default: return converted(to: dtype).rounded(to: dtype)
        }
    }

    private static func saturated(_ value: Double, _ dtype: DType) -> Int64 {
        if value.isNaN { return 0 }
        let low = -Foundation.exp2(Double(dtype.bitWidth - 1))
        if value <= low { return dtype == .i64 ? .min : Int64(low) }
        if value >= -low { return .max >> Int64(64 - dtype.bitWidth) }
        return Int64(value)
    }

    private static func saturated(_ value: Double, _ dtype: DType) -> UInt64 {
        if value.isNaN || value <= 0 { return 0 }
        if value >= Foundation.exp2(Double(dtype.bitWidth)) { return .max >> UInt64(64 - dtype.bitWidth) }
        return UInt64(value)
    }

    /// The bits of this value in `dtype`'s layout.
    func bits(_ dtype: DType) -> UInt64 {
        switch dtype {
        case .f16: UInt64(Float16(double).bitPattern)
        case .bf16: UInt64(bfloat16Bits(double))
        case .f32: UInt64(Float(double).bitPattern)
        case .f64: double.bitPattern
        case .f8e4m3, .f8e5m2: UInt64(Float8(dtype).bits(double))
        default: UInt64(bitPattern: int64) & (.max >> UInt64(64 - dtype.byteCount * 8))
        }
    }

    /// The value whose bits in `dtype`'s layout these are.
    init(bits: UInt64, _ dtype: DType) {
        switch dtype {
        case .bool: self = .bool(bits & 1 != 0)
        case .f16: self = .real(Double(Float16(bitPattern: UInt16(truncatingIfNeeded: bits))))
        case .bf16: self = .real(Double(Float(bitPattern: UInt32(truncatingIfNeeded: bits & 0xFFFF) << 16)))
        case .f32: self = .real(Double(Float(bitPattern: UInt32(truncatingIfNeeded: bits))))
        case .f64: self = .real(Double(bitPattern: bits))
        case .f8e4m3, .f8e5m2: self = .real(Float8(dtype).value(UInt8(truncatingIfNeeded: bits)))
        default:
            let raw = Int64(bitPattern: bits)
            self = (dtype.isUnsigned ? Scalar.unsigned(bits) : .integer(raw)).rounded(to: dtype)
        }
    }
}

extension DType {
    /// The nearest number of this float dtype, ties to even.
    @inline(__always)
    public func rounded(_ value: Double) -> Double {
        switch self {
        case .f16: Double(Float16(value))
        case .bf16: Double(Float(bitPattern: UInt32(bfloat16Bits(value)) << 16))
        case .f32: Double(Float(value))
        case .f8e4m3, .f8e5m2: Float8(self).value(Float8(self).bits(value))
        default: value
        }
    }
}
