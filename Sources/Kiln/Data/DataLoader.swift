// Examples in batches: tensors whose first axis counts examples come in, batches of the same length go out, shuffled by a seed.
import KilnIR
import KilnOps

/// Goes over examples in batches; every `for` is one epoch, and each epoch has an order of its own that the seed fixes.
///
///     let loader = DataLoader([images, labels], batchSize: 64, shuffle: true, seed: 1)
///     for batch in loader { let (x, y) = (batch[0], batch[1]) … }
public final class DataLoader: Sequence {
    public let tensors: [Tensor]
    public let batchSize: Int
    public let dropsLast: Bool
    private let shuffles: Bool
    private let seed: Int
    private var epoch = 0

    /// - Parameters:
    ///   - tensors: all with as many examples, along the first axis; in memory. Batches are on the tensors' device.
    ///   - dropLast: whether a last batch with fewer examples is left out; such a batch is compiled for by itself.
    public init(_ tensors: [Tensor], batchSize: Int, shuffle: Bool = false, seed: Int = 0, dropLast: Bool = false) {
        precondition(batchSize > 0, "a batch has at least one example")
        precondition(Set(tensors.map { $0.shape.first ?? 0 }).count <= 1, "all tensors have as many examples")
        self.tensors = tensors
        self.batchSize = batchSize
        self.dropsLast = dropLast
        shuffles = shuffle
        self.seed = seed
    }

    /// The number of examples.
    public var exampleCount: Int { tensors.first?.shape.first ?? 0 }
    /// The number of batches of an epoch.
    public var batchCount: Int { dropsLast ? exampleCount / batchSize : (exampleCount + batchSize - 1) / batchSize }

    public func makeIterator() -> AnyIterator<[Tensor]> {
        var order = Array(0..<exampleCount)
        if shuffles {
            var source = SplitMix(seed: UInt64(bitPattern: Int64(seed)) &* 0x1_0000_0001 &+ UInt64(epoch))
            order.shuffle(using: &source)
        }
        epoch += 1
        var next = 0
        let limit = batchCount
        return AnyIterator { [tensors, batchSize, shuffles] in
            guard next < limit else { return nil }
            let range = next * batchSize..<Swift.min((next + 1) * batchSize, order.count)
            next += 1
            return tensors.map { shuffles ? $0.rows(Array(order[range])) : $0[range] }
        }
    }
}

extension Tensor {
    /// Rows by number; the host's are copied at once.
    func rows(_ numbers: [Int]) -> Tensor {
        guard rank > 0, !node.tracksGradient, (try? evaluated()) != nil, let buffer = node.buffer, buffer.accelerator == nil else {
            return take(Tensor(numbers, device: device), axis: 0)
        }
        let rowBytes = shape[0] == 0 ? 0 : node.box.byteCount / shape[0]
        let source = buffer.pointer
        return withExtendedLifetime(buffer) {
            Tensor.make(TensorType(dtype, [.constant(numbers.count)] + dims.dropFirst()), device) { target in
                guard let base = target.baseAddress else { return }
                for (place, number) in numbers.enumerated() {
                    (base + place * rowBytes).copyMemory(from: source + number * rowBytes, byteCount: rowBytes)
                }
            }
        }
    }
}

/// Splits examples into two parts at random: for training and for testing.
public func trainTestSplit(_ tensors: [Tensor], testFraction: Double, seed: Int) -> (train: [Tensor], test: [Tensor]) {
    let count = tensors.first?.shape.first ?? 0
    var source = SplitMix(seed: UInt64(bitPattern: Int64(seed)))
    let order = Array(0..<count).shuffled(using: &source)
    let cut = count - Int((Double(count) * testFraction).rounded())
    return (tensors.map { $0.rows(Array(order[..<cut])) }, tensors.map { $0.rows(Array(order[cut...])) })
}
