// What a compilation can be told, as one value that is passed down.

import KilnIR
import KilnKernels
import KilnLLVM

/// How to compile.
public struct Options: Sendable {
    /// The processor to compile for: the host's, or a GPU alone.
    public var target: Target
    /// GPUs, and emulated grids, that the code is to run on too.
    public var devices: [Target]
    /// The path of NVIDIA's assembler, for machine code beside the PTX.
    public var ptxas: String?
    /// Threads that generate code side by side; 0 for as many as the process may use.
    public var threads: Int
    /// Whether the IR is verified after every pass.
    public var verifies: Bool
    /// Whether a call fails where an index is out of range. Kernels stay within their memory either way: they move such an index to the
    /// nearest position, or leave its update out.
    public var checksIndices: Bool
    /// Where code is kept from one compilation to the next; nil for nowhere. The user's folder, unless the environment says otherwise.
    public var cache: (any CodeCache)?
    /// Receives the text after each pass, or that it changed nothing.
    public var log: (@Sendable (String) -> Void)?

    public init(target: Target = HostTarget.detect(), devices: [Target] = [], ptxas: String? = nil, threads: Int = 0,
                verifies: Bool = false, checksIndices: Bool = true, cache: (any CodeCache)? = DiskCache.standard,
                log: (@Sendable (String) -> Void)? = nil) {
        self.target = target
        self.devices = devices
        self.ptxas = ptxas
        self.threads = threads
        self.verifies = verifies
        self.checksIndices = checksIndices
        self.cache = cache
        self.log = log
    }
}
