// Which operations share a kernel, and what attention is found in, as text; and that it computes the same.

import KilnIR
import KilnOps
import KilnPasses
import Testing

extension GoldenTests {
    private static let whole = "simplify,common-subexpressions,find-attention,dead-code,fuse"

    @Test func fusesRows() throws {
        try check("fuse", "softmax_is_one_kernel") { [$0.input("x", TensorType(.f32, ["n", 64])).softmax(1)] }
        try check("fuse", "normalization_is_one_kernel") { builder in
            let x = builder.input("x", TensorType(.f32, ["n", 64]))
            let centred = x - x.mean(1, keepDims: true)
            return [centred * (centred.square().mean(1, keepDims: true) + 1e-5).rsqrt() * builder.input("w", TensorType(.f32, [64]))]
        }
    }

    @Test func fusesLayers() throws {
        try check("fuse", "a_layer_is_one_kernel") { builder in
            let x = builder.input("x", Self.matrix)
            return [(x.matmul(builder.input("w", TensorType(.f32, [4, 64]))) + builder.input("b", TensorType(.f32, [64]))).relu()]
        }
        try check("fuse", "what_is_between_two_kernels_keeps_them_apart") { builder in
            // The last sum would have to run both before and after the product.
            let x = builder.input("x", TensorType(.f32, [64, 64])).exp()
            return [x + x.matmul(builder.input("w", TensorType(.f32, [64, 64])))]
        }
    }

    @Test func fusesViews() throws {
        try check("fuse", "views_are_computed_where_they_are_read") { builder in
            let x = builder.input("x", TensorType(.f32, [8, 8]))
            return [x.t().slice(axis: 0, from: 2) * 2]
        }
        try check("fuse", "views_that_would_double_are_stored") { builder in
            var x = builder.input("x", TensorType(.f32, ["n"]))
            for _ in 0..<6 { x = Value.concatenate([x, x.flip(0)]).narrow(0, start: 1, length: x.dims[0]) }
            return [x]
        }
        try check("fuse", "a_value_read_at_many_places_is_stored") { builder in
            let x = builder.input("x", TensorType(.f32, [1, 1, 6, 6]))
            return [x.maxPool2d(5, stride: 1, padding: 2).maxPool2d(5, stride: 1, padding: 2)]
        }
    }

    @Test func findsAttention() throws {
        try check("find-attention", "scaled_and_masked", tolerance: 1e-5) { builder in
            let (q, k, v) = (builder.input("q", TensorType(.f32, [2, 3, 4])), builder.input("k", TensorType(.f32, [2, 5, 4])), builder.input("v", TensorType(.f32, [2, 5, 6])))
            return [(q.matmul(k.transpose(-1, -2)) * 0.5 + builder.input("mask", TensorType(.f32, [3, 5]))).softmax(-1).matmul(v)]
        }
    }
}
