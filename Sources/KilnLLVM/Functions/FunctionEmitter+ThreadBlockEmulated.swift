// What a thread block's threads do together, as calls of the emulator (Runtime/emulator/include/kiln_emulator.h).

import CLLVM
import KilnIR
import KilnKernels

extension FunctionEmitter {
    func emulate(_ operation: ThreadBlockOperation) throws {
        func number(_ value: Int) -> LLVMValueRef { module.integer(module.i32, value) }
        func bool(_ value: Bool) -> LLVMValueRef { LLVMConstInt(module.i1, value ? 1 : 0, 0) }
        func call(_ name: String, _ arguments: LLVMValueRef...) { _ = emulator(name, module.void, arguments) }
        switch operation {
        case .barrier: call("barrier", statementText)
        case .warpBarrier: call("warp_barrier", statementText)
        case .namedBarrier(let barrier, let threads): call("named_barrier", number(barrier), number(threads), statementText)
        case .copy(let target, let source, let bytes):
            let (written, read) = (try predicate(target.conditions), try predicate(source.conditions))
            if written.isNever { return }
            let present = read.isNever ? bool(false) : read.uniform ?? bool(true)
            let (to, from) = (try address(target), try address(source))
            perform(if: written.uniform) { call("copy", to, from, number(bytes), present, self.statementText) }
        case .commitCopies: call("commit_copies")
        case .waitCopies(let pending): call("wait_copies", number(pending))
        case .loadMatrices(let target, let source, let count, let isTransposed):
            call("load_matrices", try address(target), try address(source), number(count), bool(isTransposed), statementText)
        case .multiplyAdd(let kind, let sum, let left, let right):
            call("multiply_add", number(kind.number), try address(sum), try address(left), try address(right), statementText)
        case .initialize(let barrier, let arrivals): call("barrier_initialize", try address(barrier), number(arrivals), statementText)
        case .fenceBarriers: call("fence_barriers")
        case .arrive(let barrier): call("arrive", try address(barrier), statementText)
        case .expect(let barrier, let bytes): call("expect", try address(barrier), number(bytes), statementText)
        case .await(let barrier, let parity):
            call("await", try address(barrier), module.trunc(try scalar(parity), module.i32), statementText)
        case .loadTile(let target, let map, let at, let barrier):
            call("load_tile", try address(target), number(map), try coordinates(at), try address(barrier), statementText)
        case .storeTile(let map, let at, let source): call("store_tile", number(map), try coordinates(at), try address(source), statementText)
        case .commitTiles: call("commit_tiles")
        case .waitTiles(let pending): call("wait_tiles", number(pending))
        case .fenceShared: call("fence_shared")
        case .groupFence: call("group_fence", statementText)
        case .groupMultiplyAdd(let kind, let columns, let sum, let left, let right, let accumulates):
            call("group_multiply_add", number(kind.number), number(columns), try address(sum), try view(left), try view(right),
                 bool(accumulates), statementText)
        case .commitGroup: call("commit_group")
        case .waitGroup(let pending): call("wait_group", number(pending), statementText)
        case .registers(let count, let increases): call("registers", number(count), bool(increases), statementText)
        }
    }

    /// A tile's place as an array of i32, the innermost axis first.
    private func coordinates(_ at: [Dim]) throws -> LLVMValueRef {
        let memory = stackMemory(module.i32, count: at.count, alignment: 8)
        for (axis, position) in at.reversed().enumerated() {
            let value = module.trunc(try scalar(position), module.i32)
            module.store(value, module.offset(memory, module.i32, by: module.int64(axis)), alignment: 4)
        }
        return memory
    }

    /// A kiln_emulated_view.
    private func view(_ view: MatrixView) throws -> LLVMValueRef {
        let memory = stackMemory(module.i64, count: 3, alignment: 8)
        module.store(try address(view.start), memory, alignment: 8)
        for (field, value) in [view.leadingBytes, view.strideBytes, view.swizzle, view.isTransposed ? 1 : 0].enumerated() {
            module.store(module.integer(module.i32, value), module.offset(memory, module.i32, by: module.int64(2 + field)), alignment: 4)
        }
        return memory
    }
}

extension MatrixKind {
    /// The number that the emulator knows it by.
    fileprivate var number: Int { Self.allCases.firstIndex(of: self)! }
}
