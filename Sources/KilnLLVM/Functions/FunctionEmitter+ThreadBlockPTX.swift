// What a thread block's threads do together, in PTX: barriers, copies in flight and the tensor cores of a warp. Addresses of shared
// memory are 32 bits wide; fragments live in registers between operations, because every address of theirs is a constant.

import CLLVM
import KilnIR
import KilnKernels

extension FunctionEmitter {
    func emitPTX(_ operation: ThreadBlockOperation) throws {
        switch operation {
        case .barrier: _ = module.intrinsic("llvm.nvvm.barrier0", [], [])
        case .warpBarrier: _ = module.intrinsic("llvm.nvvm.bar.warp.sync", [], [module.integer(module.i32, -1)])
        case .namedBarrier(let number, let threads): instruct("bar.sync \(number), \(threads);")
        case .copy(let target, let source, let bytes): try copy(target, source, bytes)
        case .commitCopies: instruct("cp.async.commit_group;")
        case .waitCopies(let pending): instruct("cp.async.wait_group \(pending);")
        case .loadMatrices(let target, let source, let count, let isTransposed): try loadMatrices(target, source, count, isTransposed)
        case .multiplyAdd(let kind, let sum, let left, let right): try multiplyAdd(kind, sum, left, right)
        case .initialize, .fenceBarriers, .arrive, .expect, .await, .loadTile, .storeTile, .commitTiles, .waitTiles, .fenceShared:
            try emitTMA(operation)
        case .groupFence, .groupMultiplyAdd, .commitGroup, .waitGroup, .registers: try emitGroup(operation)
        }
    }

    // MARK: Warps

    /// Moves a value of up to 64 bits between threads, 32 bits at a time.
    func shuffleWords(_ bits: LLVMValueRef, _ width: Int, _ kind: Int, _ operand: LLVMValueRef) -> LLVMValueRef {
        let name = ["bfly", "up", "down", "idx"][kind]
        let limit = module.integer(module.i32, kind == 1 ? 0 : 31)
        func move(_ word: LLVMValueRef) -> LLVMValueRef {
            module.intrinsic("llvm.nvvm.shfl.sync.\(name).i32", [], [module.integer(module.i32, -1), word, operand, limit])
        }
        if width == 32 { return move(bits) }
        if width < 32 { return module.trunc(move(module.zext(bits, module.i32)), LLVMTypeOf(bits)) }
        let low = move(module.trunc(bits, module.i32))
        let high = move(module.trunc(module.lshr(bits, module.int64(32)), module.i32))
        return module.or(module.zext(low, module.i64), module.shl(module.zext(high, module.i64), module.int64(32)))
    }

    // MARK: Copies in flight

    private func copy(_ target: Access, _ source: Access, _ bytes: Int) throws {
        let (written, read) = (try predicate(target.conditions), try predicate(source.conditions))
        if written.isNever { return }
        let to = sharedAddress(try address(target))
        let from = LLVMBuildPtrToInt(module.builder, try address(source), module.i64, "")!
        // Past the second cache alone where that can be said.
        let instruction = "cp.async.\(bytes == 16 ? "cg" : "ca").shared.global [$0], [$1], \(bytes)"
        perform(if: written.uniform) {
            guard !read.isAlways else { return self.instruct("\(instruction);", "r,l", [to, from]) }
            let all = self.module.integer(self.module.i32, bytes), none = LLVMConstNull(self.module.i32)!
            let count = read.isNever ? none : self.module.select(read.uniform!, all, none)
            self.instruct("\(instruction), $2;", "r,l,r", [to, from, count])
        }
    }

    // MARK: Matrices

    private func loadMatrices(_ target: Access, _ source: Access, _ count: Int, _ isTransposed: Bool) throws {
        let fragment = try fragment(target, words: count, module.i32)
        let registers = (0..<count).map { "$\($0)" }.joined(separator: ", ")
        let text = "ldmatrix.sync.aligned.m8n8.x\(count)\(isTransposed ? ".trans" : "").shared.b16 {\(registers)}, [$\(count)];"
        let outputs = Array(repeating: "=r", count: count) + ["r", "~{memory}"]
        let result = assembly(text, words(module.i32, count), outputs.joined(separator: ","), [sharedAddress(try address(source))])
        for number in 0..<count { fragment.store(count == 1 ? result : LLVMBuildExtractValue(module.builder, result, UInt32(number), ""), at: number) }
    }

