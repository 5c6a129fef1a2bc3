// The meaning of each ScalarFunction in LLVM instructions, on scalars and vectors alike. No fast-math, no contraction:
// every function rounds once to its dtype. Floats narrower than f32 are computed in it.

import CLLVM
import KilnIR
import KilnKernels

extension FunctionEmitter {
    func apply(_ function: ScalarFunction, _ operands: [Emitted], as result: DType) throws -> Emitted {
        guard operands.count == function.arity else { throw InternalError("llvm", "\(function.rawValue) of \(operands.count) operands") }
        let lanes = operands.map(\.lanes).max() ?? 0
        switch function {
        case .convert: return Emitted(value: convert(operands[0], to: result), dtype: result, lanes: lanes)
        case .bitcast: return Emitted(value: try reinterpret(operands[0], as: result), dtype: result, lanes: lanes)
        case .select:
            let (a, b) = (spread(operands[1], lanes), spread(operands[2], lanes))
            return Emitted(value: module.select(operands[0].value, a, b), dtype: result, lanes: lanes)
        default: break
        }
        let dtype = operands[0].dtype
        guard operands.allSatisfy({ $0.dtype == dtype }) else {
            throw InternalError("llvm", "\(function.rawValue) of mixed dtypes \(operands.map(\.dtype.name).joined(separator: ", "))")
        }
        let arguments = operands.map { spread($0, lanes) }
        return Emitted(value: try apply(function, arguments, dtype, lanes), dtype: result, lanes: lanes)
    }

    private func apply(_ function: ScalarFunction, _ x: [LLVMValueRef], _ dtype: DType, _ lanes: Int) throws -> LLVMValueRef {
        if dtype == .bool { return try applyToTruth(function, x) }
        if !dtype.isFloat { return try applyToIntegers(function, x, dtype, lanes) }
        guard dtype.isNarrowFloat else { return try applyToFloats(function, x, dtype, lanes) }
        // The sign bit alone changes; NaN keeps its bits.
        if function == .negate { return module.xor(x[0], module.bits(dtype.byteCount == 1 ? 0x80 : 0x8000, like: LLVMTypeOf(x[0]))) }
        if function == .absolute { return module.and(x[0], module.bits(dtype.byteCount == 1 ? 0x7F : 0x7FFF, like: LLVMTypeOf(x[0]))) }
        if dtype.byteCount == 2, function == .maximum || function == .minimum { return extremeOfShortFloats(function, x[0], x[1], dtype) }
        let wide = try applyToFloats(function, x.map { widen($0, dtype, lanes) }, .f32, lanes)
        return function.isComparison ? wide : narrow(wide, to: dtype, lanes)
    }

    /// By integer comparison, -0 below +0. (LLVM 19 narrows the f32 maximum of two f16 to one that drops NaN.)
    private func extremeOfShortFloats(_ function: ScalarFunction, _ a: LLVMValueRef, _ b: LLVMValueRef, _ dtype: DType) -> LLVMValueRef {
        let type = LLVMTypeOf(a)!
        func constant(_ bits: UInt64) -> LLVMValueRef { module.bits(bits, like: type) }
        // Its own inverse: flips what follows the sign of negative numbers.
        func key(_ x: LLVMValueRef) -> LLVMValueRef { module.xor(x, module.and(module.ashr(x, constant(15)), constant(0x7FFF))) }
        func isNaN(_ x: LLVMValueRef) -> LLVMValueRef {
            module.compare(LLVMIntUGT, module.and(x, constant(0x7FFF)), constant(dtype == .f16 ? 0x7C00 : 0x7F80))
        }
        let extreme = module.intrinsic(function == .maximum ? "llvm.smax" : "llvm.smin", [type], [key(a), key(b)])
        return module.select(module.or(isNaN(a), isNaN(b)), constant(dtype == .f16 ? 0x7E00 : 0x7FC0), key(extreme))
    }

    /// The bits of the f16 that an f32 was widened from; nil where it was not.
    private func shortSource(_ wide: LLVMValueRef, _ lanes: Int) -> LLVMValueRef? {
        guard LLVMIsAFPExtInst(wide) != nil, let source = LLVMGetOperand(wide, 0) else { return nil }
        return module.bitcast(source, module.vector(module.i16, lanes))
    }

    // MARK: Truth values

