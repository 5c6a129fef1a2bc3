// Which extensions of the processor compiled code may use, as the runtime knows them. In: a target. Out: a set of bits for the program's
// table, which the runtime compares with the processor before any of the code runs.

import KilnKernels

/// A set of the processor's extensions, a bit for each KILN_CPU_ code of kiln_abi.h.
public struct CPUFeatures: Equatable, Sendable {
    public let bits: UInt64

    /// LLVM's names, by code. What LLVM uses on its own; extensions that take an intrinsic, or an operating system's privileges, are none of
    /// a program's needs.
    public static let names = [
        "sse3", "ssse3", "sse4.1", "sse4.2", "popcnt", "cx16", "movbe", "lzcnt", "bmi", "bmi2", "avx", "f16c", "fma", "avx2", "gfni", "avxvnni",
        "avxifma", "avxneconvert", "avxvnniint8", "avxvnniint16", "avx512f", "avx512cd", "avx512dq", "avx512bw", "avx512vl", "avx512ifma",
        "avx512vbmi", "avx512vbmi2", "avx512vnni", "avx512bitalg", "avx512vpopcntdq", "avx512bf16", "avx512fp16", "sse4a", "xop", "fma4", "tbm",
    ]

    /// What the levels of x86-64 add to each other.
    private static let levels: [(processor: String, names: [String])] = [
        ("x86-64-v2", ["sse3", "ssse3", "sse4.1", "sse4.2", "popcnt", "cx16"]),
        ("x86-64-v3", ["movbe", "lzcnt", "bmi", "bmi2", "avx", "f16c", "fma", "avx2"]),
        ("x86-64-v4", ["avx512f", "avx512cd", "avx512dq", "avx512bw", "avx512vl"]),
    ]

    /// The extensions that code for the target may use: those of its list, and where its processor is a level those of the level.
    init(_ target: Target) {
        var names = target.features.split(separator: ",").filter { $0.hasPrefix("+") }.map { String($0.dropFirst()) }
        if let level = Self.levels.firstIndex(where: { $0.processor == target.processor }) { names += Self.levels[...level].flatMap(\.names) }
        bits = names.reduce(0) { set, name in Self.names.firstIndex(of: name).map { set | 1 << UInt64($0) } ?? set }
    }
}
