// Functions of the circle and of the hyperbola, and their inverses. Angles are in radians.

import Foundation
import KilnIR

extension Elementwise {
    static let trigonometric = [sin, cos, tan, asin, acos, atan, sinh, cosh, tanh, asinh, acosh, atanh]
}

extension Elementwise {
    public static let sin = unary("sin", ulp: 1.5, meaning: { $0(.sin) }, real: { Foundation.sin($0) },
        derivative: { x, _ in x.cos() })
}
extension Operand {
    public func sin(file: StaticString = #fileID, line: UInt = #line) -> Self { applying(Elementwise.sin, file, line) }
}

extension Elementwise {
    public static let cos = unary("cos", ulp: 1.5, meaning: { $0(.cos) }, real: { Foundation.cos($0) },
        derivative: { x, _ in -x.sin() })
}
extension Operand {
    public func cos(file: StaticString = #fileID, line: UInt = #line) -> Self { applying(Elementwise.cos, file, line) }
}

extension Elementwise {
    public static let tan = unary("tan", ulp: 0.53, domains: -1...1, meaning: { $0(.tan) }, real: { Foundation.tan($0) },
        derivative: { _, y in y * y + 1 })
}
extension Operand {
    public func tan(file: StaticString = #fileID, line: UInt = #line) -> Self { applying(Elementwise.tan, file, line) }
}

extension Elementwise {
    public static let asin = unary("asin", ulp: 1.9, domains: -0.8...0.8, meaning: { $0(.asin) }, real: { Foundation.asin($0) },
        derivative: { x, _ in (1 - x * x).rsqrt() })
}
extension Operand {
    public func asin(file: StaticString = #fileID, line: UInt = #line) -> Self { applying(Elementwise.asin, file, line) }
}

extension Elementwise {
    public static let acos = unary("acos", ulp: 1.2, domains: -0.8...0.8, meaning: { $0(.acos) }, real: { Foundation.acos($0) },
        derivative: { x, _ in -(1 - x * x).rsqrt() })
}
extension Operand {
    public func acos(file: StaticString = #fileID, line: UInt = #line) -> Self { applying(Elementwise.acos, file, line) }
}

extension Elementwise {
    public static let atan = unary("atan", ulp: 1.35, meaning: { $0(.atan) }, real: { Foundation.atan($0) },
        derivative: { x, _ in (x * x + 1).reciprocal() })
}
extension Operand {
    public func atan(file: StaticString = #fileID, line: UInt = #line) -> Self { applying(Elementwise.atan, file, line) }
}

extension Elementwise {
    public static let sinh = unary("sinh", ulp: 1.3, meaning: { $0(.sinh) }, real: { Foundation.sinh($0) },
        derivative: { x, _ in x.cosh() })
}
extension Operand {
    public func sinh(file: StaticString = #fileID, line: UInt = #line) -> Self { applying(Elementwise.sinh, file, line) }
}

extension Elementwise {
    public static let cosh = unary("cosh", ulp: 1.2, meaning: { $0(.cosh) }, real: { Foundation.cosh($0) },
        derivative: { x, _ in x.sinh() })
}
extension Operand {
    public func cosh(file: StaticString = #fileID, line: UInt = #line) -> Self { applying(Elementwise.cosh, file, line) }
}

extension Elementwise {
    public static let tanh = unary("tanh", ulp: 0.95, meaning: { $0(.tanh) }, real: { Foundation.tanh($0) },
        derivative: { _, y in 1 - y * y })
}
extension Operand {
    public func tanh(file: StaticString = #fileID, line: UInt = #line) -> Self { applying(Elementwise.tanh, file, line) }
}

extension Elementwise {
    public static let asinh = unary("asinh", ulp: 1.4, meaning: { $0(.asinh) }, real: { Foundation.asinh($0) },
        derivative: { x, _ in (x * x + 1).rsqrt() })
}
extension Operand {
    public func asinh(file: StaticString = #fileID, line: UInt = #line) -> Self { applying(Elementwise.asinh, file, line) }
}

extension Elementwise {
    public static let acosh = unary("acosh", ulp: 1.85, domains: 1.3...3, meaning: { $0(.acosh) }, real: { Foundation.acosh($0) },
        derivative: { x, _ in (x * x - 1).rsqrt() })
}
extension Operand {
    public func acosh(file: StaticString = #fileID, line: UInt = #line) -> Self { applying(Elementwise.acosh, file, line) }
}

extension Elementwise {
    public static let atanh = unary("atanh", ulp: 1.8, domains: -0.8...0.8, meaning: { $0(.atanh) }, real: { Foundation.atanh($0) },
        derivative: { x, _ in (1 - x * x).reciprocal() })
}
extension Operand {
    public func atanh(file: StaticString = #fileID, line: UInt = #line) -> Self { applying(Elementwise.atanh, file, line) }
}
