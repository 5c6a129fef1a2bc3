// What moves elements: views, gathers, scatters.

import KilnIR

extension Execution {
    func view(_ map: IndexMap) throws -> Elements {
        let shape = try resultShape()
        let readers = try map.pieces.map { piece in
            (operand: piece.operand, reader: try PieceReader(piece, operands[piece.operand].shape, symbols, shape))
        }
        if readers.count == 1 {
            var positions: [Int] = []
            try Odometer(sizes: shape).forEach { positions.append(try readers[0].reader.position($0) ?? -1) }
            return operands[readers[0].operand].picking(positions, shape: shape, fill: map.fill)
        }
        var values: [Scalar] = []
        let fill = map.fill.converted(to: resultType)
        try Odometer(sizes: shape).forEach { indices in
            for (operand, reader) in readers {
                if let position = try reader.position(indices) { return values.append(operands[operand][position]) }
            }
            values.append(fill)
        }
        return Elements(resultType, shape, scalars: values)
    }

    func gather(_ coordinates: [Coordinate]) throws -> Elements {
        let shape = try resultShape()
        let finder = try CoordinateFinder(coordinates, operands, symbols, rank: shape.count)
        var positions: [Int] = []
        try Odometer(sizes: shape).forEach { indices in
            guard let position = try finder.position(indices, clamping: true) else {
                throw CompileError(operation.op.name, "reads from a tensor of shape \(operands[0].shape), which has no elements", at: operation.location,
                                   fix: "gather from a tensor with elements, or gather none")
            }
            positions.append(position)
        }
        return operands[0].picking(positions, shape: shape, fill: 0)
    }

    func scatter(_ kind: ScatterKind, _ coordinates: [Coordinate]) throws -> Elements {
        let (target, updates) = (operands[0], operands[1])
        let finder = try CoordinateFinder(coordinates, operands, symbols, rank: updates.shape.count)
        var positions: [Int?] = []
        try Odometer(sizes: updates.shape).forEach { positions.append(try finder.position($0, clamping: false)) }
        let dtype = target.dtype
        switch (target.storage, updates.storage) {
        case (.reals(var values), .reals(let news)):
            for (update, position) in positions.enumerated() {
                if let position { values[position] = dtype.rounded(Self.combine(kind, values[position], news[update])) }
            }
            return Elements(dtype, target.shape, reals: values)
        default:
            var (values, news) = (target.integers, updates.integers)
            let reduction: ReductionKind? = [.add: .sum, .multiply: .product, .maximum: .maximum, .minimum: .minimum][kind]
            for (update, position) in positions.enumerated() {
                guard let position else { continue }
                values[position] = dtype.wrapped(reduction.map { Self.combine($0, values[position], news[update], dtype) } ?? news[update])
            }
            news = []
            return Elements(dtype, target.shape, integers: values)
        }
    }

    private static func combine(_ kind: ScatterKind, _ old: Double, _ new: Double) -> Double {
        switch kind {
        case .set: new
        case .add: old + new
        case .multiply: old * new
        case .maximum: Double.propagatingMaximum(old, new)
        case .minimum: -Double.propagatingMaximum(-old, -new)
        }
    }
}

/// Where gathers read and scatters write: affine indices, and numbers looked up in operands.
private struct CoordinateFinder {
    private enum Axis {
        case affine(IndexFunction)
        case lookup([Int64], sizes: [Int], [IndexFunction])
    }
    private let axes: [Axis]
    private let sizes: [Int]

    init(_ coordinates: [Coordinate], _ operands: [Elements], _ symbols: [String: Int], rank: Int) throws {
        sizes = operands[0].shape
        axes = try coordinates.map { coordinate in
            switch coordinate {
            case .affine(let dim): return .affine(try IndexFunction(dim, symbols, rank: rank))
            case .lookup(let operand, let indices):
                // What does not fit in 64 signed bits is out of range on any axis.
                let numbers = operands[operand].dtype == .u64 ? operands[operand].integers.map { $0 < 0 ? .max : $0 } : operands[operand].integers
                return .lookup(numbers, sizes: operands[operand].shape, try indices.map { try IndexFunction($0, symbols, rank: rank) })
            }
        }
    }

    /// The row-major position; numbers out of range are moved to the nearest element or give nil.
    func position(_ indices: [Int], clamping: Bool) throws -> Int? {
        var position = 0
        for (axis, size) in zip(axes, sizes) {
            var index = try number(axis, indices, size)
            if index < 0 || index >= size {
                guard clamping, size > 0 else { return nil }
                index = index < 0 ? 0 : size - 1
            }
            position = position &* size &+ index
        }
        return position
    }

    private func number(_ axis: Axis, _ indices: [Int], _ size: Int) throws -> Int {
        switch axis {
        case .affine(let function): return function(indices)
        case .lookup(let numbers, let sizes, let functions):
            var position = 0
            for (function, size) in zip(functions, sizes) {
                let index = function(indices)
                guard index >= 0, index < size else { throw InternalError("interpreter", "a lookup at \(index) on an axis of size \(size)") }
                position = position * size + index
            }
            let number = Int(numbers[position])
            return number < 0 ? number &+ size : number
        }
    }
}
