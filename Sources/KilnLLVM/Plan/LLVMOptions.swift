// What the caller of the LLVM backend chooses: threads, checks, the host, the assembler, the cache. Read by whatever plans or makes code.

import KilnIR
import KilnKernels

/// What a compilation by LLVM is told beside the program and the target.
public struct LLVMOptions: Sendable {
    /// Threads that generate code, 0 for all that the process may use; the result does not depend on it.
    public var threads: Int
    /// Checks each module before it is optimised. Nothing is taken from the cache then.
    public var verifies: Bool
    /// The host that launches kernels, where no program for a host is among those compiled; nil is the one at hand.
    public var host: Target?
    /// The path of NVIDIA's assembler, for machine code beside the PTX.
    public var ptxas: String?
    /// Where code is kept from one compilation to the next.
    public var cache: (any CodeCache)?

    public init(threads: Int = 0, verifies: Bool = false, host: Target? = nil, ptxas: String? = nil, cache: (any CodeCache)? = nil) {
        self.threads = threads
        self.verifies = verifies
        self.host = host
        self.ptxas = ptxas
        self.cache = cache
    }
}

/// Keeps modules' code by what it was made of.
public protocol CodeCache: Sendable {
    /// The code that was kept under the key; nil where there is none.
    func code(for key: String) -> [UInt8]?
    /// Keeps code. Where that fails, it is not kept.
    func keep(_ code: [UInt8], for key: String)
}
