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
        Operator("MatMulNBits", .microsoft, packedProduct),
        Operator("Einsum") { node in
            let operands = try node.tensors()
            guard let equation = node.text("equation"), !operands.isEmpty else { throw node.mistake("has no equation or no operands") }
            return .einsum(equation, operands)
        },
        Operator("Det") { try determinant(try $0.tensor(0), $0) },
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

    /// A product with a matrix [n, k] of 2, 4 or 8 bits an element, low bits first, in blocks that have a scale and a zero point each:
    /// unpacked where it is used.
    private static func packedProduct(_ node: NodeContext) throws -> Value {
        let a = try node.tensor(0), packed = try node.tensor(1)
        guard let n = node.integer("N"), let k = node.integer("K"), let block = node.integer("block_size"), n > 0, k > 0, block > 0 else {
            throw node.mistake("needs the attributes K, N and block_size")
        }
        let bits = node.integer("bits", 4), columns = Dim.constant(n), depth = Dim.constant(k), size = Dim.constant(block)
        let blocks = depth.dividedUp(by: size)
        guard [2, 4, 8].contains(bits), packed.dtype == .u8 else { throw Unsupported(reason: "weights of \(bits) bits") }
        let scales = try node.tensor(2).inSingle.reshaping(to: [columns, blocks])
        func unpacked(_ bytes: Value, _ count: Dim) -> Value {
            let rows = bytes.reshape([columns, -1])
            let parts = (0..<8 / bits).map { part in (rows >> (part * bits)) & (1 << bits - 1) }
            let elements = Value.stack(parts, axis: 2).reshape([columns, -1])
            return elements.narrow(1, start: 0, length: count)
        }
        func ofBlock(_ value: Value) throws -> Value {
            if let groups = try node.tensorIfPresent(4) { return value.take(groups, axis: 1) }
            return value.unsqueezed(2).expand([columns, blocks, size]).reshaping(to: [columns, blocks * size]).narrow(1, start: 0, length: depth)
        }
        let zeros: Value = switch try node.tensorIfPresent(3) {
        case let zeros? where zeros.dtype == .u8: unpacked(zeros, blocks).cast(to: scales.dtype)
        case let zeros?: zeros.reshaping(to: [columns, blocks]).cast(to: scales.dtype)
        case nil: node.full(.integer(1 << Int64(bits - 1)), scales.type)
        }
        let weights = (unpacked(packed, depth).cast(to: scales.dtype) - (try ofBlock(zeros))) * (try ofBlock(scales))
        let product = a.contracting(weights.cast(to: a.dtype), reduce: ([a.rank - 1], [1]))
        return try node.tensorIfPresent(5).map { product + $0 } ?? product
    }

    /// Determinants of the last two axes by elimination, each step with the greatest of its column as the pivot.
    private static func determinant(_ x: Value, _ node: NodeContext) throws -> Value {
        guard x.rank >= 2, let size = x.size(axis: -1).constant, x.size(axis: -2) == .constant(size) else {
            throw x.rank >= 2 && x.size(axis: -1) == x.size(axis: -2) ? Unsupported(reason: "matrices whose size is not fixed")
                : node.mistake("takes square matrices, was given \(x.type)") as any Error
        }
        guard size <= 64 else { throw Unsupported(reason: "determinants of matrices of \(size) rows") }
        let batch = Array(x.dims.dropLast(2)), count = batch.reduce(1, *)
        var rest = x.inSingle.reshaping(to: [count, .constant(size), .constant(size)])
        var product = x.full(1, TensorType(rest.dtype, [count]), at: .unknown)
        for left in stride(from: size, to: 0, by: -1) {
            let column = rest.select(axis: 2, index: 0), place = column.abs().argmax(1, keepDims: true)
            let isPivot = rest.iota(.i64, column.dims, axis: 1) .== place
            let pivot = column.gather(1, place).reshaping(to: [count])
            product = product * (place.reshaping(to: [count]) .!= 0).select(-pivot, pivot)
            if left == 1 { break }
            // The first row takes the pivot's place.
            let first = rest.narrow(1, start: 0, length: 1)
            let row = isPivot.unsqueezed(2).select(rest, 0).sum(1, keepDims: true)
            let swapped = isPivot.unsqueezed(2).select(first, rest).narrow(1, start: 1, length: .constant(left - 1))
            let lower = swapped.narrow(2, start: 0, length: 1), right = Dim.constant(left - 1)
            // A column of zeros makes the determinant zero, whatever the rest.
            let factor = lower / (pivot .== 0).select(1, pivot).reshaping(to: [count, 1, 1])
            rest = swapped.narrow(2, start: 1, length: right) - factor * row.narrow(2, start: 1, length: right)
        }
        return product.reshaping(to: batch).cast(to: x.dtype)
    }
}
