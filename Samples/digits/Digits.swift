// What the lessons on digits share: the images, split by a fixed seed, and the network.
import Kiln

/// Handwritten digits: images [count, 1, 8, 8] from 0 to 1, and classes [count] from 0 to 9.
public struct Digits {
    public let images: Tensor
    public let classes: Tensor

    public init(images: Tensor, classes: Tensor) {
        self.images = images
        self.classes = classes
    }

    /// Reads the images; 80 % are for training, the others for testing.
    public static func load(_ path: String) throws -> (train: Digits, test: Digits) {
        let arrays = try Tensor.load(path)
        let images = arrays["images"]!.cast(to: .f32).reshape(-1, 1, 8, 8) / 16
        let split = trainTestSplit([images, arrays["labels"]!.cast(to: .i64)], testFraction: 0.2, seed: 1)
        return (Digits(images: split.train[0], classes: split.train[1]), Digits(images: split.test[0], classes: split.test[1]))
    }

    /// These, and each of them moved by one pixel to every side.
    public func withShifts() -> Digits {
        // Amounts of zeros at left, right, top and bottom; negative ones cut off.
        let moves = [[0, 0, 0, 0], [1, -1, 0, 0], [-1, 1, 0, 0], [0, 0, 1, -1], [0, 0, -1, 1]]
        return Digits(images: Tensor.concatenate(moves.map { images.pad($0) }), classes: Tensor.concatenate(moves.map { _ in classes }))
    }
}

/// A small convolutional network: [batch, 1, 8, 8] → scores [batch, 10].
public func makeNetwork() -> Sequential {
    Sequential {
        Conv2d(1, 16, kernel: 3, padding: 1)
        ReLU()
        Conv2d(16, 32, kernel: 3, padding: 1)
        ReLU()
        MaxPool2d(2)
        Flatten()
        Dropout(0.25)
        Linear(512, 64)
        ReLU()
        Dropout(0.25)
        Linear(64, 10)
    }
}

/// The part of classes that have the greatest score.
public func accuracy(_ scores: Tensor, _ classes: Tensor) throws -> Double {
    try (scores.argmax(1) .== classes).cast(to: .f32).mean().item()
}
