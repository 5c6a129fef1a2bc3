// Index expressions to i64 arithmetic: what is the same in all lanes stays scalar, and what steps from lane to lane by a
// constant stays a stride, so that loads and stores see it.

import CLLVM
import KilnIR
import KilnKernels

/// A lowered index: `constant + Σ parts + lane * (laneConstant + laneStride) + varying`.
struct Index {
    var constant = 0
    /// Scalars, at most one for each loop depth, outermost first: LICM moves each partial sum as far out as it goes.
    var parts: [(depth: Int, value: LLVMValueRef)] = []
    var laneConstant = 0
    var laneStride: LLVMValueRef?
    var varying: LLVMValueRef?

    var isUniform: Bool { laneConstant == 0 && laneStride == nil && varying == nil }
    var isConstant: Bool { isUniform && parts.isEmpty }
    /// The step from lane to lane, where it is a constant.
    var constantStride: Int? { varying == nil && laneStride == nil ? laneConstant : nil }
    var depth: Int { parts.last?.depth ?? 0 }
    /// The same without what depends on the lane.
    var base: Index { Index(constant: constant, parts: parts) }
}

extension FunctionEmitter {
    func lower(_ dim: Dim) throws -> Index {
        if case .constant(let value) = dim { return Index(constant: value) }
        var sum = Index()
        for term in dim.terms {
            var product = Index(constant: term.coefficient)
            for atom in term.atoms { product = multiply(product, try lower(atom)) }
            sum = add(sum, product)
        }
        return sum
    }

    private func lower(_ atom: DimAtom) throws -> Index {
        switch atom {
        case .symbol(let name): return Index(parts: [(0, try symbol(name))])
        case .index(let i):
            switch variables[i] {
            case .constant(let value): return Index(constant: value)
            case .uniform(let value, let depth): return Index(parts: [(depth, value)])
            case .lane: return Index(laneConstant: 1)
            case .varying(let value): return Index(varying: value)
            case .position(let index): return index
            case nil: throw InternalError("llvm", "index variable d\(i) is not in scope")
            }
        case .floorDivide(let a, let b):
            return try floorDivide(try lower(a), try lower(b), numerator: interval(a), divisor: interval(b))
        case .maximum(let a, let b): return combine(try lower(a), try lower(b), "llvm.smax", max)
        case .minimum(let a, let b): return combine(try lower(a), try lower(b), "llvm.smin", min)
        }
    }

    // MARK: Arithmetic

    func add(_ a: Index, _ b: Index) -> Index {
        var sum = a
        sum.constant &+= b.constant
        for part in b.parts {
            if let position = sum.parts.firstIndex(where: { $0.depth >= part.depth }) {
                if sum.parts[position].depth == part.depth {
                    sum.parts[position].value = module.indexAdd(sum.parts[position].value, part.value)
                } else { sum.parts.insert(part, at: position) }
            } else { sum.parts.append(part) }
        }
        sum.laneConstant &+= b.laneConstant
        sum.laneStride = add(a.laneStride, b.laneStride)
        sum.varying = add(a.varying, b.varying)
        return sum
    }

    private func add(_ a: LLVMValueRef?, _ b: LLVMValueRef?) -> LLVMValueRef? {
        guard let a else { return b }
        return b.map { module.indexAdd(a, $0) } ?? a
    }

    func multiply(_ a: Index, _ b: Index) -> Index {
        if a.isConstant { return scale(b, by: a.constant) }
        if b.isConstant { return scale(a, by: b.constant) }
        guard a.isUniform || b.isUniform else {
            return Index(varying: module.indexMul(vector(a), vector(b)))
        }
        let (uniform, other) = a.isUniform ? (a, b) : (b, a)
        let factor = scalar(uniform)
        var product = Index()
        let base = other.base
        if base.constant != 0 || !base.parts.isEmpty {
            product.parts = [(max(uniform.depth, base.depth), module.indexMul(factor, scalar(base)))]
        }
        if other.laneConstant != 0 || other.laneStride != nil {
            product.laneStride = module.indexMul(factor, laneStride(other))
        }
        product.varying = other.varying.map { module.indexMul(module.splat(factor, lanes!.width), $0) }
        return product
    }

    private func scale(_ a: Index, by factor: Int) -> Index {
        if factor == 1 { return a }
        if factor == 0 { return Index() }
        var product = Index(constant: a.constant &* factor, laneConstant: a.laneConstant &* factor)
        product.parts = a.parts.map { ($0.depth, module.indexMul($0.value, module.int64(factor))) }
        product.laneStride = a.laneStride.map { module.indexMul($0, module.int64(factor)) }
        product.varying = a.varying.map { module.indexMul($0, module.splat(module.int64(factor), lanes!.width)) }
        return product
    }

    private func combine(_ a: Index, _ b: Index, _ intrinsic: String, _ known: (Int, Int) -> Int) -> Index {
        if a.isConstant, b.isConstant { return Index(constant: known(a.constant, b.constant)) }
        if a.isUniform, b.isUniform {
            return Index(parts: [(max(a.depth, b.depth), module.intrinsic(intrinsic, [module.i64], [scalar(a), scalar(b)]))])
        }
        let type = module.vector(module.i64, lanes!.width)
        return Index(varying: module.intrinsic(intrinsic, [type], [vector(a), vector(b)]))
    }

    // MARK: Division

