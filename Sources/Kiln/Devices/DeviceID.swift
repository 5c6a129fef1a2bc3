// Devices as small numbers, for nodes of the trace: a device comes in, its number, its memory and the compiler's options for it go out.
import KilnCompiler
import KilnExecution
import KilnIR
import KilnKernels
import KilnLLVM

/// The number of a device in the table.
struct DeviceID: Hashable, Sendable {
    let number: UInt16

    /// Of what goes with operands on any device, such as an argument of a region.
    static let any = DeviceID(number: 0)
    static let cpu = DeviceID(number: 1)
}

/// The devices that were named so far. Used under the trace's lock.
struct DeviceTable {
    private struct Entry {
        let device: Device
        /// Opened with the first tensor; a GPU that could not be opened is tried again.
        var accelerator: Accelerator?
        var options: Options?
    }

    private var entries = [Entry(device: .cpu), Entry(device: .cpu)]
    private var devices: [Device: DeviceID] = [.cpu: .cpu]

    mutating func deviceID(_ device: Device) -> DeviceID {
        if case .cpu = device.kind { return .cpu }
        if let deviceID = devices[device] { return deviceID }
        precondition(entries.count <= UInt16.max, "a process names at most 65535 devices")
        let deviceID = DeviceID(number: UInt16(entries.count))
        entries.append(Entry(device: device))
        devices[device] = deviceID
        return deviceID
    }

    func device(_ deviceID: DeviceID) -> Device { entries[Int(deviceID.number)].device }

    /// The device's memory; nil for the host's. Throws where there is no such GPU.
    mutating func accelerator(_ deviceID: DeviceID) throws -> Accelerator? {
        let index = Int(deviceID.number)
        if let accelerator = entries[index].accelerator { return accelerator }
        let accelerator = try entries[index].device.open()
        entries[index].accelerator = accelerator
        return accelerator
    }

    /// How to compile for the device.
    mutating func options(_ deviceID: DeviceID) throws -> Options {
        let index = Int(deviceID.number)
        if let options = entries[index].options { return options }
        let options = Options(target: entries[index].device.target(try accelerator(deviceID)))
        entries[index].options = options
        return options
    }
}

extension Trace {
    /// The memory of a device; nil for the host's. Throws where there is no such GPU.
    func accelerator(_ deviceID: DeviceID) throws -> Accelerator? { try locked { try devices.accelerator(deviceID) } }

    /// How to compile for a device.
    func options(_ deviceID: DeviceID) throws -> Options { try locked { try devices.options(deviceID) } }

    /// The number of a device.
    func deviceID(_ device: Device) -> DeviceID { locked { devices.deviceID(device) } }
}

extension Device {
    /// Opens the device; nil for the processor, which needs no opening.
    func open() throws -> Accelerator? {
        switch kind {
        case .cpu: nil
        case .gpu(let index): try Accelerator.gpu(index)
        case .emulated(let gpu, let seed): try .emulated(architecture: gpu.architecture, isSpecific: gpu.isSpecific, seed: seed)
        }
    }

    /// How to compile for the device. Throws where there is no such GPU.
    package func options() throws -> Options {
        try Trace.shared.locked { try Trace.shared.devices.options(Trace.shared.devices.deviceID(self)) }
    }

    /// What to compile for.
    func target(_ accelerator: Accelerator?) -> Target {
        let host = HostTarget.detect()
        return switch kind {
        case .cpu: host
        case .gpu: Target(.best(for: accelerator?.architecture ?? 80))
        case .emulated(let gpu, _): Target(gpu, triple: host.triple, processor: host.processor, features: host.features)
        }
    }
}

extension GPU {
    /// The most demanding code that a GPU of the given compute capability runs.
    static func best(for architecture: Int) -> GPU {
        all.last { $0.isSpecific ? $0.architecture == architecture : $0.architecture <= architecture } ?? .sm80
    }
}
