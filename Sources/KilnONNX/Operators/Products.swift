// Products of matrices and of tensors, and determinants.

import KilnIR
import KilnOps

extension Operators {
    static let products: [Operator] = [
        Operator("MatMul") { try $0.tensor(0).matmul(try $0.tensor(1)) },
        Operator("Gemm") { try gemm($0) },
        Operator("FusedGemm", .microsoft) { node in
            let result = try gemm(node)
            guard let name = node.text("activation") else { return result }
            return try activated(result, name, node)
        },
        Operator("FusedMatMul", .microsoft) { try fusedProduct($0) },
        Operator("TransposeMatMul", .microsoft) { try fusedProduct($0) },
    ]

    /// `alpha · a · b + beta · c`; narrow floats are rounded once.
    private static func gemm(_ node: NodeContext) throws -> Value {
        let a = try node.tensor(0), b = try node.tensor(1)
        guard a.rank == 2, b.rank == 2 else { throw node.mistake("takes matrices, was given \(a.type) and \(b.type)") }
        let alpha = node.real("alpha", 1), beta = node.real("beta", 1)
        let isWide = a.dtype.isFloat && a.dtype.byteCount < 4
        var result = a.contracting(b, reduce: ([node.flag("transA") ? 0 : 1], [node.flag("transB") ? 1 : 0]), dtype: isWide ? .f32 : nil)
        let dtype = result.dtype
        if alpha != 1 { result = (result * alpha).cast(to: dtype) }
        if let c = try node.tensorIfPresent(2)?.cast(to: dtype), beta != 0 { result = result + (beta == 1 ? c : (c * beta).cast(to: dtype)) }
        return result.cast(to: a.dtype)
    }

    /// `alpha · a · b`, where either may be transposed, or have its rows or columns before the batch.
    private static func fusedProduct(_ node: NodeContext) throws -> Value {
        func operand(_ number: Int, _ side: String) throws -> Value {
            var x = try node.tensor(number)
            guard x.rank > 1 else { return x }
            if node.flag("transBatch\(side)") { x = x.movingAxis(0, to: x.rank - 2) }
            return node.flag("trans\(side)") ? x.transpose(-1, -2) : x
        }
        let product = try operand(0, "A").matmul(try operand(1, "B")), alpha = node.real("alpha", 1)
        return alpha == 1 ? product : product * alpha
    }

    private static func activated(_ x: Value, _ name: String, _ node: NodeContext) throws -> Value {
        switch name {
        case "Relu": x.relu()
        case "LeakyRelu": x.leakyRelu(node.real("activation_alpha", 0.01))
        case "Sigmoid": x.sigmoid()
        case "Tanh": x.tanh()
        case "HardSigmoid": (x * node.real("activation_alpha", 0.2) + node.real("activation_beta", 0.5)).clamp(0, 1)
        default: throw Unsupported(reason: "the activation '\(name)'")
        }
    }
}
