// What it costs to record an op: a thousand of each run, so that milliseconds read as microseconds an op.

import Kiln
import KilnExecution

/// A thousand ops on tensors, recorded and let go, never computed.
struct Recording: Workload {
    private let isTracked: Bool
    private let step: @Sendable (Tensor, Tensor) -> Tensor

    init(tracked: Bool = false, _ step: @escaping @Sendable (Tensor, Tensor) -> Tensor) {
        isTracked = tracked
        self.step = step
    }

    static let all: [String: any Workload] = [
        "record_1000_add": Recording { $0 + $1 },
        "record_1000_add_tracked": Recording(tracked: true) { $0 + $1 },
        "record_1000_scale": Recording { x, _ in x * 0.5 },
        "record_1000_exp": Recording { x, _ in x.exp() },
        "record_1000_matmul": Recording { $0.matmul($1) },
        "record_1000_sum": Recording { x, _ in
            _ = x.sum(0)
            return x
        },
        // A step of train_mlp's model with next to nothing to compute: what recording, differentiating and looking up cost.
        "step_overhead": Training(model: { Sequential(Linear(4, 4), ReLU(), Linear(4, 4), ReLU(), Linear(4, 10)) }, input: [2, 4]),
    ]

    func makeInputs() throws -> [DeviceBuffer] { [] }

    func prepare(_ inputs: [DeviceBuffer]) throws -> () throws -> Void {
        var x = try Tensor.randn([16, 16]).evaluated()
        let y = try Tensor.randn([16, 16]).evaluated()
        x.requiresGrad = isTracked
        return { [x, step] in
            var z = x
            for _ in 0..<1000 { z = step(z, y) }
        }
    }
}
