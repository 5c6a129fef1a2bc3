// Numbers of Swift's beside tensors: what stands in for a tensor comes in, a scalar goes out.

import KilnIR

/// A number of Swift's that may stand beside a tensor.
public protocol ScalarConvertible {
    var scalar: Scalar { get }
}
extension Int: ScalarConvertible { public var scalar: Scalar { .integer(Int64(self)) } }
extension Double: ScalarConvertible { public var scalar: Scalar { .real(self) } }
extension Float: ScalarConvertible { public var scalar: Scalar { .real(Double(self)) } }
extension Bool: ScalarConvertible { public var scalar: Scalar { .bool(self) } }
extension Scalar: ScalarConvertible { public var scalar: Scalar { self } }