    private func multiplyAdd(_ kind: MatrixKind, _ sum: Access, _ left: Access, _ right: Access) throws {
        let isInteger = kind.accumulator == .i32
        let element = isInteger ? module.i32 : module.float
        let (sums, a, b) = (try fragment(sum, words: 4, element), try fragment(left, words: 4, module.i32), try fragment(right, words: 2, module.i32))
        let types = isInteger ? "s32.\(kind.ptx).\(kind.ptx).s32" : "f32.\(kind.ptx).\(kind.ptx).f32"
        let text = "mma.sync.aligned.m16n8k\(kind.depth).row.col.\(types) {$0, $1, $2, $3}, {$4, $5, $6, $7}, {$8, $9}, {$0, $1, $2, $3};"
        let register = isInteger ? "=r" : "=f"
        let constraints = Array(repeating: register, count: 4) + Array(repeating: "r", count: 6) + ["0", "1", "2", "3"]
        let operands = a.load() + b.load() + sums.load()
        let result = assembly(text, words(element, 4), constraints.joined(separator: ","), operands, isPure: true)
        for number in 0..<4 { sums.store(LLVMBuildExtractValue(module.builder, result, UInt32(number), ""), at: number) }
    }

    // MARK: Parts

    /// A local on the stack as registers of 32 bits.
    struct Fragment {
        let emitter: FunctionEmitter
        let start: LLVMValueRef
        let word: LLVMTypeRef
        let count: Int
        let alignment: Int

        private func address(_ number: Int) -> LLVMValueRef {
            number == 0 ? start : emitter.module.offset(start, word, by: emitter.module.int64(number))
        }
        func load() -> [LLVMValueRef] { (0..<count).map { emitter.module.load(word, address($0), alignment: alignment) } }
        func store(_ value: LLVMValueRef, at number: Int) { emitter.module.store(value, address(number), alignment: alignment) }
    }

    func fragment(_ access: Access, words: Int, _ word: LLVMTypeRef) throws -> Fragment {
        let place = try place(access.memory)
        return Fragment(emitter: self, start: try address(access), word: word, count: words, alignment: min(4, alignment(place, access.address)))
    }

    /// What an instruction with as many results gives.
    func words(_ word: LLVMTypeRef, _ count: Int) -> LLVMTypeRef {
        if count == 1 { return word }
        var types: [LLVMTypeRef?] = Array(repeating: word, count: count)
        return LLVMStructTypeInContext(module.context, &types, UInt32(count), 0)
    }

    /// The 32-bit address of shared memory.
    func sharedAddress(_ pointer: LLVMValueRef) -> LLVMValueRef { LLVMBuildPtrToInt(module.builder, pointer, module.i32, "") }

    /// An instruction without results that reads or writes memory, or waits.
    func instruct(_ text: String, _ constraints: String = "", _ operands: [LLVMValueRef] = []) {
        _ = assembly(text, module.void, constraints.isEmpty ? "~{memory}" : constraints + ",~{memory}", operands)
    }

    /// PTX in place. What is not pure stays where it is among the others.
    func assembly(_ text: String, _ result: LLVMTypeRef, _ constraints: String, _ operands: [LLVMValueRef], isPure: Bool = false) -> LLVMValueRef {
        let type = module.functionType(result, operands.map { LLVMTypeOf($0) })
        let code = LLVMGetInlineAsm(type, text, text.utf8.count, constraints, constraints.utf8.count, isPure ? 0 : 1, 0, LLVMInlineAsmDialectATT, 0)!
        let call = module.call(code, type, operands)
        module.addCallAttributes(["nounwind", "convergent"], to: call)
        return call
    }
}

extension MatrixKind {
    /// PTX's name of the elements' type.
    var ptx: String {
        switch self {
        case .f16, .bf16, .tf32, .u8: rawValue
        case .i8: "s8"
        case .f8e4m3: "e4m3"
        case .f8e5m2: "e5m2"
        }
    }
}
