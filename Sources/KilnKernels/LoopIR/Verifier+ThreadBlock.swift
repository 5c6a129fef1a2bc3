// Checks what thread blocks do together, and where they may.

import KilnIR

extension KernelVerifier {
    func check(_ launch: KernelLaunch, _ scope: inout Scope) throws {
        guard let threadBlock = launch.threadBlock else {
            guard launch.maps.isEmpty else { throw Fault("maps are for thread blocks") }
            return
        }
        guard threadBlock.threads > 0, threadBlock.threads % ThreadBlock.warp == 0, threadBlock.threads <= 1024 else { throw Fault("a thread block of \(threadBlock.threads) threads") }
        guard threadBlock.resident > 0 else { throw Fault("\(threadBlock.resident) resident work items") }
        try add(threadBlock.variable, &scope)
        scope.threadBlock = threadBlock
        for map in launch.maps {
            guard program.buffers.indices.contains(map.buffer) else { throw Fault("there is no buffer \(map.buffer) for a map") }
            guard (1...5).contains(map.sizes.count), map.strides.count == map.sizes.count, map.box.count == map.sizes.count else {
                throw Fault("a map has one to five sizes, and as many strides and sizes of the box")
            }
            guard map.strides.last == 1, map.box.allSatisfy({ 1...256 ~= $0 }) else { throw Fault("a map's last stride is 1, its box 1 to 256 wide") }
            guard [0, 32, 64, 128].contains(map.swizzle) else { throw Fault("a map's swizzle of \(map.swizzle) bytes") }
            let inner = map.box.last! * program.buffers[map.buffer].type.dtype.byteCount
            guard inner % 16 == 0, map.swizzle == 0 || inner <= map.swizzle else { throw Fault("a map's box is \(inner) bytes wide") }
            try check([map.offset] + map.sizes + map.strides, Scope())
        }
    }

    func checkShared(_ local: Local, _ offset: Int, _ scope: Scope) throws {
        guard scope.threadBlock != nil else { throw Fault("shared memory is a thread block's") }
        guard let count = local.count.constant, count >= 0 else { throw Fault("shared memory has a constant number of elements, not \(local.count)") }
        guard offset >= 0, offset % 16 == 0 else { throw Fault("shared memory at \(offset), no multiple of 16") }
    }

    func checkWarp(_ scope: Scope) throws {
        guard scope.threadBlock != nil else { throw Fault("only a thread block's threads work together") }
        guard !scope.isInLanes else { throw Fault("threads work together outside lanes only") }
    }

    func checkAtomic(_ kind: ScatterKind, _ access: Access, _ source: DType, _ scope: Scope) throws {
        try check(access, scope)
        guard !scope.isInLanes else { throw Fault("an atomic inside lanes") }
        let target = try dtype(of: access.memory, scope)
        guard target == source else { throw Fault("combines a \(source) into a \(target)") }
        guard kind != .set, kind != .multiply, target.isInteger, target.byteCount >= 4 else { throw Fault("no atomic \(kind.rawValue) of \(target)") }
        try checkWritable(access)
    }

    private func checkWritable(_ access: Access) throws {
        if case .buffer(let number) = access.memory, !program.buffers[number].isWritable {
            throw Fault("`\(program.buffers[number].name)` can't be written")
        }
    }

