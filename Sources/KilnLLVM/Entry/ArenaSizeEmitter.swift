// `i64 NAME_arena_size(const i64 *symbols, i64 workers)`: the bytes of scratch of a call, or -1 where 64 bits do not hold them.
// A device's has no workers.
// Every step is checked, because the symbols come from the caller.

import CLLVM
import KilnIR
import KilnKernels

struct ArenaSizeEmitter {
    let module: Module
    let program: Program
    let target: Target
    /// What the function's name starts with.
    let prefix: String
    var isDevice = false

    /// A number with whether computing it overflowed.
    private struct Checked {
        var value: LLVMValueRef
        var failed: LLVMValueRef
    }

    func emit() throws -> LLVMValueRef {
        let type = module.functionType(module.i64, [module.pointer] + (isDevice ? [] : [module.i64]))
        let function = LLVMAddFunction(module.module, "\(prefix)_arena_size", type)!
        LLVMSetVisibility(function, LLVMHiddenVisibility)
        module.addTargetAttributes(target, to: function)
        module.position(at: module.block("entry", in: function))
        let symbols = LLVMGetParam(function, 0)!
        let shared = try lower(program.arenaSize.roundedUp(to: 64), symbols)
        var total = shared
        if !isDevice {
            let each = try lower(program.workspaceSize.roundedUp(to: 64), symbols)
            let workers = Checked(value: LLVMGetParam(function, 1), failed: LLVMConstNull(module.i1))
            total = combine("llvm.sadd", shared, combine("llvm.smul", each, workers))
        }
        let isNegative = module.compare(LLVMIntSLT, total.value, module.int64(0))
        LLVMBuildRet(module.builder, module.select(module.or(total.failed, isNegative), module.int64(-1), total.value))
        return function
    }

    private func constant(_ value: Int) -> Checked { Checked(value: module.int64(value), failed: LLVMConstNull(module.i1)) }

    private func lower(_ dim: Dim, _ symbols: LLVMValueRef) throws -> Checked {
        try dim.terms.reduce(constant(0)) { sum, term in
            let product = try term.atoms.reduce(constant(term.coefficient)) { combine("llvm.smul", $0, try lower($1, symbols)) }
            return combine("llvm.sadd", sum, product)
        }
    }

    private func lower(_ atom: DimAtom, _ symbols: LLVMValueRef) throws -> Checked {
        switch atom {
        case .symbol(let name):
            guard let number = program.symbols.firstIndex(of: name) else { throw InternalError("llvm", "\(name) is no symbol of the program") }
            let value = module.load(module.i64, module.offset(symbols, module.i64, by: module.int64(number)), alignment: 8)
            return Checked(value: value, failed: LLVMConstNull(module.i1))
        case .index(let i): throw InternalError("llvm", "the arena's size depends on the index d\(i)")
        case .floorDivide(let a, let b): return floorDivide(try lower(a, symbols), try lower(b, symbols))
        case .maximum(let a, let b): return choose("llvm.smax", try lower(a, symbols), try lower(b, symbols))
        case .minimum(let a, let b): return choose("llvm.smin", try lower(a, symbols), try lower(b, symbols))
        }
    }

    private func combine(_ name: String, _ a: Checked, _ b: Checked) -> Checked {
        let pair = module.intrinsic(name + ".with.overflow", [module.i64], [a.value, b.value])
        let value = LLVMBuildExtractValue(module.builder, pair, 0, "")!
        let overflow = LLVMBuildExtractValue(module.builder, pair, 1, "")!
        return Checked(value: value, failed: module.or(overflow, module.or(a.failed, b.failed)))
    }

    private func choose(_ name: String, _ a: Checked, _ b: Checked) -> Checked {
        Checked(value: module.intrinsic(name, [module.i64], [a.value, b.value]), failed: module.or(a.failed, b.failed))
    }

    /// A divisor of zero is the size of an empty tensor; it counts as one.
    private func floorDivide(_ a: Checked, _ b: Checked) -> Checked {
        let divisor = module.intrinsic("llvm.smax", [module.i64], [b.value, module.int64(1)])
        let quotient = LLVMBuildSDiv(module.builder, a.value, divisor, "")!
        let rest = module.sub(a.value, module.mul(quotient, divisor))
        let down = module.sext(module.compare(LLVMIntSLT, rest, module.int64(0)), module.i64)
        return Checked(value: module.add(quotient, down), failed: module.or(a.failed, b.failed))
    }
}
