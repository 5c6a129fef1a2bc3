// A tensor while it is interpreted: floats as Doubles, everything else as 64-bit integers, so that loops are typed.

import KilnIR

/// A dense tensor of the interpreter's.
struct Elements {
    enum Storage {
        /// Each is a number that the dtype has.
        case reals([Double])
        /// Unsigned 64-bit integers keep their bits; bools are 0 or 1.
        case integers([Int64])
    }
    let dtype: DType
    let shape: [Int]
    var storage: Storage

    init(_ dtype: DType, _ shape: [Int], reals: [Double]) { (self.dtype, self.shape, storage) = (dtype, shape, .reals(reals)) }
    init(_ dtype: DType, _ shape: [Int], integers: [Int64]) { (self.dtype, self.shape, storage) = (dtype, shape, .integers(integers)) }

    init(_ literal: Literal) {
        (dtype, shape) = (literal.dtype, literal.shape)
        storage = dtype.isFloat ? .reals(literal.doubles) : .integers((0..<literal.count).map { literal[$0].int64 })
    }

    /// The same number everywhere.
    init(_ dtype: DType, _ shape: [Int], repeating scalar: Scalar) {
        let (count, value) = (shape.reduce(1, *), scalar.converted(to: dtype))
        (self.dtype, self.shape) = (dtype, shape)
        storage = dtype.isFloat ? .reals(Array(repeating: value.double, count: count)) : .integers(Array(repeating: value.int64, count: count))
    }

    init(_ dtype: DType, _ shape: [Int], scalars: [Scalar]) {
        (self.dtype, self.shape) = (dtype, shape)
        storage = dtype.isFloat ? .reals(scalars.map(\.double)) : .integers(scalars.map(\.int64))
    }

    var count: Int { shape.reduce(1, *) }

    var literal: Literal {
        var literal = Literal(dtype, shape, bytes: [UInt8](repeating: 0, count: count * dtype.byteCount))
        switch storage {
        case .reals(let values): for (position, value) in values.enumerated() { literal[position] = .real(value) }
        case .integers(let values): for (position, value) in values.enumerated() { literal[position] = .integer(value) }
        }
        return literal
    }

    var reals: [Double] {
        switch storage {
        case .reals(let values): values
        case .integers(let values): dtype == .u64 ? values.map { Double(UInt64(bitPattern: $0)) } : values.map(Double.init)
        }
    }

    var integers: [Int64] {
        switch storage {
        case .reals(let values): values.map { Scalar.real($0).int64 }
        case .integers(let values): values
        }
    }

    /// The element at a row-major position.
    subscript(position: Int) -> Scalar {
        switch storage {
        case .reals(let values): .real(values[position])
        case .integers(let values):
            dtype == .bool ? .bool(values[position] != 0)
                : dtype.isUnsigned ? .unsigned(UInt64(bitPattern: values[position])) : .integer(values[position])
        }
    }

    /// The elements at row-major positions, `fill` where a position is negative.
    func picking(_ positions: [Int], shape: [Int], fill: Scalar) -> Elements {
        let filler = fill.converted(to: dtype)
        switch storage {
        case .reals(let values):
            let missing = filler.double
            return Elements(dtype, shape, reals: positions.map { $0 < 0 ? missing : values[$0] })
        case .integers(let values):
            let missing = filler.int64
            return Elements(dtype, shape, integers: positions.map { $0 < 0 ? missing : values[$0] })
        }
    }
}

extension DType {
    /// A 64-bit integer wrapped to this integer dtype or bool.
    func wrapped(_ value: Int64) -> Int64 {
        switch self {
        case .bool: value & 1
        case .i8: Int64(Int8(truncatingIfNeeded: value))
        case .i16: Int64(Int16(truncatingIfNeeded: value))
        case .i32: Int64(Int32(truncatingIfNeeded: value))
        case .u8: Int64(UInt8(truncatingIfNeeded: value))
        case .u16: Int64(UInt16(truncatingIfNeeded: value))
        case .u32: Int64(UInt32(truncatingIfNeeded: value))
        default: value
        }
    }
}

/// Positions of an iteration space in row-major order.
struct Odometer {
    let sizes: [Int]

    /// Calls the body with the position along each axis.
    func forEach(_ body: ([Int]) throws -> Void) rethrows {
        if sizes.contains(0) { return }
        var indices = [Int](repeating: 0, count: sizes.count)
        while true {
            try body(indices)
            var axis = sizes.count - 1
            while axis >= 0 {
                indices[axis] += 1
                if indices[axis] < sizes[axis] { break }
                indices[axis] = 0
                axis -= 1
            }
            if axis < 0 { return }
        }
    }
}
