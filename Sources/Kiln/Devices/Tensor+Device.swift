// Where a tensor is, and tensors and modules on other devices.
import KilnIR

extension Tensor {
    /// Where the elements are, or will be when they are computed.
    public var device: Device { Trace.shared.locked { Trace.shared.devices.device(node.deviceID) } }

    /// This tensor on a device. What is known is copied now, what is pending when it has been computed; gradients flow back.
    ///
    /// Without such a device the result carries the error, as with any mistake.
    public func to(_ device: Device, file: StaticString = #fileID, line: UInt = #line) -> Tensor {
        let location = SourceLocation(file, line)
        do {
            let trace = Trace.shared
            let deviceID = trace.deviceID(device)
            let (isThere, source) = trace.locked { (node.deviceID == deviceID || node.kind == .poison, node.resolved.buffer) }
            if isThere { return self }
            // Copied outside of the lock.
            let copy = try source?.on(trace.accelerator(deviceID))
            return try trace.locked { trace.hold(try trace.move(node, to: deviceID, location, copy: copy)) }
        } catch { return .poisoned(error, like: self, at: location) }
    }

    var deviceID: DeviceID { Trace.shared.locked { node.deviceID } }
}

extension Module {
    /// Moves all parameters and buffers to a device, with the parameters' gradients. They stay the parameters that they are: an optimizer
    /// that was made for them goes on with them there.
    ///
    /// Throws, and moves nothing, where there is no such device.
    @discardableResult
    public func to(_ device: Device) throws -> Self {
        if isCapturing {
            throw CompileError("to(\(device))", "a module can't be moved inside a function that is being captured", fix: "move it before")
        }
        let variables = self.variables
        let moved = variables.map { $0.stored.detach().to(device) }
        for tensor in moved { if let error = tensor.error { throw error } }
        for (variable, tensor) in zip(variables, moved) where variable.stored.deviceID != tensor.deviceID {
            let slot = variable.stored.node.slot
            let gradient = Trace.shared.locked { slot?.gradient }?.to(device)
            Trace.shared.locked {
                slot?.gradient = gradient
                variable.stored = Trace.shared.hold(Trace.shared.alias(tensor.node, slot: slot, tracks: slot != nil))
            }
        }
        return self
    }
}
