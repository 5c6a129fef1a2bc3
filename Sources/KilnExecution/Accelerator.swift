// A GPU, or the emulated grid that stands for one: a number or an architecture comes in, memory and calls on the device go out.
import KilnEmulator
import KilnRuntime

/// A GPU, or the grid that runs GPUs' kernels on the processor. Safe to use from several threads at once; there is one for each GPU.
public final class Accelerator: @unchecked Sendable {
    /// Such as "NVIDIA H200".
    public let name: String
    /// The compute capability times ten, such as 90.
    public let architecture: Int
    let handle: OpaquePointer
    /// The grid behind the device; nil for a GPU.
    private let emulator: OpaquePointer?

    private init(_ handle: OpaquePointer, emulator: OpaquePointer? = nil) {
        self.handle = handle
        self.emulator = emulator
        name = String(cString: kiln_device_name(handle))
        architecture = Int(kiln_device_architecture(handle))
    }

    /// How many GPUs can be used; 0 without a driver.
    public static var gpuCount: Int { Int(kiln_gpu_count()) }

    /// Opens the GPU with this number. Throws what is missing.
    public static func gpu(_ index: Int) throws -> Accelerator {
        var handle: OpaquePointer?
        try RuntimeError.check(kiln_gpu_open(Int64(index), &handle))
        guard let handle else { throw RuntimeError(KILN_NO_DEVICE) }
        return Accelerator(handle)
    }

    /// Makes a grid that runs the kernels of programs for an emulated GPU, and throws what they do wrong after each call.
    ///
    /// It lives as long as the process.
    /// - Parameters:
    ///   - architecture: the compute capability times ten.
    ///   - isSpecific: whether it runs code that only this very architecture has, such as that of `sm_90a`.
    ///   - seed: decides in which order threads and copies in flight come; correct kernels give the same bits for any.
    public static func emulated(architecture: Int, isSpecific: Bool, seed: UInt64) throws -> Accelerator {
        guard let emulator = kiln_emulator_create(seed) else { throw RuntimeError(KILN_OUT_OF_MEMORY, message: "an emulated grid") }
        var handle: OpaquePointer?
        let flags = isSpecific ? Int32(KILN_DEVICE_SPECIFIC) : 0
        let status = kiln_emulator_device(emulator, Int32(architecture), flags, &handle)
        guard status == KILN_OK, let handle else {
            kiln_emulator_destroy(emulator)
            throw RuntimeError(status)
        }
        return Accelerator(handle, emulator: emulator)
    }

    /// The functions of the emulated grid that its kernels call.
    public static var kernelSymbols: [(name: String, address: UnsafeRawPointer)] {
        var count: Int64 = 0
        let table = kiln_emulator_symbols(&count)
        return (0..<Int(count)).compactMap { index in
            guard let symbol = table?[index], let name = symbol.name, let address = symbol.address else { return nil }
            return (String(cString: name), address)
        }
    }

    /// Waits until all calls and copies are done, and throws what went wrong meanwhile.
    public func wait() throws { try RuntimeError.check(kiln_device_wait(handle)) }

    /// Runs a program on memory of this device, which the caller vouches for. The symbols that it measures are written.
    func invoke(_ program: UnsafePointer<kiln_program_info>, _ inputs: [UnsafeMutableRawPointer?], _ outputs: [UnsafeMutableRawPointer?],
                _ symbols: inout [Int64]) throws {
        try RuntimeError.check(kiln_device_invoke(handle, program, inputs, outputs, &symbols))
        guard let emulator else { return }
        try wait()
        try throwFindings(emulator)
    }

    /// What kernels did wrong since the last call, if anything.
    private func throwFindings(_ emulator: OpaquePointer) throws {
        let count = kiln_emulator_finding_count(emulator)
        guard count > 0 else { return }
        let shown = (0..<min(count, 8)).compactMap { kiln_emulator_finding(emulator, $0).map { String(cString: $0) } }
        kiln_emulator_clear(emulator)
        let rest = count > 8 ? ["… and \(count - 8) more"] : []
        throw RuntimeError(finding: (shown + rest).joined(separator: "\n"))
    }
}
