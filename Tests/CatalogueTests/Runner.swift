// Where kernels are tried: on the host, or as a GPU's on the emulated grid, whose orders of threads a seed decides.

import KilnExecution
import KilnIR
import KilnKernels
import KilnLLVM
import Synchronization
import Testing

/// What graphs are compiled for and run on.
enum Runner: Sendable, CustomTestStringConvertible {
    case host
    /// Kernels for each of these GPUs, on the emulated grid.
    case grid([GPU])

    static let grids = Runner.grid([.sm80, .sm90a])
    static let all = [host, grids]

    var testDescription: String {
        switch self {
        case .host: "host"
        case .grid(let gpus): gpus.map(\.name).joined(separator: " and ")
        }
    }

    /// The targets to compile for.
    var targets: [Target] {
        let host = Compiled.options.target
        return switch self {
        case .host: [host]
        case .grid(let gpus): gpus.map { Target($0, triple: host.triple, processor: host.processor, features: host.features) }
        }
    }

    /// How many of so many random cases are tried: a quarter on the grid, which is slow.
    func share(of count: Int) -> Int {
        switch self {
        case .host: count
        case .grid: count / 4
        }
    }

    /// On the grid everything runs in two orders, which must give the same bits; the host has none to choose.
    var seeds: [UInt64] {
        switch self {
        case .host: [1]
        case .grid: [1, 2]
        }
    }
}

/// Emulated grids that no test is using: a grid serves one at a time.
enum Grids {
    private struct Key: Hashable {
        let gpu: GPU
        let seed: UInt64
    }

    private static let free = Mutex<[Key: [Accelerator]]>([:])

    static func withGrid<T>(_ gpu: GPU, seed: UInt64, _ body: (Accelerator) throws -> T) throws -> T {
        let key = Key(gpu: gpu, seed: seed)
        let known = free.withLock { $0[key]?.popLast() }
        let grid = try known ?? Accelerator.emulated(architecture: gpu.architecture, isSpecific: gpu.isSpecific, seed: seed)
        defer { free.withLock { $0[key, default: []].append(grid) } }
        return try body(grid)
    }
}
