// The text of what thread blocks do together.

import KilnIR

extension ProgramPrinter {
    func text(_ map: TensorMap) -> String {
        let sizes = map.sizes.map(\.description).joined(separator: ", ")
        let strides = map.strides.map(\.description).joined(separator: ", ")
        let box = map.box.map(\.description).joined(separator: ", ")
        return "map \(buffer(map.buffer))[\(map.offset)] sizes (\(sizes)) strides (\(strides)) box (\(box)) swizzle \(map.swizzle)"
    }

    func text(_ shuffle: Shuffle) -> String {
        switch shuffle {
        case .xor(let mask): "xor \(mask)"
        case .up(let count): "up \(count)"
        case .down(let count): "down \(count)"
        case .lane(let lane): "lane \(lane)"
        }
    }

    func text(_ operation: ThreadBlockOperation) -> String {
        switch operation {
        case .barrier: "barrier"
        case .warpBarrier: "warp_barrier"
        case .namedBarrier(let number, let threads): "named_barrier \(number) of \(threads)"
        case .copy(let target, let source, let bytes): "copy \(text(target)) = \(text(source)) bytes \(bytes)"
        case .commitCopies: "commit_copies"
        case .waitCopies(let pending): "wait_copies \(pending)"
        case .loadMatrices(let target, let source, let count, let isTransposed):
            "load_matrices \(text(target)) = \(text(source)) count \(count)\(isTransposed ? " transposed" : "")"
        case .multiplyAdd(let kind, let sum, let left, let right):
            "multiply_add \(kind.rawValue) \(text(sum)) += \(text(left)) * \(text(right))"
        case .initialize(let barrier, let arrivals): "initialize \(text(barrier)) arrivals \(arrivals)"
        case .fenceBarriers: "fence_barriers"
        case .arrive(let barrier): "arrive \(text(barrier))"
        case .expect(let barrier, let bytes): "expect \(text(barrier)) bytes \(bytes)"
        case .await(let barrier, let parity): "await \(text(barrier)) parity \(parity)"
        case .loadTile(let target, let map, let at, let barrier):
            "load_tile \(text(target)) = \(map) (\(list(at))) barrier \(text(barrier))"
        case .storeTile(let map, let at, let source): "store_tile \(map) (\(list(at))) = \(text(source))"
        case .commitTiles: "commit_tiles"
        case .waitTiles(let pending): "wait_tiles \(pending)"
        case .fenceShared: "fence_shared"
        case .groupFence: "group_fence"
        case .groupMultiplyAdd(let kind, let columns, let sum, let left, let right, let accumulates):
            "group_multiply_add \(kind.rawValue) \(columns) \(text(sum)) \(accumulates ? "+=" : "=") \(text(left)) * \(text(right))"
        case .commitGroup: "commit_group"
        case .waitGroup(let pending): "wait_group \(pending)"
        case .registers(let count, let increases): "registers \(increases ? "up" : "down") \(count)"
        }
    }

    private func list(_ dims: [Dim]) -> String { dims.map(\.description).joined(separator: ", ") }

    private func text(_ view: MatrixView) -> String {
        "\(text(view.start)) leading \(view.leadingBytes) stride \(view.strideBytes) swizzle \(view.swizzle)\(view.isTransposed ? " transposed" : "")"
    }
}
