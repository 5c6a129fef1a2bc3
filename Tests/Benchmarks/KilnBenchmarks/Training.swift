// Training steps: forward, backward and optimizer, written as a user would.

import Kiln
import KilnExecution

/// A model, a batch of random data and Adam.
struct Training: Workload {
    let model: @Sendable () -> any Layer
    let input: [Int]
    let classes = 10

    static let all: [String: any Workload] = [
        "train_mlp": Training(model: { Sequential(Linear(784, 512), ReLU(), Linear(512, 512), ReLU(), Linear(512, 10)) }, input: [128, 784]),
        "train_cnn": Training(model: {
            Sequential(Conv2d(1, 32, kernel: 3, padding: 1), ReLU(), MaxPool2d(2), Conv2d(32, 64, kernel: 3, padding: 1), ReLU(), MaxPool2d(2),
                       Flatten(), Linear(64 * 49, 128), ReLU(), Linear(128, 10))
        }, input: [128, 1, 28, 28]),
    ]

    func makeInputs() throws -> [DeviceBuffer] { [] }

    func prepare(_ inputs: [DeviceBuffer]) throws -> () throws -> Void {
        let model = model()
        let x = Tensor.randn(input)
        let y = Tensor.randint(0..<classes, [input[0]])
        let optimizer = Adam(model.parameters, learningRate: 1e-3)
        return {
            optimizer.zeroGrad()
            try crossEntropy(model(x), y).backward()
            try optimizer.step()
        }
    }
}
