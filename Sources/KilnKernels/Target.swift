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

    /// Elements of 32 bits in a vector register.
    public var lanes32: Int { vectorBytes / 4 }
}
