// Where tensors are kept and computed, as users name it: the processor, a GPU, or the grid that stands for one.
import Glibc
import KilnExecution
import KilnIR
import KilnKernels

/// Where a tensor's elements are, and where operations on it are computed.
///
///     let x = Tensor.randn([64, 64], device: .gpu)
///     let y = images.to(.gpu(1))
///     try model.to(.emulatedGPU)
///
/// Naming a device costs nothing. A GPU that is not there is an error of the first tensor on it.
public struct Device: Hashable, Sendable {
    enum Kind: Hashable, Sendable {
        case cpu
        case gpu(Int)
        case emulated(GPU, seed: UInt64)
    }

    let kind: Kind

    /// The processor.
    public static let cpu = Device(kind: .cpu)
    /// The first GPU.
    public static let gpu = gpu(0)
    /// A GPU by its number.
    public static func gpu(_ index: Int) -> Device { Device(kind: .gpu(index)) }
    /// A grid on the processor that runs the kernels of a GPU with the architecture sm_80, slowly, and checks what they do: an access
    /// outside of memory, a race or a barrier that not all threads reach is thrown, with the kernel's name.
    public static let emulatedGPU = emulatedGPU(.sm80)
    /// The same for another architecture.
    /// - Parameter seed: decides in which order threads come, which changes nothing unless a kernel is wrong; the environment's
    ///   KILN_EMULATOR_SEED, or 1, if left out.
    public static func emulatedGPU(_ architecture: GPU, seed: UInt64? = nil) -> Device {
        Device(kind: .emulated(architecture, seed: seed ?? environmentSeed))
    }

    private static let environmentSeed: UInt64 = getenv("KILN_EMULATOR_SEED").flatMap { UInt64(String(cString: $0)) } ?? 1

    /// How many GPUs can be used; 0 without a driver.
    public static var gpuCount: Int { Accelerator.gpuCount }

    /// Where tensors are made that are not told: the processor, unless set. Holds for the calling thread.
    public static var `default`: Device {
        get { ThreadState.current.device }
        set { ThreadState.current.device = newValue }
    }
}

/// What a GPU can run: `.sm80`, `.sm90` or `.sm90a`.
public typealias GPU = KilnKernels.GPU

extension Device: CustomStringConvertible {
    /// Such as `gpu:0`.
    public var description: String {
        switch kind {
        case .cpu: "cpu"
        case .gpu(let index): "gpu:\(index)"
        case .emulated(let architecture, let seed): "emulated:\(architecture.name)" + (seed == Self.environmentSeed ? "" : ":\(seed)")
        }
    }
}

/// Runs `body` with another default device on this thread.
public func withDefaultDevice<T>(_ device: Device, _ body: () throws -> T) rethrows -> T {
    let state = ThreadState.current
    let before = state.device
    state.device = device
    defer { state.device = before }
    return try body()
}
