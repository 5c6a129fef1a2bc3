// What a thread block's threads do together. Each operation becomes PTX or a call of the emulator; what is checked or computed for
// both stands here.

import CLLVM
import KilnIR
import KilnKernels

extension FunctionEmitter {
    func emit(_ operation: ThreadBlockOperation) throws {
        guard lanes == nil else { throw InternalError("llvm", "threads work together inside lanes") }
        switch dialect {
        case .host: throw InternalError("llvm", "a host's task has no thread block")
        case .ptx: try emitPTX(operation)
        case .emulated: try emulate(operation)
        }
    }

    func emitShuffle(_ value: Emitted, _ shuffle: Shuffle) throws -> Emitted {
        guard value.lanes == 0 else { throw InternalError("llvm", "a shuffle inside lanes") }
        let (kind, operand): (Int, LLVMValueRef) = switch shuffle {
        case .xor(let mask): (0, module.integer(module.i32, mask))
        case .up(let count): (1, module.integer(module.i32, count))
        case .down(let count): (2, module.integer(module.i32, count))
        case .lane(let lane): (3, module.trunc(try scalar(lane), module.i32))
        }
        let width = value.dtype == .bool ? 1 : value.dtype.bitWidth
        let integer = LLVMIntTypeInContext(module.context, UInt32(width))!
        let bits = module.bitcast(value.value, integer)
        let moved: LLVMValueRef
        switch dialect {
        case .host: throw InternalError("llvm", "a host's task has no thread block")
        case .ptx: moved = shuffleWords(bits, width, kind, operand)
        case .emulated:
            let word = width == 64 ? bits : module.zext(bits, module.i64)
            let result = emulator("shuffle", module.i64, [word, module.integer(module.i32, kind), operand, statementText])
            moved = width == 64 ? result : module.trunc(result, integer)
        }
        return Emitted(value: module.bitcast(moved, LLVMTypeOf(value.value)), dtype: value.dtype, lanes: 0)
    }

    func emitVote(_ vote: Vote, _ value: Emitted) throws -> Emitted {
        guard value.lanes == 0, value.dtype == .bool else { throw InternalError("llvm", "a vote on \(value.lanes) lanes of \(value.dtype)") }
        switch dialect {
        case .host: throw InternalError("llvm", "a host's task has no thread block")
        case .ptx:
            let result = module.intrinsic("llvm.nvvm.vote.\(vote.rawValue).sync", [], [module.integer(module.i32, -1), value.value])
            return Emitted(value: result, dtype: vote == .ballot ? .u32 : .bool, lanes: 0)
        case .emulated:
            let kind = vote == .any ? 0 : vote == .all ? 1 : 2
            let word = emulator("vote", module.i32, [value.value, module.integer(module.i32, kind), statementText])
            if vote == .ballot { return Emitted(value: word, dtype: .u32, lanes: 0) }
            return Emitted(value: module.compare(LLVMIntNE, word, LLVMConstNull(module.i32)), dtype: .bool, lanes: 0)
        }
    }

    func emitAtomic(_ kind: ScatterKind, _ access: Access, _ value: Emitted) throws {
        guard lanes == nil else { throw InternalError("llvm", "an atomic inside lanes") }
        let place = try place(access.memory)
        let predicate = try predicate(access.conditions)
        if predicate.isNever { return }
        let start = pointer(place, try lower(access.address))
        let isSigned = place.dtype.isSigned
        let code: (number: Int, operation: LLVMAtomicRMWBinOp) = switch kind {
        case .add: (0, LLVMAtomicRMWBinOpAdd)
        case .maximum: (1, isSigned ? LLVMAtomicRMWBinOpMax : LLVMAtomicRMWBinOpUMax)
        case .minimum: (2, isSigned ? LLVMAtomicRMWBinOpMin : LLVMAtomicRMWBinOpUMin)
        case .set, .multiply: throw InternalError("llvm", "no atomic \(kind.rawValue)")
        }
        guard place.dtype.isInteger, place.dtype.byteCount >= 4, !dialect.isHost else { throw InternalError("llvm", "an atomic of \(place.dtype)") }
        perform(if: predicate.uniform) {
            if self.dialect.isPTX {
                self.mark(LLVMBuildAtomicRMW(self.module.builder, code.operation, start, value.value, LLVMAtomicOrderingMonotonic, 0), place)
                return
            }
            let word = place.dtype.byteCount == 8 ? value.value : self.module.zext(value.value, self.module.i64)
            _ = self.emulator("atomic", self.module.void, [
                start, LLVMConstInt(self.module.i1, place.space == .shared ? 1 : 0, 0), word, self.module.integer(self.module.i32, code.number),
                self.module.integer(self.module.i32, Int(place.dtype.rawValue)), self.statementText,
            ])
        }
    }

    /// The address of an access that is the same in all lanes; its conditions are the caller's affair.
    func address(_ access: Access) throws -> LLVMValueRef {
        let index = try lower(access.address)
        guard index.isUniform else { throw InternalError("llvm", "a thread block's operation depends on the lane") }
        return pointer(try place(access.memory), index)
    }

    // MARK: The emulator

    /// Calls `kiln_emu_…` for the running thread, an emulated kernel's first parameter.
    func emulator(_ name: String, _ result: LLVMTypeRef, _ arguments: [LLVMValueRef]) -> LLVMValueRef {
        let all = [LLVMGetParam(function, 0)!] + arguments
        let type = module.functionType(result, all.map { LLVMTypeOf($0) })
        let isKnown = LLVMGetNamedFunction(module.module, "kiln_emu_\(name)") != nil
        let function = module.external("kiln_emu_\(name)", type, attributes: ["nounwind", "convergent"])
        if !isKnown {
            // C's bool.
            for (position, argument) in all.enumerated() where LLVMTypeOf(argument) == module.i1 {
                module.addAttribute("zeroext", to: function, parameter: position)
            }
        }
        return module.call(function, type, all)
    }

    /// The statement's text, which findings quote.
    var statementText: LLVMValueRef {
        guard let statement, let describe else { return LLVMConstNull(module.pointer) }
        return module.text(describe(statement))
    }
}