    func check(_ operation: ThreadBlockOperation, _ scope: Scope) throws {
        try checkWarp(scope)
        switch operation {
        case .barrier, .warpBarrier, .commitCopies, .fenceBarriers, .commitTiles, .fenceShared, .groupFence, .commitGroup: return
        case .namedBarrier(let number, let threads):
            guard 1...15 ~= number, threads > 0, threads % ThreadBlock.warp == 0, threads <= scope.threadBlock!.threads else { throw Fault("no barrier \(number) of \(threads) threads") }
        case .waitCopies(let pending), .waitTiles(let pending), .waitGroup(let pending):
            guard 0...7 ~= pending else { throw Fault("\(pending) groups in flight") }
        case .copy(let target, let source, let bytes):
            guard [4, 8, 16].contains(bytes) else { throw Fault("copies of \(bytes) bytes") }
            try shared(target, scope)
            let (to, from) = (try dtype(of: target.memory, scope), try dtype(of: source.memory, scope))
            guard to == from, bytes % to.byteCount == 0 else { throw Fault("copies \(bytes) bytes of \(from) to \(to)") }
            guard case .buffer = source.memory else { throw Fault("copies in flight come from buffers") }
            try check(source, scope)
        case .loadMatrices(let target, let source, let count, _):
            guard [1, 2, 4].contains(count) else { throw Fault("\(count) matrices") }
            try shared(source, scope)
            try fragment(target, bytes: count * 4, nil, scope)
        case .multiplyAdd(let kind, let sum, let left, let right):
            try fragment(sum, bytes: 16, kind.accumulator, scope)
            try fragment(left, bytes: 16, nil, scope)
            try fragment(right, bytes: 8, nil, scope)
        case .initialize(let barrier, _), .arrive(let barrier): try self.barrier(barrier, scope)
        case .expect(let barrier, let bytes):
            guard bytes >= 0 else { throw Fault("\(bytes) bytes") }
            try self.barrier(barrier, scope)
        case .await(let barrier, let parity):
            try self.barrier(barrier, scope)
            try check([parity], scope)
        case .loadTile(let target, let map, let at, let barrier):
            try self.barrier(barrier, scope)
            try tile(target, map, at, scope)
        case .storeTile(let map, let at, let source):
            try tile(source, map, at, scope)
            try checkWritable(Access(.buffer(scope.maps[map].buffer), 0))
        case .groupMultiplyAdd(let kind, let columns, let sum, let left, let right, _):
            guard 8...256 ~= columns, columns % (kind.accumulator == .i32 ? 16 : 8) == 0 else { throw Fault("a group's product with \(columns) columns") }
            try fragment(sum, bytes: columns * 2, kind.accumulator, scope)
            for view in [left, right] {
                try shared(view.start, scope)
                guard [0, 32, 64, 128].contains(view.swizzle) else { throw Fault("a swizzle of \(view.swizzle) bytes") }
                guard !view.isTransposed || kind.byteCount == 2 else { throw Fault("only 16-bit elements are read across") }
            }
        case .registers(let count, _):
            guard 24...256 ~= count, count % 8 == 0 else { throw Fault("\(count) registers") }
        }
    }

    private func shared(_ access: Access, _ scope: Scope) throws {
        try check(access, scope)
        guard case .local(let id) = access.memory, case .shared? = scope.locals[id]?.storage else { throw Fault("this takes shared memory") }
    }

    private func barrier(_ access: Access, _ scope: Scope) throws {
        try shared(access, scope)
        guard try dtype(of: access.memory, scope) == .u64 else { throw Fault("a barrier is a u64") }
    }

    private func tile(_ access: Access, _ map: Int, _ at: [Dim], _ scope: Scope) throws {
        try shared(access, scope)
        guard scope.maps.indices.contains(map) else { throw Fault("there is no map \(map)") }
        guard at.count == scope.maps[map].sizes.count else { throw Fault("map \(map) has \(scope.maps[map].sizes.count) axes") }
        try check(at, scope)
    }

    /// Registers of one thread, all at constant addresses.
    private func fragment(_ access: Access, bytes: Int, _ dtype: DType?, _ scope: Scope) throws {
        try check(access, scope)
        guard case .local(let id) = access.memory, let local = scope.locals[id], case .stack = local.storage else { throw Fault("a fragment is a local on the stack") }
        if let dtype, local.dtype != dtype { throw Fault("a fragment of \(local.dtype) where \(dtype) is needed") }
        if let start = access.address.constant, let count = local.count.constant {
            guard start >= 0, (count - start) * local.dtype.byteCount >= bytes else { throw Fault("a fragment of \(bytes) bytes beyond its local") }
        }
    }
}
