// Values out of tensors: reading computes what is pending, and throws the mistake that a tensor carries.
import KilnExecution
import KilnIR

extension Tensor {
    /// Computes the value, so that later operations start from it. Done by reading, so rarely needed.
    @discardableResult
    public func evaluated() throws -> Tensor {
        try Trace.shared.evaluate([node])
        return self
    }

    /// Calls `body` with the elements in row-major order, copied to the host if they are on another device.
    public func withUnsafeBytes<Result>(_ body: (UnsafeRawBufferPointer) throws -> Result) throws -> Result {
        try evaluated()
        guard let buffer else { throw InternalError("evaluation", "a tensor that was computed has no buffer") }
        let host = try buffer.on(nil)
        return try withExtendedLifetime(host) { try body(UnsafeRawBufferPointer(start: host.pointer, count: node.box.byteCount)) }
    }

    /// The elements in row-major order, as the given type.
    public func array<Element: TensorElement>(as type: Element.Type) throws -> [Element] {
        try withUnsafeBytes { bytes in
            if Element.dtype == dtype {
                return [Element](unsafeUninitializedCapacity: count) { target, filled in
                    UnsafeMutableRawBufferPointer(target).copyMemory(from: bytes)
                    filled = count
                }
            }
            let literal = Literal(dtype, shape, bytes: Array(bytes))
            return (0..<count).map { Element(literal[$0]) }
        }
    }

    /// The elements in row-major order.
    public func array() throws -> [Double] { try array(as: Double.self) }

    /// The only element.
    public func item<Element: TensorElement>(as type: Element.Type) throws -> Element {
        if let error { throw error }
        guard count == 1 else {
            throw ShapeError(op: "item", "the tensor has \(count) elements", operands: [self.type], fix: "read it with array()")
        }
        return try array(as: type)[0]
    }

    /// The only element.
    public func item() throws -> Double { try item(as: Double.self) }

    /// The value as a constant of the compiler's: what files are written from.
    public func literal() throws -> Literal { try withUnsafeBytes { Literal(dtype, shape, bytes: Array($0)) } }
}
