// The remainder of floats where there is no libm: long division of the significands, as many bits a round as 64 hold. Exact.

import CLLVM
import KilnIR

extension FunctionEmitter {
    /// x - y trunc(x / y) of two f32 or f64, with the sign of x.
    func remainder(_ x: LLVMValueRef, _ y: LLVMValueRef, _ dtype: DType) -> LLVMValueRef {
        let fractionBits = dtype == .f64 ? 52 : 23
        let bias = dtype == .f64 ? 1023 : 127
        let float = module.type(dtype), word = dtype == .f64 ? module.i64 : module.i32
        func number(_ value: Int) -> LLVMValueRef { module.int64(value) }
        func magnitude(_ value: LLVMValueRef) -> LLVMValueRef {
            let bits = module.bitcast(module.intrinsic("llvm.fabs", [float], [value]), word)
            return dtype == .f64 ? bits : module.zext(bits, module.i64)
        }
        let (a, b) = (magnitude(x), magnitude(y))
        let infinity = number((2 * bias + 1) << fractionBits)
        let isInvalid = module.or(module.or(module.compare(LLVMIntUGE, a, infinity), module.compare(LLVMIntUGT, b, infinity)),
                                  module.compare(LLVMIntEQ, b, number(0)))
        let isWhole = module.compare(LLVMIntULT, a, b)
        let early = module.select(isInvalid, module.constant(.real(.nan), dtype), x)
        let before = module.currentBlock
        let (divide, head, round, last, after) = (block("divide"), block("test"), block("rounds"), block("scale"), block("after"))
        module.jump(if: module.or(isInvalid, isWhole), after, else: divide)

        module.position(at: divide)
        func parts(_ bits: LLVMValueRef) -> (significand: LLVMValueRef, exponent: LLVMValueRef) {
            let exponent = module.lshr(bits, number(fractionBits))
            let isNormal = module.compare(LLVMIntNE, exponent, number(0))
            let fraction = module.and(bits, number(1 << fractionBits - 1))
            return (module.or(fraction, module.select(isNormal, number(1 << fractionBits), number(0))),
                    module.select(isNormal, exponent, number(1)))
        }
        let ((m, e), (divisor, exponent)) = (parts(a), parts(b))
        let first = LLVMBuildURem(module.builder, m, divisor, "")!
        let distance = module.sub(e, exponent)
        module.jump(head)

        module.position(at: head)
        let rest = module.phi(module.i64, [(first, divide)]), left = module.phi(module.i64, [(distance, divide)])
        module.jump(if: module.compare(LLVMIntSGT, left, number(0)), round, else: last)

        module.position(at: round)
        let step = module.intrinsic("llvm.umin", [module.i64], [left, number(63 - fractionBits)])
        let next = LLVMBuildURem(module.builder, module.shl(rest, step), divisor, "")!
        module.addIncoming(rest, [(next, round)])
        module.addIncoming(left, [(module.sub(left, step), round)])
        module.jump(head)

        // rest 2^(exponent - bias - fractionBits), by two powers that both are normal; nothing rounds.
        module.position(at: last)
        let scale = module.sub(exponent, number(bias + fractionBits))
        let larger = module.intrinsic("llvm.smax", [module.i64], [scale, number(1 - bias)])
        func power(_ n: LLVMValueRef) -> LLVMValueRef {
            let bits = module.shl(module.add(n, number(bias)), number(fractionBits))
            return module.bitcast(dtype == .f64 ? bits : module.trunc(bits, word), float)
        }
        let wide = LLVMBuildUIToFP(module.builder, rest, float, "")!
        let product = LLVMBuildFMul(module.builder, LLVMBuildFMul(module.builder, wide, power(larger), ""), power(module.sub(scale, larger)), "")!
        let signed = module.intrinsic("llvm.copysign", [float], [product, x])
        module.jump(after)

        module.position(at: after)
        return module.phi(float, [(early, before), (signed, last)])
    }

    private func block(_ name: String) -> LLVMBasicBlockRef { module.block(name, in: function) }
}