    private func applyToTruth(_ function: ScalarFunction, _ x: [LLVMValueRef]) throws -> LLVMValueRef {
        switch function {
        case .and, .multiply, .minimum: return module.and(x[0], x[1])
        case .or, .add, .maximum: return module.or(x[0], x[1])
        case .xor, .notEqual: return module.xor(x[0], x[1])
        case .not: return module.not(x[0])
        case .equal: return module.not(module.xor(x[0], x[1]))
        case .less: return module.and(module.not(x[0]), x[1])
        case .lessEqual: return module.or(module.not(x[0]), x[1])
        case .greater: return module.and(x[0], module.not(x[1]))
        case .greaterEqual: return module.or(x[0], module.not(x[1]))
        case .isNaN: return LLVMConstNull(LLVMTypeOf(x[0]))
        case .absolute: return x[0]
        default: throw InternalError("llvm", "\(function.rawValue) of bool")
        }
    }

    // MARK: Integers

    private func applyToIntegers(_ function: ScalarFunction, _ x: [LLVMValueRef], _ dtype: DType, _ lanes: Int) throws -> LLVMValueRef {
        let type = LLVMTypeOf(x[0])!
        let signed = dtype.isSigned
        switch function {
        case .add: return module.add(x[0], x[1])
        case .subtract: return module.sub(x[0], x[1])
        case .multiply: return module.mul(x[0], x[1])
        case .fusedMultiplyAdd: return module.add(module.mul(x[0], x[1]), x[2])
        case .divide, .remainder: return divideIntegers(function, x[0], x[1], dtype, lanes)
        case .negate: return LLVMBuildNeg(module.builder, x[0], "")
        case .absolute: return signed ? module.intrinsic("llvm.abs", [type], [x[0], LLVMConstNull(module.i1)]) : x[0]
        case .maximum: return module.intrinsic(signed ? "llvm.smax" : "llvm.umax", [type], x)
        case .minimum: return module.intrinsic(signed ? "llvm.smin" : "llvm.umin", [type], x)
        case .multiplyHigh: return multiplyHigh(x[0], x[1], dtype, lanes)
        case .floor, .ceil, .round, .truncate: return x[0]
        case .and: return module.and(x[0], x[1])
        case .or: return module.or(x[0], x[1])
        case .xor: return module.xor(x[0], x[1])
        case .not: return module.not(x[0])
        case .shiftLeft, .shiftRight: return shift(function, x[0], x[1], dtype)
        case .equal: return module.compare(LLVMIntEQ, x[0], x[1])
        case .notEqual: return module.compare(LLVMIntNE, x[0], x[1])
        case .less: return module.compare(signed ? LLVMIntSLT : LLVMIntULT, x[0], x[1])
        case .lessEqual: return module.compare(signed ? LLVMIntSLE : LLVMIntULE, x[0], x[1])
        case .greater: return module.compare(signed ? LLVMIntSGT : LLVMIntUGT, x[0], x[1])
        case .greaterEqual: return module.compare(signed ? LLVMIntSGE : LLVMIntUGE, x[0], x[1])
        case .isNaN: return LLVMConstNull(module.vector(module.i1, lanes))
        default: throw InternalError("llvm", "\(function.rawValue) of \(dtype)")
        }
    }

    /// Division that never traps: by zero it gives all ones (the remainder: the dividend), and the least by -1 is the least.
    private func divideIntegers(_ function: ScalarFunction, _ a: LLVMValueRef, _ b: LLVMValueRef, _ dtype: DType,
                                _ lanes: Int) -> LLVMValueRef {
        let type = LLVMTypeOf(a)!
        let isZero = module.compare(LLVMIntEQ, b, LLVMConstNull(type))
        var unsafe = isZero
        if dtype.isSigned {
            let least = module.bits(UInt64(1) << UInt64(dtype.bitWidth - 1), like: type)
            let overflows = module.and(module.compare(LLVMIntEQ, a, least), module.compare(LLVMIntEQ, b, LLVMConstAllOnes(type)))
            unsafe = module.or(unsafe, overflows)
        }
        let divisor = module.select(unsafe, module.bits(1, like: type), b)
        let quotient: LLVMValueRef
        if lanes > 0, dtype.bitWidth <= 32, LLVMIsConstant(b) == 0 {
            // x86 has no vector division of integers. The quotient of 32-bit numbers, rounded to f64, truncates right.
            let wide = module.vector(module.double, lanes)
            let x = dtype.isSigned ? LLVMBuildSIToFP(module.builder, a, wide, "")! : LLVMBuildUIToFP(module.builder, a, wide, "")!
            let y = dtype.isSigned ? LLVMBuildSIToFP(module.builder, divisor, wide, "")! : LLVMBuildUIToFP(module.builder, divisor, wide, "")!
            let ratio = LLVMBuildFDiv(module.builder, x, y, "")
            quotient = dtype.isSigned ? LLVMBuildFPToSI(module.builder, ratio, type, "") : LLVMBuildFPToUI(module.builder, ratio, type, "")
        } else {
            quotient = dtype.isSigned ? LLVMBuildSDiv(module.builder, a, divisor, "") : LLVMBuildUDiv(module.builder, a, divisor, "")
        }
        if function == .divide { return module.select(isZero, LLVMConstAllOnes(type), quotient) }
        return module.select(isZero, a, module.sub(a, module.mul(quotient, divisor)))
    }

