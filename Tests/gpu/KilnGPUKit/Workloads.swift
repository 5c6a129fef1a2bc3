// Programs that are too large to ship answers for: what is timed, and held against the CPU's code of the same program.

import Kiln
import KilnIR
import KilnOps
import KilnPasses

/// A program, and how the runner makes its inputs and judges its outputs.
struct Workload: Sendable {
    /// What an ideal run is limited by.
    enum Limit: Sendable {
        /// Bytes that must be read and written.
        case bytes(Double)
        /// Operations of tensor cores on bf16 or f16.
        case matrix(Double)
        /// Operations of cores on f32.
        case cores(Double)
        case none
    }

    let name: String
    let limit: Limit
    /// How far an element may be off: times itself and the output's root mean square.
    let tolerance: Double
    /// One for each input: the numbers' standard deviation, or what integers are below.
    let scales: [Double]
    let graph: @Sendable () throws -> Graph

    /// The line of the runner's list.
    var line: String {
        let (kind, amount) = switch limit {
        case .bytes(let amount): ("bytes", amount)
        case .matrix(let amount): ("bf16", amount)
        case .cores(let amount): ("f32", amount)
        case .none: ("none", 0.0)
        }
        return "\(name) \(name).so \(name) \(kind) \(amount) \(tolerance) \(scales.map { "\($0)" }.joined(separator: " "))\n"
    }

    private static func make(_ name: String, _ limit: Limit, tolerance: Double, _ inputs: [([Int], DType)], scales: [Double]? = nil,
                             _ body: @escaping @Sendable ([Tensor]) throws -> Tensor) -> Workload {
        Workload(name: name, limit: limit, tolerance: tolerance, scales: scales ?? inputs.map { _ in 1 }) {
            let specs = inputs.enumerated().map { TensorSpec("x\($0)", $1.1, $1.0.map { .constant($0) }) }
            return try compile(name: name, inputs: specs) { [try body($0)] }
        }
    }

    static let all: [Workload] = products + rows + attentions + [GPTStep.workload]

    private static let products: [Workload] = {
        func product(_ m: Int, _ n: Int, _ k: Int, _ dtype: DType, _ limit: (Double) -> Limit, _ name: String, _ tolerance: Double) -> Workload {
            make(name, limit(2 * Double(m) * Double(n) * Double(k)), tolerance: tolerance, [([m, k], dtype), ([k, n], dtype)]) { $0[0].matmul($0[1]) }
        }
        let skinny = 8192.0 * 8192 * 2
        return [
            product(4096, 4096, 4096, .bf16, Limit.matrix, "gemm_bf16_4096", 0.01),
            product(8192, 8192, 8192, .bf16, Limit.matrix, "gemm_bf16_8192", 0.01),
            product(4096, 4096, 4096, .f16, Limit.matrix, "gemm_f16_4096", 0.002),
            product(4096, 4096, 4096, .f32, Limit.cores, "gemm_f32_4096", 1e-4),
            product(16, 8192, 8192, .bf16, { _ in .bytes(skinny) }, "gemm_bf16_16x8192x8192", 0.01),
            make("linear_gelu_bf16_4096", .matrix(2 * 4096 * 4096 * 16384), tolerance: 0.02,
                 [([4096, 4096], .bf16), ([16384, 4096], .bf16), ([16384], .bf16)], scales: [1, 0.0156, 1]) { $0[0].linear($0[1], $0[2]).gelu() },
            make("conv3x3_bf16_32x128x56", .matrix(2 * 32 * 56 * 56 * 128 * 128 * 9), tolerance: 0.01,
                 [([32, 128, 56, 56], .bf16), ([128, 128, 3, 3], .bf16)]) { $0[0].conv2d($0[1], padding: 1) },
        ]
    }()

    /// f32 [8192, 8192], which no cache holds.
    private static let rows: [Workload] = {
        let (n, bytes) = (8192, 8192.0 * 8192 * 4)
        let square: ([Int], DType) = ([n, n], .f32)
        return [
            make("add_f32_8192", .bytes(3 * bytes), tolerance: 1e-6, [square, square]) { $0[0] + $0[1] },
            make("chain_f32_8192", .bytes(3 * bytes), tolerance: 1e-5, [square, square]) { x in
                (x[0] * x[1] + x[0]).tanh() * x[1].sigmoid() - x[0].exp().clamp(max: 3)
            },
            make("sum_rows_f32_8192", .bytes(bytes), tolerance: 1e-5, [square]) { $0[0].sum(1) },
            make("sum_columns_f32_8192", .bytes(bytes), tolerance: 1e-5, [square]) { $0[0].sum(0) },
            make("softmax_f32_8192", .bytes(2 * bytes), tolerance: 1e-5, [square]) { $0[0].softmax(1) },
            make("layernorm_f32_8192", .bytes(2 * bytes), tolerance: 1e-5, [square, ([n], .f32), ([n], .f32)]) {
                layerNorm($0[0], weight: $0[1], bias: $0[2])
            },
            make("transpose_f32_8192", .bytes(2 * bytes), tolerance: 0, [square]) { $0[0].t() },
        ]
    }()

    /// Head 128, 8192 tokens.
    private static let attentions: [Workload] = [false, true].map { isCausal in
        let shape: ([Int], DType) = ([1, 16, 8192, 128], .bf16)
        let operations = 4.0 * 16 * 8192 * 8192 * 128
        return make("attention_bf16_16x8192x128" + (isCausal ? "_causal" : ""), .matrix(isCausal ? operations / 2 : operations), tolerance: 0.03,
                    [shape, shape, shape]) { scaledDotProductAttention($0[0], $0[1], $0[2], isCausal: isCausal) }
    }
}
