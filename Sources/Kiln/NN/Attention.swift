// Attention: softmax of the products of queries and keys, applied to values, in several heads.
import KilnIR
import KilnOps

/// `softmax(scale · query · keyᵀ + mask) · value` over the last two axes, as `torch.nn.functional.scaled_dot_product_attention`; a query
/// that sees no key gives zeros. The matrix of products is never made. (A. Vaswani et al., "Attention Is All You Need", 2017.)
///
/// - Parameters:
///   - query: [batch…, heads, queries, width]
///   - key: [batch…, heads, keys, width]
///   - value: [batch…, heads, keys, width']
///   - mask: what is added to the products, or, where it holds bools, which of them count; broadcast to [batch…, heads, queries, keys].
///   - isCausal: whether a query sees only keys up to its own position.
///   - scale: 1 / √width where there is none.
///   - enableGQA: whether keys and values may have fewer heads, a divisor of the queries', each of which serves as many in turn.
public func scaledDotProductAttention(_ query: Tensor, _ key: Tensor, _ value: Tensor, mask: Tensor? = nil, isCausal: Bool = false,
                                      scale: Double? = nil, enableGQA: Bool = false, file: StaticString = #fileID, line: UInt = #line) -> Tensor {
    query.scaledDotProductAttention(key, value, mask: mask, isCausal: isCausal, scale: scale, enableGQA: enableGQA, file: file, line: line)
}

/// Attention in several heads: [batch, length, width] → [batch, length, width].
public final class MultiheadAttention: LocatedLayer {
    public let query: Linear
    public let key: Linear
    public let value: Linear
    public let output: Linear
    private let heads: Int
    private let isCausal: Bool
    /// What is wrong with the layer itself.
    private let mistake: Mistake?

    /// - Parameter heads: divides `width`; where it does not, what the layer computes is the mistake.
    public init(_ width: Int, heads: Int, isCausal: Bool = false, bias: Bool = true, dtype: DType = .f32) {
        if heads <= 0 || width % heads != 0 {
            mistake = Mistake(ShapeError(op: "MultiheadAttention", "\(heads) heads don't divide a width of \(width)",
                                         fix: "give a number of heads above 0 that divides it"))
        } else { mistake = nil }
        func projection() -> Linear {
            let layer = Linear(width, width, bias: bias, dtype: dtype)
            layer.weight = Initialization.xavierUniform([width, width], dtype: dtype)
            return layer
        }
        query = projection()
        key = projection()
        value = projection()
        output = Linear(width, width, bias: bias, dtype: dtype)
        self.heads = heads
        self.isCausal = isCausal
    }

    public func callAsFunction(_ input: Tensor, file: StaticString = #fileID, line: UInt = #line) -> Tensor {
        callAsFunction(input, input, input, file: file, line: line)
    }

    public func callAsFunction(_ q: Tensor, _ k: Tensor, _ v: Tensor, mask: Tensor? = nil, file: StaticString = #fileID,
                               line: UInt = #line) -> Tensor {
        named(q, k, v, file, line) { attend(q, k, v, mask) }
    }

    private func attend(_ q: Tensor, _ k: Tensor, _ v: Tensor, _ mask: Tensor?) -> Tensor {
        if let mistake { return .poisoned(mistake, like: q) }
        guard q.rank == 3, k.rank == 3, v.rank == 3 else {
            return .poisoned(ShapeError(op: "MultiheadAttention", "takes [batch, length, width]", operands: [q.type, k.type, v.type],
                                        fix: "add the axes that are missing"), like: q)
        }
        let mixed = scaledDotProductAttention(split(query(q)), split(key(k)), split(value(v)), mask: mask, isCausal: isCausal)
        return output(mixed.transpose(1, 2).reshaping(to: q.dims))
    }

    /// [batch, length, width] → [batch, heads, length, width / heads].
    private func split(_ x: Tensor) -> Tensor {
        guard let width = x.dims[2].constant else { return x }
        return x.reshaping(to: [x.dims[0], x.dims[1], .constant(heads), .constant(width / heads)]).transpose(1, 2)
    }
}
