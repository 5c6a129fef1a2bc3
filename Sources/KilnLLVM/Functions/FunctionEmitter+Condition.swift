// Conditions on index expressions: what is known stays known, what is the same in all lanes stays one bit, the rest is a mask.

import CLLVM
import KilnIR
import KilnKernels

/// The conjunction of conditions. Both parts nil: it always holds.
struct Predicate {
    var isNever = false
    var uniform: LLVMValueRef?
    var varying: LLVMValueRef?
    var isAlways: Bool { !isNever && uniform == nil && varying == nil }
}

extension FunctionEmitter {
    func predicate(_ conditions: [IndexCondition]) throws -> Predicate {
        var result = Predicate()
        for condition in conditions { try require(condition, &result) }
        return result
    }

    private func require(_ condition: IndexCondition, _ result: inout Predicate) throws {
        let bounds = interval(condition.expression)
        if case .isNonNegative = condition {
            if bounds.isNonNegative { return }
            if let high = bounds.high, high < 0 { return result.isNever = true }
        } else if let low = bounds.low, low > 0 { return result.isNever = true }
        let index = try lower(condition.expression)
        if index.isConstant {
            if !condition.holds(for: index.constant) { result.isNever = true }
        } else if index.isUniform {
            let bit = module.compare(condition.comparison, scalar(index), module.int64(0))
            result.uniform = result.uniform.map { module.and($0, bit) } ?? bit
        } else {
            let mask = varyingMask(condition, index)
            result.varying = result.varying.map { module.and($0, mask) } ?? mask
        }
    }

    /// The lanes in which a condition on a lane-dependent index holds.
    private func varyingMask(_ condition: IndexCondition, _ index: Index) -> LLVMValueRef {
        let width = lanes!.width
        guard let stride = index.constantStride, abs(stride) == 1, width <= 1 << 16 else {
            return module.compare(condition.comparison, vector(index), LLVMConstNull(module.vector(module.i64, width)))
        }
        // One i64 moved into -1...width serves all lanes: `u + lane >= 0` is `lane >= -u`, and `u - lane >= 0` is `lane <= u`.
        var bound = scalar(index.base)
        if stride == 1 { bound = LLVMBuildNSWSub(module.builder, module.int64(0), bound, "") }
        bound = module.intrinsic("llvm.smax", [module.i64], [bound, module.int64(-1)])
        bound = module.intrinsic("llvm.smin", [module.i64], [bound, module.int64(width)])
        let numbers = module.laneNumbers(module.i32, width)
        let bounds = module.splat(module.trunc(bound, module.i32), width)
        if case .isZero = condition { return module.compare(LLVMIntEQ, numbers, bounds) }
        return module.compare(stride == 1 ? LLVMIntSGE : LLVMIntSLE, numbers, bounds)
    }

    /// The condition as one bit, or one for each lane where it depends on the lane.
    func emitted(_ predicate: Predicate) -> Emitted {
        let one = LLVMConstInt(module.i1, 1, 0)!
        if predicate.isNever { return Emitted(value: LLVMConstNull(module.i1), dtype: .bool, lanes: 0) }
        guard let varying = predicate.varying else { return Emitted(value: predicate.uniform ?? one, dtype: .bool, lanes: 0) }
        let width = lanes!.width
        let mask = predicate.uniform.map { module.and(varying, module.splat($0, width)) } ?? varying
        return Emitted(value: mask, dtype: .bool, lanes: width)
    }

    /// The lanes that are there and for which the predicate holds; nil for all of them.
    func mask(_ predicate: Predicate) -> LLVMValueRef? {
        let width = lanes!.width
        var mask = lanes!.mask
        if let varying = predicate.varying { mask = mask.map { module.and($0, varying) } ?? varying }
        if let uniform = predicate.uniform {
            let all = module.splat(uniform, width)
            mask = mask.map { module.and($0, all) } ?? all
        }
        return mask
    }

    /// The mask of lanes `0..<count`; nil where that is certain to be all of them.
    func activeMask(count: Dim, width: Int) throws -> LLVMValueRef? {
        if let low = interval(count).low, low >= width { return nil }
        let index = try lower(count)
        if index.isConstant, index.constant >= width { return nil }
        let limited = module.intrinsic("llvm.smin", [module.i64], [scalar(index), module.int64(width)])
        // Narrow elements need narrow comparisons, or a mask takes several registers to compute.
        let element = width <= 16 ? module.i32 : width <= 64 ? module.i8 : module.i32
        return module.compare(LLVMIntSLT, module.laneNumbers(element, width), module.splat(module.trunc(limited, element), width))
    }
}

extension IndexCondition {
    fileprivate var comparison: LLVMIntPredicate {
        switch self {
        case .isNonNegative: LLVMIntSGE
        case .isZero: LLVMIntEQ
        }
    }

    fileprivate func holds(for value: Int) -> Bool {
        switch self {
        case .isNonNegative: value >= 0
        case .isZero: value == 0
        }
    }
}
