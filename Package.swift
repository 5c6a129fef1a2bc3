// swift-tools-version: 6.1
import PackageDescription

let package = Package(
    name: "Kiln",
    products: [
        .library(name: "Kiln", targets: ["Kiln"]),
        .executable(name: "kiln", targets: ["KilnCLI"]),
    ],
    dependencies: [
        .package(url: "https://github.com/apple/swift-argument-parser", from: "1.8.0"),
        .package(url: "https://github.com/apple/swift-collections", from: "1.6.0"),
    ],
    targets: [
        .systemLibrary(name: "CLLVM", pkgConfig: "kiln-llvm-19", providers: [.apt(["llvm-19-dev", "liblld-19-dev"])]),
        .systemLibrary(name: "CZlib", pkgConfig: "zlib", providers: [.apt(["zlib1g-dev"])]),
        .target(name: "CLLD", dependencies: ["CLLVM"], linkerSettings: [.linkedLibrary("lldELF"), .linkedLibrary("lldCommon"), .linkedLibrary("z"), .linkedLibrary("zstd")]),
        .target(name: "KilnRuntime", path: "Runtime", linkerSettings: [.linkedLibrary("m"), .linkedLibrary("pthread")]),
        .target(name: "KilnIR"),
        .target(name: "KilnOps", dependencies: ["KilnIR"]),
        .target(name: "KilnPasses", dependencies: ["KilnIR", "KilnOps"]),
        .target(name: "KilnKernels", dependencies: ["KilnIR", "KilnOps", "KilnPasses"]),
        .target(name: "KilnLLVM", dependencies: ["KilnIR", "KilnKernels", "CLLVM", "CLLD"], plugins: ["EmbedRuntime"]),
        .plugin(name: "EmbedRuntime", capability: .buildTool(), dependencies: ["EmbedTool"], path: "Sources/EmbedRuntime"),
        .executableTarget(name: "EmbedTool"),
        .target(name: "KilnCompiler", dependencies: ["KilnIR", "KilnOps", "KilnPasses", "KilnKernels", "KilnLLVM"]),
        .target(name: "KilnExecution", dependencies: ["KilnIR", "KilnRuntime"]),
        .target(name: "Kiln", dependencies: ["KilnIR", "KilnOps", "KilnPasses", "KilnCompiler", "KilnExecution", "CZlib"]),
        .executableTarget(name: "KilnCLI", dependencies: ["Kiln", "KilnIR", "KilnOps", "KilnPasses", "KilnKernels", "KilnLLVM", "KilnCompiler", "KilnExecution", .product(name: "ArgumentParser", package: "swift-argument-parser")]),
        .testTarget(name: "KilnIRTests", dependencies: ["KilnIR"], path: "Tests/KilnIRTests"),
        .testTarget(name: "LoopIRTests", dependencies: ["KilnIR", "KilnKernels"], path: "Tests/LoopIRTests"),
        .executableTarget(name: "KilnFuzz", dependencies: ["Kiln", "KilnIR", "KilnOps", "KilnKernels"], path: "Tests/Fuzz/KilnFuzz"),
        .testTarget(name: "KilnKernelsTests", dependencies: ["KilnIR", "KilnOps", "KilnKernels"], path: "Tests/KilnKernelsTests"),
        .executableTarget(name: "KilnUlp", dependencies: ["KilnIR", "KilnOps", "KilnKernels", "KilnLLVM", "KilnCompiler", "KilnExecution"], path: "Tests/Benchmarks/KilnUlp"),
        .testTarget(name: "KilnOpsTests", dependencies: ["KilnIR", "KilnOps", "KilnPasses"], path: "Tests/KilnOpsTests"),
        .testTarget(name: "KilnPassesTests", dependencies: ["KilnIR", "KilnOps", "KilnPasses"], path: "Tests/KilnPassesTests"),
        .testTarget(name: "KilnLLVMTests", dependencies: ["KilnIR", "KilnKernels", "KilnLLVM", "KilnRuntime"], path: "Tests/KilnLLVMTests"),
        .testTarget(name: "FileTests", dependencies: ["Kiln", "KilnIR"], path: "Tests/FileTests", exclude: ["Fixtures"]),
        .testTarget(name: "KilnTests", dependencies: ["Kiln"], path: "Tests/KilnTests"),
    ],
    swiftLanguageModes: [.v6],
    cxxLanguageStandard: .cxx17
)