    private func floorDivide(_ a: Index, _ b: Index, numerator: Interval, divisor: Interval) throws -> Index {
        if b.isConstant, b.constant == 1 { return a }
        if a.isConstant, b.isConstant, b.constant > 0 { return Index(constant: Int.floorDivide(a.constant, b.constant)) }
        if a.isUniform, b.isUniform {
            if !dialect.isHost, numerator.isNonNegative, let high = numerator.high, high < 1 << 32, b.isConstant, 1..<1 << 32 ~= b.constant {
                return Index(parts: [(a.depth, divideNarrow(scalar(a), by: b.constant))])
            }
            let quotient = floorDivide(scalar(a), positive(b), isNonNegative: numerator.isNonNegative)
            return Index(parts: [(max(a.depth, b.depth), quotient)])
        }
        let width = lanes!.width
        // With u = q*d + r: floor((u + s*lane) / d) = q + (r + s*lane) / d, and the second numerator is small.
        if b.isConstant, b.constant > 0, let step = a.constantStride, step > 0,
            b.constant < 1 << 28, step < (1 << 28) / width {
            return divideSmall(a, by: b.constant, step: step, isNonNegative: numerator.isNonNegative)
        }
        let (x, y) = (vector(a), b.isUniform ? module.splat(positive(b), width) : positive(vector(b), width))
        return Index(varying: floorDivide(x, y, isNonNegative: numerator.isNonNegative))
    }

    private func divideSmall(_ a: Index, by divisor: Int, step: Int, isNonNegative: Bool) -> Index {
        let width = lanes!.width
        var quotient = a.base
        var rest = LLVMConstInt(module.i32, 0, 0)!
        if a.base.isConstant {
            quotient = Index(constant: Int.floorDivide(a.constant, divisor))
            let remainder = a.constant - quotient.constant * divisor
            let steps = (0..<width).map { (remainder + $0 * step) / divisor }
            if steps.allSatisfy({ $0 == 0 }) { return quotient }
            return add(quotient, Index(varying: module.constantVector(steps.map(module.int64))))
        }
        let base = scalar(a.base)
        let whole = floorDivide(base, module.int64(divisor), isNonNegative: isNonNegative)
        rest = module.trunc(module.sub(base, module.mul(whole, module.int64(divisor))), module.i32)
        quotient = Index(parts: [(a.depth, whole)])
        let positions = module.add(module.splat(rest, width), module.laneNumbers(module.i32, width, times: step))
        let carried = LLVMBuildUDiv(module.builder, positions, module.splat(module.integer(module.i32, divisor), width), "")!
        return add(quotient, Index(varying: module.zext(carried, module.vector(module.i64, width))))
    }

    /// In 32 bits, where a GPU divides in a few instructions.
    private func divideNarrow(_ a: LLVMValueRef, by divisor: Int) -> LLVMValueRef {
        module.zext(LLVMBuildUDiv(module.builder, module.trunc(a, module.i32), module.integer(module.i32, divisor), ""), module.i64)
    }

    /// A divisor that is a size: zero, which only an empty tensor has, must not trap.
    private func positive(_ b: Index) -> LLVMValueRef {
        b.isConstant ? module.int64(max(b.constant, 1)) : module.intrinsic("llvm.smax", [module.i64], [scalar(b), module.int64(1)])
    }

    private func positive(_ b: LLVMValueRef, _ width: Int) -> LLVMValueRef {
        module.intrinsic("llvm.smax", [LLVMTypeOf(b)], [b, module.splat(module.int64(1), width)])
    }

    private func floorDivide(_ a: LLVMValueRef, _ b: LLVMValueRef, isNonNegative: Bool) -> LLVMValueRef {
        if isNonNegative { return LLVMBuildUDiv(module.builder, a, b, "") }
        if let divisor = module.knownInteger(b), divisor & (divisor - 1) == 0 {
            return module.ashr(a, module.int64(divisor.trailingZeroBitCount))
        }
        let quotient = LLVMBuildSDiv(module.builder, a, b, "")!
        let rest = module.sub(a, module.mul(quotient, b))
        let zero = LLVMConstNull(LLVMTypeOf(a))!
        return module.add(quotient, module.sext(module.compare(LLVMIntSLT, rest, zero), LLVMTypeOf(a)))
    }

    // MARK: Values

    /// The value of an index that is the same in all lanes, or that of lane 0.
    func scalar(_ index: Index) -> LLVMValueRef {
        var sum: LLVMValueRef?
        for part in index.parts { sum = add(sum, part.value) }
        guard let sum else { return module.int64(index.constant) }
        return index.constant == 0 ? sum : module.indexAdd(sum, module.int64(index.constant))
    }

    func scalar(_ dim: Dim) throws -> LLVMValueRef { scalar(try lower(dim)) }

    private func laneStride(_ index: Index) -> LLVMValueRef {
        let constant = module.int64(index.laneConstant)
        return index.laneStride.map { index.laneConstant == 0 ? $0 : module.indexAdd($0, constant) } ?? constant
    }

    /// What depends on the lane alone, as a vector of i64.
    func laneOffsets(_ index: Index) -> LLVMValueRef {
        let width = lanes!.width
        var sum: LLVMValueRef?
        if index.laneStride != nil {
            sum = module.indexMul(module.splat(laneStride(index), width), module.laneNumbers(module.i64, width))
        } else if index.laneConstant != 0 {
            sum = module.laneNumbers(module.i64, width, times: index.laneConstant)
        }
        return add(sum, index.varying) ?? LLVMConstNull(module.vector(module.i64, width))
    }

    /// All lanes' values.
    func vector(_ index: Index) -> LLVMValueRef {
        let width = lanes!.width
        let base = index.base
        if index.isUniform { return module.splat(scalar(base), width) }
        let offsets = laneOffsets(index)
        return base.isConstant && base.constant == 0 ? offsets : module.indexAdd(module.splat(scalar(base), width), offsets)
    }
}
