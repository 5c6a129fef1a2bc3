// Conversions between dtypes, by value and by bits, and the roundings to floats narrower than f32 that need no library.

import CLLVM
import KilnIR
import KilnKernels

extension FunctionEmitter {
    /// By value: floats to integers truncate and saturate, integers wrap, to bool is `!= 0`.
    func convert(_ source: Emitted, to target: DType) -> LLVMValueRef {
        let (from, lanes, value) = (source.dtype, source.lanes, source.value)
        if from == target { return value }
        if from.isFloat, !target.isFloat { return toInteger(value, from, target, lanes) }
        if from.isFloat { return floatToFloat(value, from, target, lanes) }
        if target.isFloat { return integerToFloat(value, from, target, lanes) }
        let type = module.type(target, lanes: lanes)
        if target == .bool { return module.compare(LLVMIntNE, value, LLVMConstNull(LLVMTypeOf(value))) }
        if from == .bool { return module.zext(value, type) }
        if target.bitWidth < from.bitWidth { return module.trunc(value, type) }
        if target.bitWidth == from.bitWidth { return value }
        return from.isSigned ? module.sext(value, type) : module.zext(value, type)
    }

    private func toInteger(_ value: LLVMValueRef, _ from: DType, _ target: DType, _ lanes: Int) -> LLVMValueRef {
        let wide = from == .f64 || from == .f32 ? value : widen(value, from, lanes)
        if target == .bool { return module.compare(LLVMRealUNE, wide, LLVMConstNull(LLVMTypeOf(wide))) }
        let type = module.type(target, lanes: lanes)
        return module.intrinsic(target.isSigned ? "llvm.fptosi.sat" : "llvm.fptoui.sat", [type, LLVMTypeOf(wide)], [wide])
    }

    private func integerToFloat(_ value: LLVMValueRef, _ from: DType, _ target: DType, _ lanes: Int) -> LLVMValueRef {
        // What f32 can't hold is beyond f16 and narrower anyway; bf16 must round once, so it goes through f64.
        let step: DType = target == .bf16 ? .f64 : target.isNarrowFloat ? .f32 : target
        let type = module.type(step, lanes: lanes)
        let wide = from.isSigned ? LLVMBuildSIToFP(module.builder, value, type, "")! : LLVMBuildUIToFP(module.builder, value, type, "")!
        return step == target ? wide : floatToFloat(wide, step, target, lanes)
    }

    private func floatToFloat(_ value: LLVMValueRef, _ from: DType, _ target: DType, _ lanes: Int) -> LLVMValueRef {
        if from == .f64 {
            let single = module.vector(module.float, lanes)
            return target == .f32 ? module.fptrunc(value, single) : narrow(roundToOdd(value, lanes), to: target, lanes)
        }
        let single = from == .f32 ? value : widen(value, from, lanes)
        switch target {
        case .f64: return module.fpext(single, module.vector(module.double, lanes))
        case .f32: return single
        default: return narrow(single, to: target, lanes)
        }
    }

    /// The f32 on either side of a double whose last bit is odd, so that a second rounding sees no false tie.
    private func roundToOdd(_ value: LLVMValueRef, _ lanes: Int) -> LLVMValueRef {
        let (single, double) = (module.vector(module.float, lanes), module.vector(module.double, lanes))
        let integer = module.vector(module.i32, lanes)
        let nearest = module.fptrunc(value, single)
        let back = module.fpext(nearest, double)
        let bits = module.bitcast(nearest, integer)
        let infinity = module.splat(constant: module.constant(.real(.infinity), .f64), lanes)
        let magnitude = module.intrinsic("llvm.fabs", [double], [back])
        let isInexact = module.and(module.compare(LLVMRealUNE, back, value), module.compare(LLVMRealOLT, magnitude, infinity))
        let isTooFar = module.compare(LLVMRealOGT, magnitude, module.intrinsic("llvm.fabs", [double], [value]))
        let towardZero = module.sub(bits, module.zext(isTooFar, integer))
        return module.bitcast(module.select(isInexact, module.or(towardZero, module.bits(1, like: integer)), bits), single)
    }

    /// A float narrower than f32 to it, exactly.
    func widen(_ value: LLVMValueRef, _ dtype: DType, _ lanes: Int) -> LLVMValueRef {
        let single = module.vector(module.float, lanes)
        if dtype.byteCount == 1 { return widen8(value, dtype, lanes) }
        if dtype == .f16 { return module.fpext(module.bitcast(value, module.vector(module.half, lanes)), single) }
        let integer = module.vector(module.i32, lanes)
        return module.bitcast(module.shl(module.zext(value, integer), module.bits(16, like: integer)), single)
    }

    /// f32 to a narrower float, to the nearest, ties to even.
    func narrow(_ value: LLVMValueRef, to dtype: DType, _ lanes: Int) -> LLVMValueRef {
        if dtype.byteCount == 1 { return narrow8(value, to: dtype, lanes) }
        let short = module.vector(module.i16, lanes)
        if dtype == .f16 { return module.bitcast(module.fptrunc(value, module.vector(module.half, lanes)), short) }
        if dialect.isPTX { return narrowByPairs(value, lanes) }
        let integer = module.vector(module.i32, lanes)
        func constant(_ bits: UInt64) -> LLVMValueRef { module.bits(bits, like: integer) }
        let bits = module.bitcast(value, integer)
        let top = module.lshr(bits, constant(16))
        let bias = module.add(constant(0x7FFF), module.and(top, constant(1)))
        let rounded = module.lshr(module.add(bits, bias), constant(16))
        let quiet = module.or(module.and(top, constant(0x8000)), constant(0x7FC0))
        return module.trunc(module.select(module.compare(LLVMRealUNO, value, value), quiet, rounded), short)
    }

    /// f32 to bf16 by the instruction that GPUs have for two at a time.
    private func narrowByPairs(_ value: LLVMValueRef, _ lanes: Int) -> LLVMValueRef {
        let builder = module.builder
        guard lanes > 1 else {
            let single = lanes == 0 ? value : LLVMBuildExtractElement(builder, value, module.int64(0), "")!
            return module.bitcast(module.intrinsic("llvm.nvvm.f2bf16.rn", [], [single]), module.vector(module.i16, lanes))
        }
        var words = LLVMGetUndef(module.vector(module.i32, lanes / 2))!
        for pair in 0..<lanes / 2 {
            let halves = (0..<2).map { LLVMBuildExtractElement(builder, value, module.int64(2 * pair + 1 - $0), "")! }
            let word = module.bitcast(module.intrinsic("llvm.nvvm.ff2bf16x2.rn", [], halves), module.i32)
            words = LLVMBuildInsertElement(builder, words, word, module.int64(pair), "")
        }
        return module.bitcast(words, module.vector(module.i16, lanes))
    }

    /// By bits, between dtypes of the same size.
    func reinterpret(_ source: Emitted, as target: DType) throws -> LLVMValueRef {
        guard source.dtype.byteCount == target.byteCount else {
            throw InternalError("llvm", "a bitcast from \(source.dtype) to \(target)")
        }
        let type = module.type(target, lanes: source.lanes)
        if source.dtype == target { return source.value }
        if source.dtype == .bool { return module.zext(source.value, type) }
        if target == .bool { return module.compare(LLVMIntNE, source.value, LLVMConstNull(LLVMTypeOf(source.value))) }
        return module.bitcast(source.value, type)
    }
}
