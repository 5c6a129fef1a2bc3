// Comparisons, kinds of numbers, and the choice by a condition.

import KilnIR

extension Elementwise {
    static let comparisons = [eq, ne, lt, le, gt, ge, isNaN, isInfinite, isFinite, select]
}

extension Elementwise {
    public static let eq = binary("eq", DType.all, to: .bool, meaning: { $0(.equal, $1) }, real: { $0 == $1 ? 1 : 0 },
                                  whole: { x, _ in x[0] == x[1] ? 1 : 0 })
}
extension Operand {
    public static func .== (a: Self, b: Self) -> Self { broadcasting(Elementwise.eq, a, b) }
    public static func .== (a: Self, b: some ScalarConvertible) -> Self { broadcasting(Elementwise.eq, a, b) }
}

extension Elementwise {
    public static let ne = binary("ne", DType.all, to: .bool, meaning: { $0(.notEqual, $1) }, real: { $0 != $1 ? 1 : 0 },
                                  whole: { x, _ in x[0] != x[1] ? 1 : 0 })
}
extension Operand {
    public static func .!= (a: Self, b: Self) -> Self { broadcasting(Elementwise.ne, a, b) }
    public static func .!= (a: Self, b: some ScalarConvertible) -> Self { broadcasting(Elementwise.ne, a, b) }
}

extension Elementwise {
    public static let lt = binary("lt", DType.all, to: .bool, meaning: { $0(.less, $1) }, real: { $0 < $1 ? 1 : 0 },
                                  whole: { x, _ in x[0] < x[1] ? 1 : 0 })
}
extension Operand {
    public static func .< (a: Self, b: Self) -> Self { broadcasting(Elementwise.lt, a, b) }
    public static func .< (a: Self, b: some ScalarConvertible) -> Self { broadcasting(Elementwise.lt, a, b) }
}

extension Elementwise {
    public static let le = binary("le", DType.all, to: .bool, meaning: { $0(.lessEqual, $1) }, real: { $0 <= $1 ? 1 : 0 },
                                  whole: { x, _ in x[0] <= x[1] ? 1 : 0 })
}
extension Operand {
    public static func .<= (a: Self, b: Self) -> Self { broadcasting(Elementwise.le, a, b) }
    public static func .<= (a: Self, b: some ScalarConvertible) -> Self { broadcasting(Elementwise.le, a, b) }
}

extension Elementwise {
    public static let gt = binary("gt", DType.all, to: .bool, meaning: { $0(.greater, $1) }, real: { $0 > $1 ? 1 : 0 },
                                  whole: { x, _ in x[0] > x[1] ? 1 : 0 })
}
extension Operand {
    public static func .> (a: Self, b: Self) -> Self { broadcasting(Elementwise.gt, a, b) }
    public static func .> (a: Self, b: some ScalarConvertible) -> Self { broadcasting(Elementwise.gt, a, b) }
}

extension Elementwise {
    public static let ge = binary("ge", DType.all, to: .bool, meaning: { $0(.greaterEqual, $1) }, real: { $0 >= $1 ? 1 : 0 },
                                  whole: { x, _ in x[0] >= x[1] ? 1 : 0 })
}
extension Operand {
    public static func .>= (a: Self, b: Self) -> Self { broadcasting(Elementwise.ge, a, b) }
    public static func .>= (a: Self, b: some ScalarConvertible) -> Self { broadcasting(Elementwise.ge, a, b) }
}

extension Elementwise {
    public static let isNaN = unary("isnan", to: .bool, meaning: { $0(.isNaN) }, real: { $0.isNaN ? 1 : 0 })
}
extension Operand {
    public func isNaN(file: StaticString = #fileID, line: UInt = #line) -> Self { applying(Elementwise.isNaN, file, line) }
}

extension Elementwise {
    public static let isInfinite = unary("isinf", to: .bool, meaning: { x in x.abs().equals(x.constant(.real(.infinity))) },
                                         real: { $0.isInfinite ? 1 : 0 })
}
extension Operand {
    public func isInfinite(file: StaticString = #fileID, line: UInt = #line) -> Self { applying(Elementwise.isInfinite, file, line) }
}

extension Elementwise {
    public static let isFinite = unary("isfinite", to: .bool, meaning: { $0.abs() < .infinity }, real: { $0.isFinite ? 1 : 0 })
}
extension Operand {
    public func isFinite(file: StaticString = #fileID, line: UInt = #line) -> Self { applying(Elementwise.isFinite, file, line) }
}

extension Elementwise {
    /// Operand 1 where operand 0, a bool, holds; operand 2 elsewhere.
    public static let select = define(
        "select", operands: 3, DType.all, to: .operand(1), condition: true, meaning: { $0[0].select($0[1], $0[2]) },
        real: { $0[0] != 0 ? $0[1] : $0[2] }, whole: { x, _ in x[0] != 0 ? x[1] : x[2] },
        partials: { x, _ in [.none, .where(x[0]), .where(x[0].logicalNot())] })
}
extension Operand {
    /// `a` where this bool holds, `b` elsewhere; the three broadcast, and `a` and `b` take a common dtype.
    public func select(_ a: Self, _ b: Self, file: StaticString = #fileID, line: UInt = #line) -> Self {
        let at = SourceLocation(file, line)
        let (x, y) = Self.promoting(a, b, at: at)
        guard let shape = Shape.broadcast(x.dims, y.dims).flatMap({ Shape.broadcast(dims, $0) }) else {
            return .apply(Elementwise.select, self, x, y, at: at)
        }
        return .apply(Elementwise.select, broadcast(to: shape, at: at), x.broadcast(to: shape, at: at), y.broadcast(to: shape, at: at), at: at)
    }
    public func select(_ a: Self, _ b: some ScalarConvertible, file: StaticString = #fileID, line: UInt = #line) -> Self {
        select(a, a.scalarOperand(b, at: SourceLocation(file, line)), file: file, line: line)
    }
    public func select(_ a: some ScalarConvertible, _ b: Self, file: StaticString = #fileID, line: UInt = #line) -> Self {
        select(b.scalarOperand(a, at: SourceLocation(file, line)), b, file: file, line: line)
    }
    /// `a` where `condition` holds, `b` elsewhere.
    public static func `where`(_ condition: Self, _ a: Self, _ b: Self, file: StaticString = #fileID, line: UInt = #line) -> Self {
        condition.select(a, b, file: file, line: line)
    }
}
