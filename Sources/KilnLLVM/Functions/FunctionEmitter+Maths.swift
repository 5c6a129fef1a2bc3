// Transcendental functions: Kiln's own expansions inline, libm's functions lane by lane.

import CLLVM
import KilnIR
import KilnKernels

extension FunctionEmitter {
    /// A function that Kiln expands into primitive ones, or else libm's.
    func transcendental(_ function: ScalarFunction, _ x: [LLVMValueRef], _ dtype: DType, _ lanes: Int) throws -> LLVMValueRef {
        if let expansion = maths.expansion(of: function, dtype) {
            let arguments = x.map { Emitted(value: $0, dtype: dtype, lanes: lanes) }
            guard let small = maths.smallExpansion(of: function, dtype) else { return try evaluate(expansion, arguments).value }
            return try branchOnMagnitude(arguments, small: small, any: expansion)
        }
        if !maths.hasLibrary, function == .remainder {
            guard lanes > 0 else { return remainder(x[0], x[1], dtype) }
            return (0..<lanes).reduce(LLVMGetPoison(LLVMTypeOf(x[0]))!) { result, lane in
                module.inserting(remainder(module.element(x[0], lane), module.element(x[1], lane), dtype), into: result, lane)
            }
        }
        guard maths.hasLibrary, let name = function.libmName else { throw InternalError("llvm", "\(function.rawValue) of \(dtype)") }
        let scalar = module.type(dtype)
        let type = module.functionType(scalar, x.map { _ in scalar })
        let callee = module.external(dtype == .f64 ? name : name + "f", type, attributes: ["nounwind", "willreturn", "nobuiltin"])
        module.addAttribute("memory", value: 0, to: callee)
        guard lanes > 0 else { return module.call(callee, type, x) }
        var result = LLVMGetPoison(LLVMTypeOf(x[0]))!
        for lane in 0..<lanes {
            result = module.inserting(module.call(callee, type, x.map { module.element($0, lane) }), into: result, lane)
        }
        return result
    }

    /// The cheaper expansion where it holds for all lanes, as it nearly always does.
    private func branchOnMagnitude(_ x: [Emitted], small: ScalarExpr, any: ScalarExpr) throws -> LLVMValueRef {
        let (value, dtype, lanes) = (x[0].value, x[0].dtype, x[0].lanes)
        let type = LLVMTypeOf(value)!
        let limit = module.splat(constant: module.constant(.real(Maths.smallLimit), dtype), lanes)
        let isLarge = module.compare(LLVMRealOGE, module.intrinsic("llvm.fabs", [type], [value]), limit)
        let isAnyLarge = lanes == 0 ? isLarge : module.intrinsic("llvm.vector.reduce.or", [LLVMTypeOf(isLarge)], [isLarge])
        let (rare, usual, after) = (module.block("large", in: function), module.block("small", in: function),
                                    module.block("after", in: function))
        module.jump(if: isAnyLarge, rare, else: usual)
        let results = try [(rare, any), (usual, small)].map { block, expansion in
            module.position(at: block)
            let result = try evaluate(expansion, x).value
            defer { module.jump(after) }
            return (result, module.currentBlock)
        }
        module.position(at: after)
        return module.phi(type, results)
    }

    /// An expression over the given arguments, which all have as many lanes.
    func evaluate(_ expression: ScalarExpr, _ arguments: [Emitted]) throws -> Emitted {
        var nodes: [Emitted] = []
        nodes.reserveCapacity(expression.nodes.count)
        for (node, dtype) in zip(expression.nodes, expression.dtypes) {
            switch node {
            case .argument(let i): nodes.append(arguments[i])
            case .constant(let scalar): nodes.append(Emitted(value: module.constant(scalar, dtype), dtype: dtype, lanes: 0))
            case .apply(let function, let operands): nodes.append(try apply(function, operands.map { nodes[$0] }, as: dtype))
            case .index: throw InternalError("llvm", "an index inside the expansion of a function")
            }
        }
        let result = nodes[expression.result]
        let lanes = arguments.map(\.lanes).max() ?? 0
        return Emitted(value: spread(result, lanes), dtype: result.dtype, lanes: lanes)
    }
}

extension ScalarFunction {
    fileprivate var libmName: String? {
        switch self {
        case .exp, .exp2, .expm1, .log, .log2, .log1p, .sin, .cos, .tan, .asin, .acos, .atan, .sinh, .cosh, .tanh, .asinh, .acosh,
            .atanh, .erf, .power: rawValue
        case .remainder: "fmod"
        default: nil
        }
    }
}
