// The 8-bit floats from and to f32, in a few branchless instructions that all targets have and all vectorise.

import CLLVM
import KilnIR

extension FunctionEmitter {
    /// To f32, exactly: f8e5m2 is the upper half of an f16, and f8e4m3 the fields of one that is 256 times too small.
    func widen8(_ value: LLVMValueRef, _ dtype: DType, _ lanes: Int) -> LLVMValueRef {
        let (short, single) = (module.vector(module.i16, lanes), module.vector(module.float, lanes))
        let half = module.vector(module.half, lanes)
        func constant(_ bits: UInt64) -> LLVMValueRef { module.bits(bits, like: short) }
        let bits = module.zext(value, short)
        // The exponent of an f16.
        if dtype.format?.exponentBits == 5 { return module.fpext(module.bitcast(module.shl(bits, constant(8)), half), single) }
        let magnitude = module.and(bits, constant(0x7F))
        let sign = module.shl(module.and(bits, constant(0x80)), constant(8))
        let isNaN = module.compare(LLVMIntEQ, magnitude, constant(0x7F))
        let fields = module.select(isNaN, constant(0x7E00), module.shl(magnitude, constant(7)))
        let small = module.fpext(module.bitcast(module.or(fields, sign), half), single)
        return LLVMBuildFMul(module.builder, small, module.splat(constant: module.constant(.real(256), .f32), lanes), "")
    }

    /// To the nearest, ties to even. What is too large becomes 448 in f8e4m3 and infinity in f8e5m2; NaN becomes 0x7F.
    func narrow8(_ value: LLVMValueRef, to dtype: DType, _ lanes: Int) -> LLVMValueRef {
        let (integer, single) = (module.vector(module.i32, lanes), module.vector(module.float, lanes))
        func constant(_ bits: UInt64) -> LLVMValueRef { module.bits(bits, like: integer) }
        let format = Float8(dtype)
        let (fractionBits, leastExponent, greatest) = (UInt64(format.fractionBits), UInt64(127 + format.leastExponent), UInt64(format.greatest))
        let dropped = 23 - fractionBits
        let bits = module.bitcast(value, integer)
        let magnitude = module.and(bits, constant(0x7FFF_FFFF))
        // Normal numbers: half a unit less one, and one more where the last bit that stays is odd; a carry goes into the exponent.
        let odd = module.and(module.lshr(magnitude, constant(dropped)), constant(1))
        let rebias = constant(UInt64(truncatingIfNeeded: (1 << (dropped - 1) - 1) - Int64((leastExponent - 1) << 23)) & 0xFFFF_FFFF)
        let normal = module.lshr(module.add(module.add(magnitude, rebias), odd), constant(dropped))
        // Smaller ones: the addition of a number whose last bit is worth a unit of theirs rounds them to it.
        let unit = constant((leastExponent + dropped) << 23)
        let sum = LLVMBuildFAdd(module.builder, module.bitcast(magnitude, single), module.bitcast(unit, single), "")!
        let small = module.sub(module.bitcast(sum, integer), unit)
        let isSmall = module.compare(LLVMIntULT, magnitude, constant(leastExponent << 23))
        let finite = module.intrinsic("llvm.umin", [integer], [module.select(isSmall, small, normal), constant(greatest)])
        let code = module.select(module.compare(LLVMIntUGT, magnitude, constant(0x7F80_0000)), constant(0x7F), finite)
        return module.trunc(module.or(code, module.and(module.lshr(bits, constant(24)), constant(0x80))), module.vector(module.i8, lanes))
    }
}
