// What schedules and the backend need to know of a processor; a value that is passed down, never a global.

/// A processor as the compiler sees it.
public struct Target: Hashable, Sendable {
    /// LLVM's target triple.
    public var triple: String
    /// LLVM's name of the processor, such as `znver4`.
    public var processor: String
    /// LLVM's features, such as `+avx512f,+fma`.
    public var features: String
    /// Bytes of a vector register: 64 with AVX-512, 32 with AVX2.
    public var vectorBytes: Int
    public var vectorRegisters: Int
    public var level1Bytes: Int
    public var level2Bytes: Int
    /// What the GPU can do; nil for the host. Where the triple is the host's, the emulated grid runs the kernels.
    public var gpu: GPU?

    public init(triple: String, processor: String, features: String, vectorBytes: Int, vectorRegisters: Int,
                level1Bytes: Int = 32 << 10, level2Bytes: Int = 1 << 20) {
        self.triple = triple
        self.processor = processor
        self.features = features
        self.vectorBytes = vectorBytes
        self.vectorRegisters = vectorRegisters
        self.level1Bytes = level1Bytes
        self.level2Bytes = level2Bytes
    }

    /// The target for a GPU; `triple` is the host's for the emulated grid.
    public init(_ gpu: GPU, triple: String = "nvptx64-nvidia-cuda", processor: String? = nil, features: String? = nil) {
        self.init(triple: triple, processor: processor ?? gpu.name, features: features ?? "+ptx\(gpu.ptxVersion)", vectorBytes: 16, vectorRegisters: 64)
        self.gpu = gpu
    }

    /// Elements of 32 bits in a vector register.
    public var lanes32: Int { vectorBytes / 4 }
}

/// An NVIDIA GPU as schedules see it.
public struct GPU: Hashable, Sendable {
    /// The compute capability times ten, such as 80.
    public var architecture: Int
    /// Whether code may use what only this very architecture has (`sm_90a`: `wgmma`).
    public var isSpecific: Bool
    /// Processors that work is shared among; schedules use it for shapes, so that the results do not depend on the card.
    public var processors: Int
    /// The most shared memory that one work item can have.
    public var sharedBytes: Int
    /// Approximate functions of the hardware, and tf32 for f32's products.
    public var fastMath: Bool

    public init(architecture: Int, isSpecific: Bool = false, processors: Int, sharedBytes: Int, fastMath: Bool = false) {
        self.architecture = architecture
        self.isSpecific = isSpecific
        self.processors = processors
        self.sharedBytes = sharedBytes
        self.fastMath = fastMath
    }

    /// Ampere, and everything after it.
    public static let sm80 = GPU(architecture: 80, processors: 108, sharedBytes: 163 << 10)
    /// Hopper, without what only it has: runs on all that came later too.
    public static let sm90 = GPU(architecture: 90, processors: 132, sharedBytes: 227 << 10)
    /// Hopper, and nothing else.
    public static let sm90a = GPU(architecture: 90, isSpecific: true, processors: 132, sharedBytes: 227 << 10)
    public static let all = [sm80, sm90, sm90a]

    /// The name of the processor, such as `sm_90a`.
    public var name: String { "sm_\(architecture)\(isSpecific ? "a" : "")" }
    /// The version of PTX that its code is written in, such as 80 for 8.0.
    public var ptxVersion: Int { architecture >= 90 ? 80 : 70 }

    /// The GPU with the name; nil where Kiln makes no code for it.
    public init?(name: String) {
        guard let gpu = Self.all.first(where: { $0.name == name }) else { return nil }
        self = gpu
    }
}
