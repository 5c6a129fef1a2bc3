// Whether a GPU has what a launch asks for. LLVM ends the process where it cannot select an instruction, so all of it is
// checked before.

import KilnIR
import KilnKernels

struct GPUSupport {
    let gpu: GPU

    init(_ gpu: GPU) { self.gpu = gpu }

    func check(_ launch: KernelLaunch, of kernel: Kernel) throws {
        func fail(_ problem: String) throws -> Never {
            throw InternalError("llvm", "kernel \(kernel.name)\(kernel.location.suffix) for \(gpu.name): \(problem)")
        }
        if let reason = launch.maps.isEmpty ? nil : reason(90, "tensor maps") { try fail(reason) }
        if launch.sharedBytes > gpu.sharedBytes { try fail("\(launch.sharedBytes) bytes of shared memory, of \(gpu.sharedBytes)") }
        if launch.usesWorkspace { try fail("a thread block has no workspace") }
        var problem: String?
        for statement in launch.body {
            _ = statement.contains {
                if case .threadBlock(let operation) = $0, let reason = self.reason(against: operation) { problem = problem ?? reason }
                return problem != nil
            }
        }
        if let problem { try fail(problem) }
    }

    private func reason(_ architecture: Int, _ what: String) -> String? {
        gpu.architecture >= architecture ? nil : "\(what) come with sm_\(architecture)"
    }

    /// Why the GPU cannot do this; nil where it can.
    private func reason(against operation: ThreadBlockOperation) -> String? {
        switch operation {
        case .barrier, .warpBarrier, .namedBarrier, .copy, .commitCopies, .waitCopies, .loadMatrices: return nil
        case .multiplyAdd(let kind, _, _, _):
            guard kind == .f8e4m3 || kind == .f8e5m2 else { return nil }
            return reason(89, "products of 8-bit floats")
        case .initialize, .fenceBarriers, .arrive, .expect, .await, .loadTile, .storeTile, .commitTiles, .waitTiles, .fenceShared:
            return reason(90, "TMA and its barriers")
        case .groupFence, .groupMultiplyAdd, .commitGroup, .waitGroup, .registers:
            return gpu.architecture == 90 && gpu.isSpecific ? nil : "four warps multiply together on sm_90a alone"
        }
    }
}
