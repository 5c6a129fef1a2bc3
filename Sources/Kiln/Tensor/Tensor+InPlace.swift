// PyTorch's in-place spellings, with the trailing underscore, as mutating methods: the variable gets a new value, copies keep theirs.
// Under `noGrad` a leaf stays the leaf that it is, with its gradient; elsewhere changing a leaf in place is a mistake.
import KilnIR
import KilnOps

extension Tensor {
    /// Gives this variable a new value of the same shape and dtype.
    mutating func replace(_ op: String, with value: Tensor, sameType: Bool = true, at location: SourceLocation) {
        let current = node
        if value.node.kind == .poison {
            self = value
            return
        }
        let devices = (deviceID, value.deviceID)
        if devices.0 != devices.1, devices.0 != .any, devices.1 != .any {
            let error = DeviceError(op: op, operands: [(type, device), (value.type, value.device)], at: location)
            self = .poisoned(error, at: location)
            return
        }
        if sameType, value.type != type {
            self = .poisoned(ShapeError(op: op, "the result does not have the tensor's type", operands: [type, value.type], at: location,
                                        fix: "broadcast and cast the other operand to \(type), or assign a new tensor"), at: location)
            return
        }
        guard let slot = current.slot else {
            self = value
            return
        }
        if isGradEnabled {
            self = .poisoned(ShapeError(op: op, "a leaf that requires a gradient is changed in place", operands: [type], at: location,
                                        fix: "wrap it in noGrad { }"), at: location)
            return
        }
        // A leaf that is changed by a new gradient before its last change was computed is in a loop that reads nothing: its steps must not
        // pile up. What fails here fails again for whoever reads.
        let list = ThreadState.current.pending
        let isNextStep = Trace.shared.locked { current.isPending && slot.changedAt != list.backwardCount }
        if isNextStep, !current.isAbstract, !value.node.isAbstract { try? Kiln.evaluate() }
        self = Trace.shared.locked {
            slot.changedAt = list.backwardCount
            return Trace.shared.hold(Trace.shared.alias(value.node, slot: slot, tracks: true))
        }
    }

    /// Takes over the elements of another tensor, broadcast and cast to this one's type, from whatever device.
    public mutating func copy_(_ source: Tensor, file: StaticString = #fileID, line: UInt = #line) {
        let location = SourceLocation(file, line)
        let cast = (source.dtype == dtype ? source : source.cast(to: dtype)).to(device)
        replace("copy_", with: cast.dims == dims ? cast : cast.expand(dims), at: location)
    }

    public mutating func zero_(file: StaticString = #fileID, line: UInt = #line) {
        replace("zero_", with: .zerosLike(self), at: SourceLocation(file, line))
    }

    public mutating func fill_(_ value: Double, file: StaticString = #fileID, line: UInt = #line) {
        replace("fill_", with: .fullLike(self, value), at: SourceLocation(file, line))
    }

    public mutating func add_(_ other: Tensor, alpha: Double = 1, file: StaticString = #fileID, line: UInt = #line) {
        replace("add_", with: self + (alpha == 1 ? other : other * alpha), at: SourceLocation(file, line))
    }
    public mutating func sub_(_ other: Tensor, alpha: Double = 1, file: StaticString = #fileID, line: UInt = #line) {
        replace("sub_", with: self - (alpha == 1 ? other : other * alpha), at: SourceLocation(file, line))
    }
    public mutating func mul_(_ other: Tensor, file: StaticString = #fileID, line: UInt = #line) {
        replace("mul_", with: self * other, at: SourceLocation(file, line))
    }
    public mutating func div_(_ other: Tensor, file: StaticString = #fileID, line: UInt = #line) {
        replace("div_", with: self / other, at: SourceLocation(file, line))
    }
    public mutating func add_(_ value: Double, file: StaticString = #fileID, line: UInt = #line) {
        replace("add_", with: self + value, at: SourceLocation(file, line))
    }
    public mutating func sub_(_ value: Double, file: StaticString = #fileID, line: UInt = #line) {
        replace("sub_", with: self - value, at: SourceLocation(file, line))
    }
    public mutating func mul_(_ value: Double, file: StaticString = #fileID, line: UInt = #line) {
        replace("mul_", with: self * value, at: SourceLocation(file, line))
    }
    public mutating func div_(_ value: Double, file: StaticString = #fileID, line: UInt = #line) {
        replace("div_", with: self / value, at: SourceLocation(file, line))
    }

    public mutating func relu_(file: StaticString = #fileID, line: UInt = #line) { replace("relu_", with: relu(), at: SourceLocation(file, line)) }
    public mutating func exp_(file: StaticString = #fileID, line: UInt = #line) { replace("exp_", with: exp(), at: SourceLocation(file, line)) }
    public mutating func sqrt_(file: StaticString = #fileID, line: UInt = #line) { replace("sqrt_", with: sqrt(), at: SourceLocation(file, line)) }
    public mutating func neg_(file: StaticString = #fileID, line: UInt = #line) { replace("neg_", with: -self, at: SourceLocation(file, line)) }
    public mutating func clamp_(_ low: Double, _ high: Double, file: StaticString = #fileID, line: UInt = #line) {
        replace("clamp_", with: clamp(low, high), at: SourceLocation(file, line))
    }

    /// Swaps the two axes of a matrix.
    public mutating func t_(file: StaticString = #fileID, line: UInt = #line) {
        replace("t_", with: t(), sameType: false, at: SourceLocation(file, line))
    }
    public mutating func transpose_(_ a: Int, _ b: Int, file: StaticString = #fileID, line: UInt = #line) {
        replace("transpose_", with: transpose(a, b), sameType: false, at: SourceLocation(file, line))
    }
    public mutating func unsqueeze_(_ axis: Int, file: StaticString = #fileID, line: UInt = #line) {
        replace("unsqueeze_", with: unsqueezed(axis), sameType: false, at: SourceLocation(file, line))
    }
    public mutating func squeeze_(_ axis: Int, file: StaticString = #fileID, line: UInt = #line) {
        replace("squeeze_", with: squeezed(axis), sameType: false, at: SourceLocation(file, line))
    }
    /// Draws new elements from the standard normal distribution.
    public mutating func normal_(mean: Double = 0, std: Double = 1, file: StaticString = #fileID, line: UInt = #line) {
        replace("normal_", with: Tensor.randn(shape, dtype: dtype, device: device) * std + mean, at: SourceLocation(file, line))
    }
    /// Draws new elements evenly from a range.
    public mutating func uniform_(_ low: Double = 0, _ high: Double = 1, file: StaticString = #fileID, line: UInt = #line) {
        replace("uniform_", with: Tensor.rand(shape, dtype: dtype, device: device) * (high - low) + low, at: SourceLocation(file, line))
    }

    public static func += (a: inout Tensor, b: Tensor) { a.add_(b) }
    public static func -= (a: inout Tensor, b: Tensor) { a.sub_(b) }
    public static func *= (a: inout Tensor, b: Tensor) { a.mul_(b) }
    public static func /= (a: inout Tensor, b: Tensor) { a.div_(b) }
    public static func += (a: inout Tensor, b: Double) { a.add_(b) }
    public static func -= (a: inout Tensor, b: Double) { a.sub_(b) }
    public static func *= (a: inout Tensor, b: Double) { a.mul_(b) }
    public static func /= (a: inout Tensor, b: Double) { a.div_(b) }
}