    private func multiplyHigh(_ a: LLVMValueRef, _ b: LLVMValueRef, _ dtype: DType, _ lanes: Int) -> LLVMValueRef {
        let wide = module.vector(LLVMIntTypeInContext(module.context, UInt32(dtype.bitWidth * 2)), lanes)
        let x = dtype.isSigned ? module.sext(a, wide) : module.zext(a, wide)
        let y = dtype.isSigned ? module.sext(b, wide) : module.zext(b, wide)
        return module.trunc(module.lshr(module.mul(x, y), module.bits(UInt64(dtype.bitWidth), like: wide)), LLVMTypeOf(a))
    }

    private func shift(_ function: ScalarFunction, _ a: LLVMValueRef, _ b: LLVMValueRef, _ dtype: DType) -> LLVMValueRef {
        let type = LLVMTypeOf(a)!
        if function == .shiftRight, dtype.isSigned {
            let most = module.bits(UInt64(dtype.bitWidth - 1), like: type)
            return module.ashr(a, module.intrinsic("llvm.umin", [type], [b, most]))
        }
        let inRange = module.compare(LLVMIntULT, b, module.bits(UInt64(dtype.bitWidth), like: type))
        let amount = module.select(inRange, b, LLVMConstNull(type))
        let shifted = function == .shiftLeft ? module.shl(a, amount) : module.lshr(a, amount)
        return module.select(inRange, shifted, LLVMConstNull(type))
    }

    // MARK: Floats

    private func applyToFloats(_ function: ScalarFunction, _ x: [LLVMValueRef], _ dtype: DType, _ lanes: Int) throws -> LLVMValueRef {
        let type = LLVMTypeOf(x[0])!
        let builder = module.builder
        switch function {
        case .add: return LLVMBuildFAdd(builder, x[0], x[1], "")
        case .subtract: return LLVMBuildFSub(builder, x[0], x[1], "")
        case .multiply: return LLVMBuildFMul(builder, x[0], x[1], "")
        case .divide: return LLVMBuildFDiv(builder, x[0], x[1], "")
        case .negate: return LLVMBuildFNeg(builder, x[0], "")
        case .absolute: return module.intrinsic("llvm.fabs", [type], x)
        case .maximum, .minimum:
            // Of two f16 that were widened, the extreme is that of the f16; LLVM would narrow to its own, which drops NaN.
            if dtype == .f32, let a = shortSource(x[0], lanes), let b = shortSource(x[1], lanes) {
                return widen(extremeOfShortFloats(function, a, b, .f16), .f16, lanes)
            }
            return module.intrinsic(function == .maximum ? "llvm.maximum" : "llvm.minimum", [type], x)
        case .fusedMultiplyAdd: return module.intrinsic("llvm.fma", [type], x)
        case .floor: return module.intrinsic("llvm.floor", [type], x)
        case .ceil: return module.intrinsic("llvm.ceil", [type], x)
        case .round: return module.intrinsic("llvm.roundeven", [type], x)
        case .truncate: return module.intrinsic("llvm.trunc", [type], x)
        case .squareRoot: return module.intrinsic("llvm.sqrt", [type], x)
        case .reciprocalSquareRoot where dtype != .f32:
            let one = module.splat(constant: module.constant(.real(1), dtype), lanes)
            return LLVMBuildFDiv(builder, one, module.intrinsic("llvm.sqrt", [type], x), "")
        case .equal: return module.compare(LLVMRealOEQ, x[0], x[1])
        case .notEqual: return module.compare(LLVMRealUNE, x[0], x[1])
        case .less: return module.compare(LLVMRealOLT, x[0], x[1])
        case .lessEqual: return module.compare(LLVMRealOLE, x[0], x[1])
        case .greater: return module.compare(LLVMRealOGT, x[0], x[1])
        case .greaterEqual: return module.compare(LLVMRealOGE, x[0], x[1])
        case .isNaN: return module.compare(LLVMRealUNO, x[0], x[0])
        default: return try transcendental(function, x, dtype, lanes)
        }
    }
}
