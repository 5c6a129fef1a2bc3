// Training steps: forward, backward and optimizer, written as a user would.

import Kiln
import KilnExecution

/// A model, a batch of random data and Adam.
struct Training: Workload {
    let model: @Sendable () -> any Layer
    let input: [Int]
    /// What the classes are; the inputs are as many tokens where `isText`, else numbers.
    var classes = 10
    var isText = false

    static let all: [String: any Workload] = [
        "train_mlp": Training(model: { Sequential(Linear(784, 512), ReLU(), Linear(512, 512), ReLU(), Linear(512, 10)) }, input: [128, 784]),
        "train_cnn": Training(model: {
            Sequential(Conv2d(1, 32, kernel: 3, padding: 1), ReLU(), MaxPool2d(2), Conv2d(32, 64, kernel: 3, padding: 1), ReLU(), MaxPool2d(2),
                       Flatten(), Linear(64 * 49, 128), ReLU(), Linear(128, 10))
        }, input: [128, 1, 28, 28]),
        "train_gpt": Training(model: { GPT() }, input: [16, 128], classes: 256, isText: true),
        "train_resnet18": Training(model: { ResNet18(classes: 10) }, input: [16, 3, 64, 64]),
    ]

    func makeInputs() throws -> [DeviceBuffer] { [] }

    func prepare(_ inputs: [DeviceBuffer]) throws -> () throws -> Void {
        let model = model()
        let x = isText ? Tensor.randint(0..<classes, input) : Tensor.randn(input)
        let y = Tensor.randint(0..<classes, [isText ? input.reduce(1, *) : input[0]])
        let optimizer = Adam(model.parameters, learningRate: 1e-3)
        return {
            optimizer.zeroGrad()
            try crossEntropy(model(x), y).backward()
            try optimizer.step()
        }
    }
}
