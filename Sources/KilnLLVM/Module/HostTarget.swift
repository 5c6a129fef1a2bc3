// The processors that Kiln compiles for: the one at hand, asked of LLVM, and a few by name.

import CLLVM
import KilnIR
import KilnKernels

#if canImport(Glibc)
import Glibc
#elseif canImport(Musl)
import Musl
#endif

public enum HostTarget {
    /// The processor that this process runs on.
    public static func detect() -> Target {
        let triple = take(LLVMGetDefaultTargetTriple())
        let features = take(LLVMGetHostCPUFeatures())
        var target = target(triple: triple, processor: take(LLVMGetHostCPUName()), features: features)
        target.level1Bytes = cacheBytes(level: 1) ?? target.level1Bytes
        target.level2Bytes = cacheBytes(level: 2) ?? target.level2Bytes
        return target
    }

    /// The names that `named` knows.
    public static let names = ["host", "x86-64-v3", "x86-64-v4"]

    /// A processor by name; nil for a name that is not known. Other than `host`, a name means the same on every machine.
    public static func named(_ name: String) -> Target? {
        switch name {
        case "host": detect()
        // F16C, FMA and BMI come with v3; the feature list is what vectorBytes is read from.
        case "x86-64-v3": target(triple: "x86_64-unknown-linux-gnu", processor: name, features: "+avx2,+fma,+f16c")
        case "x86-64-v4":
            target(triple: "x86_64-unknown-linux-gnu", processor: name,
                   features: "+avx2,+fma,+f16c,+avx512f,+avx512bw,+avx512cd,+avx512dq,+avx512vl")
        default: nil
        }
    }

    private static func target(triple: String, processor: String, features: String) -> Target {
        let wide = features.split(separator: ",").contains("+avx512f")
        return Target(triple: triple, processor: processor, features: features, vectorBytes: wide ? 64 : 32,
                      vectorRegisters: wide ? 32 : 16)
    }

    private static func cacheBytes(level: Int) -> Int? {
        #if canImport(Glibc)
        let size = sysconf(Int32(level == 1 ? _SC_LEVEL1_DCACHE_SIZE : _SC_LEVEL2_CACHE_SIZE))
        return size > 0 ? Int(size) : nil
        #else
        return nil
        #endif
    }

    private static func take(_ text: UnsafeMutablePointer<CChar>?) -> String {
        guard let text else { return "" }
        defer { LLVMDisposeMessage(text) }
        return String(cString: text)
    }
}
