// Programs of sizes that fill many tiles and none of them evenly: held against the CPU's code of the same program, and not timed.

import Kiln
import KilnIR
import KilnOps
import KilnPasses

extension Workload {
    /// A check of a function's results, and of its gradients with respect to all inputs where it has any.
    private static func check(_ name: String, tolerance: Double, _ inputs: [([Int], DType)], scales: [Double]? = nil, gradients: Bool = false,
                              _ body: @escaping @Sendable ([Tensor]) throws -> [Tensor]) -> Workload {
        Workload(name: "check_\(name)", limit: .none, tolerance: tolerance, scales: scales ?? inputs.map { _ in 1 }) {
            let specs = inputs.enumerated().map { TensorSpec("x\($0)", $1.1, $1.0.map { .constant($0) }) }
            let graph = try compile(name: "check_\(name)", inputs: specs, body)
            if !gradients { return graph }
            let variables = graph.inputs.map(\.value).filter { graph.types[$0].dtype.isFloat }
            return try Differentiate.gradients(graph, of: [graph.outputs[0].value], withRespectTo: variables)
        }
    }

    static let checks: [Workload] = products + rows + orders + layers

    /// Every pairing of sizes around those of tiles.
    private static let products: [Workload] = {
        let sizes = [(1, 257, 129), (129, 65, 257), (127, 1000, 31), (511, 384, 1023), (1030, 520, 2056)]
        let dtypes: [(DType, Double)] = [(.f16, 0.004), (.bf16, 0.03), (.f32, 1e-4), (.f64, 1e-11), (.i8, 0), (.i32, 0)]
        return dtypes.flatMap { dtype, tolerance in
            sizes.map { m, n, k in
                let scale = dtype.isFloat ? 1.0 : 100.0
                return check("matmul_\(dtype)_\(m)x\(n)x\(k)", tolerance: tolerance, [([m, k], dtype), ([k, n], dtype)], scales: [scale, scale]) {
                    [$0[0].matmul($0[1])]
                }
            }
        } + [
            check("matmul_transposed_bf16", tolerance: 0.03, [([333, 517], .bf16), ([333, 259], .bf16)]) { [$0[0].t().matmul($0[1])] },
            check("matmul_batched_f16", tolerance: 0.004, [([7, 3, 65, 130], .f16), ([7, 3, 130, 77], .f16)]) { [$0[0].matmul($0[1])] },
            check("linear_gelu_bf16", tolerance: 0.03, [([300, 520], .bf16), ([264, 520], .bf16), ([264], .bf16)], scales: [1, 0.05, 1], gradients: true) {
                [$0[0].linear($0[1], $0[2]).gelu()]
            },
            check("conv_f32", tolerance: 1e-4, [([3, 17, 29, 31], .f32), ([21, 17, 3, 3], .f32)], gradients: true) { [$0[0].conv2d($0[1], padding: 1)] },
            check("conv_strided_bf16", tolerance: 0.03, [([2, 32, 33, 35], .bf16), ([40, 32, 5, 5], .bf16)]) { [$0[0].conv2d($0[1], stride: 2, padding: 2)] },
            check("conv_depthwise_f32", tolerance: 1e-4, [([2, 48, 30, 27], .f32), ([48, 1, 3, 3], .f32)]) { [$0[0].conv2d($0[1], padding: 1, groups: 48)] },
        ]
    }()

    private static let rows: [Workload] = [(3, 70001), (517, 1003), (4099, 33)].flatMap { count, width in
        [DType.f32, .bf16].flatMap { dtype in
            let (name, tolerance, type) = ("\(dtype)_\(count)x\(width)", dtype == .f32 ? 1e-4 : 0.03, ([count, width], dtype))
            return [
                check("softmax_\(name)", tolerance: tolerance, [type]) { [$0[0].softmax(1)] },
                check("layernorm_\(name)", tolerance: tolerance, [type, ([width], dtype), ([width], dtype)], gradients: dtype == .f32) {
                    [layerNorm($0[0], weight: $0[1], bias: $0[2])]
                },
                check("sums_\(name)", tolerance: tolerance, [type]) { [$0[0].sum(0), $0[0].sum(1), $0[0].sum(), $0[0].max(1)] },
                check("transpose_\(name)", tolerance: 0, [type]) { [$0[0].t() + 0] },
                check("chain_\(name)", tolerance: tolerance, [type, type]) { [($0[0] * $0[1] + $0[0]).tanh() - $0[1].exp().clamp(max: 3)] },
            ]
        }
    }

    private static let orders: [Workload] = [
        check("cumsum_i64", tolerance: 0, [([5, 100_003], .i64)], scales: [1000]) { [$0[0].cumsum(1)] },
        check("cumsum_f32", tolerance: 1e-3, [([7, 50_021], .f32)]) { [$0[0].cumsum(1)] },
        check("sort_f32", tolerance: 0, [([3, 20_011], .f32)]) { [$0[0].sort(1).values, $0[0].argsort(1)] },
        check("topk_f32", tolerance: 0, [([9, 5_003], .f32)]) { [$0[0].topK(17, axis: 1).values] },
        check("argmax_f32", tolerance: 0, [([100, 3_001], .f32)]) { [$0[0].argmax(1), $0[0].argmin(0)] },
        check("take_f32", tolerance: 0, [([1009, 130], .f32), ([4001], .i64)], scales: [1, 1009]) { [$0[0].take($0[1], axis: 0)] },
        check("put_add_f32", tolerance: 1e-4, [([1009, 130], .f32), ([4001], .i64), ([4001, 130], .f32)], scales: [1, 1009, 1]) {
            [$0[0].put($0[1], $0[2], axis: 0, .add)]
        },
    ]

    private static let layers: [Workload] = [(64, false), (64, true), (128, true), (80, false)].flatMap { width, isCausal in
        [DType.bf16, .f32].map { dtype in
            let shape: ([Int], DType) = ([2, 3, 333, width], dtype)
            return check("attention_\(dtype)_\(width)\(isCausal ? "_causal" : "")", tolerance: dtype == .f32 ? 1e-3 : 0.06, [shape, shape, shape], gradients: true) {
                [scaledDotProductAttention($0[0], $0[1], $0[2], isCausal: isCausal)]
            }
        }
    }
}
