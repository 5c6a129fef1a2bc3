// The workloads of the comparison with other frameworks, under the same names.

import KilnIR
import KilnOps

enum Workloads {
    /// The workload of a name: `model_NAME` runs the model NAME.onnx of the folder, `import_NAME` reads it.
    static func named(_ name: String, models folder: String) -> (any Workload)? {
        for (prefix, make) in imported where name.hasPrefix(prefix) { return make("\(folder)/\(name.dropFirst(prefix.count)).onnx") }
        return all[name]
    }

    static let all: [String: any Workload] = tensors.merging(Training.all) { a, _ in a }.merging(Recording.all) { a, _ in a }

    private static let imported: [(prefix: String, make: @Sendable (String) -> any Workload)] = [
        ("model_", { ImportedWorkload(path: $0) }), ("import_", { ImportWorkload(path: $0) }),
    ]

    private static let tensors: [String: any Workload] = {
        var table: [String: any Workload] = [
            "gemm_bf16_2048": GraphWorkload([[2048, 2048], [2048, 2048]], dtype: .bf16) { $0[0].matmul($0[1]) },
            "chain_4096": GraphWorkload([[4096, 4096], [4096, 4096]]) { x in
                (x[0] * x[1] + x[0]).tanh() * x[1].sigmoid() - x[0].exp().clamp(max: 3)
            },
            "add_4096": GraphWorkload([[4096, 4096], [4096, 4096]]) { $0[0] + $0[1] },
            "sum_rows_4096": GraphWorkload([[4096, 4096]]) { $0[0].sum(1) },
            "sum_columns_4096": GraphWorkload([[4096, 4096]]) { $0[0].sum(0) },
            "softmax_4096": GraphWorkload([[4096, 4096]]) { $0[0].softmax(1) },
            "layernorm_4096": GraphWorkload([[4096, 4096], [4096], [4096]]) { layerNorm($0[0], $0[1], $0[2]) },
            "transpose_4096": GraphWorkload([[4096, 4096]]) { $0[0].t() },
            "conv3x3_64x56": GraphWorkload([[1, 64, 56, 56], [64, 64, 3, 3]]) { $0[0].conv2d($0[1], padding: 1) },
            "depthwise3x3_128x56": GraphWorkload([[1, 128, 56, 56], [128, 1, 3, 3]]) { $0[0].conv2d($0[1], padding: 1, groups: 128) },
            "attention_12x1024x64": GraphWorkload([[1, 12, 1024, 64], [1, 12, 1024, 64], [1, 12, 1024, 64]]) { x in
                x[0].scaledDotProductAttention(x[1], x[2])
            },
            "gemv_4096": GraphWorkload([[1, 4096], [4096, 4096]]) { $0[0].linear($0[1]) },
            "gemv_columns_4096": GraphWorkload([[1, 4096], [4096, 4096]]) { $0[0].matmul($0[1]) },
            "gemv_bf16_4096": GraphWorkload([[1, 4096], [4096, 4096]], dtype: .bf16) { $0[0].linear($0[1]) },
            "gemm_skinny_16x4096x4096": GraphWorkload([[16, 4096], [4096, 4096]]) { $0[0].linear($0[1]) },
            "sum_all_4096": GraphWorkload([[4096, 4096]]) { $0[0].sum([0, 1]) },
            "cumsum_16m": GraphWorkload([[1 << 24]]) { $0[0].cumsum(0) },
            "embedding_50000x768": GraphWorkload([TensorType(.i64, [4096]), TensorType(.f32, [50000, 768])], limit: 50000) { $0[1].embedding($0[0]) },
            "index_add_50000x768": GraphWorkload([TensorType(.f32, [50000, 768]), TensorType(.i64, [4096]), TensorType(.f32, [4096, 768])], limit: 50000) {
                $0[0].put($0[1], $0[2], axis: 0, .add)
            },
            "linear_gelu_128x768x3072": GraphWorkload([[128, 768], [3072, 768], [3072]]) { $0[0].linear($0[1], $0[2]).gelu() },
        ]
        for n in [256, 512, 1024, 2048, 4096] { table["gemm_f32_\(n)"] = GraphWorkload([[n, n], [n, n]]) { $0[0].matmul($0[1]) } }
        return table
    }()

    private static func layerNorm(_ x: Value, _ weight: Value, _ bias: Value) -> Value {
        let centred = x - x.mean(-1, keepDims: true)
        let variance = (centred * centred).mean(-1, keepDims: true)
        return centred * (variance + 1e-5).rsqrt() * weight + bias
    }
}
