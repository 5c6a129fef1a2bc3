// A user's mistake about devices: operands that are kept in different places.
import KilnIR

/// Operands of an operation that are on different devices.
public struct DeviceError: Error, CustomStringConvertible, Sendable {
    public var op: String
    /// Each operand with its device.
    public var operands: [(type: TensorType, device: Device)]
    public var location: SourceLocation

    public init(op: String, operands: [(type: TensorType, device: Device)], at location: SourceLocation = .unknown) {
        self.op = op
        self.operands = operands
        self.location = location
    }

    /// The devices, without repetition.
    public var devices: [Device] {
        operands.reduce(into: []) { found, operand in if !found.contains(operand.device) { found.append(operand.device) } }
    }

    public var description: String {
        var lines = ["\(op): the operands are on different devices, \(devices.map(\.description).joined(separator: " and "))"]
        for (number, operand) in operands.enumerated().prefix(8) { lines.append("  operand \(number): \(operand.type) on \(operand.device)") }
        if operands.count > 8 { lines.append("  … and \(operands.count - 8) more") }
        if location.isKnown { lines.append("  at \(location)") }
        lines.append("  fix: move one of them, such as with x.to(\(spelling(devices.first { $0 != .cpu } ?? .cpu)))")
        return lines.joined(separator: "\n")
    }

    private func spelling(_ device: Device) -> String {
        switch device.kind {
        case .cpu: ".cpu"
        case .gpu(0): ".gpu"
        case .gpu(let index): ".gpu(\(index))"
        case .emulated(let architecture, _): architecture == .sm80 ? ".emulatedGPU" : ".emulatedGPU(.\(architecture.name.replacing("_", with: "")))"
        }
    }
}
