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
    ///
    /// A mistake, such as tensors with different numbers of examples, is what there is instead of batches: reading one throws it.
    public init(_ tensors: [Tensor], batchSize: Int, shuffle: Bool = false, seed: Int = 0, dropLast: Bool = false,
                file: StaticString = #fileID, line: UInt = #line) {
        let location = SourceLocation(file, line)
        mistake = batchSize > 0 ? Self.mistake(in: tensors, "DataLoader", location)
            : Mistake(ShapeError(op: "DataLoader", "a batch of \(batchSize) examples", at: location, fix: "give a batchSize of at least 1"))
        self.tensors = tensors
        self.batchSize = Swift.max(batchSize, 1)
        self.dropsLast = dropLast
        shuffles = shuffle
        self.seed = seed
        // Computed now, so that the first step of a loop is like the others; what fails here fails again for whoever reads.
        if mistake == nil, !isCapturing { try? Trace.shared.evaluate(tensors.map(\.node)) }
    }

    /// What is wrong with tensors that are to be parts of examples.
    fileprivate static func mistake(in tensors: [Tensor], _ op: String, _ location: SourceLocation) -> Mistake? {
        if let known = tensors.lazy.compactMap({ $0.node.rare?.mistake }).first { return known }
        let isWrong = tensors.contains { $0.rank == 0 } || Set(tensors.map { $0.dims.first }).count > 1
        return isWrong ? Mistake(ShapeError(op: op, "the tensors have different numbers of examples", operands: tensors.map(\.type), at: location,
                                            fix: "pass tensors whose first axes are equally long")) : nil
    }

    private let mistake: Mistake?

    /// The number of examples.
    public var exampleCount: Int { mistake == nil ? tensors.first?.shape.first ?? 0 : 0 }
    /// The number of batches of an epoch.
    public var batchCount: Int {
        if mistake != nil { return 1 }
        return dropsLast ? exampleCount / batchSize : exampleCount == 0 ? 0 : (exampleCount - 1) / batchSize + 1
    }

    public func makeIterator() -> AnyIterator<[Tensor]> {
        if let mistake {
            var batches = [tensors.map { Tensor.poisoned(mistake, like: $0) }].makeIterator()
            return AnyIterator { batches.next() }
        }
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
            let start = next * batchSize, range = start..<start + Swift.min(batchSize, order.count - start)
            next += 1
            return tensors.map { shuffles ? $0.rows(Array(order[range])) : $0[range] }
        }
    }
}

extension Tensor {
    /// Rows by number; the host's are copied at once.
    func rows(_ numbers: [Int]) -> Tensor {
        let sizes = node.box.sizes
        guard rank > 0, !node.tracksGradient, (try? evaluated()) != nil, let buffer, buffer.accelerator == nil,
              numbers.allSatisfy({ $0 >= 0 && $0 < sizes[0] }) else {
            return take(Tensor(numbers, device: device), axis: 0)
        }
        let rowBytes = sizes[0] == 0 ? 0 : node.box.byteCount / sizes[0]
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
///
/// - Parameters:
///   - tensors: all with as many examples, along the first axis.
///   - testFraction: how much of the examples is for testing, from 0 to 1.
public func trainTestSplit(_ tensors: [Tensor], testFraction: Double, seed: Int, file: StaticString = #fileID,
                           line: UInt = #line) -> (train: [Tensor], test: [Tensor]) {
    let location = SourceLocation(file, line)
    var mistake = DataLoader.mistake(in: tensors, "trainTestSplit", location)
    if mistake == nil, !(testFraction >= 0 && testFraction <= 1) {
        mistake = Mistake(ShapeError(op: "trainTestSplit", "a test fraction of \(testFraction)", at: location, fix: "give one from 0 to 1"))
    }
    if let mistake {
        let parts = tensors.map { Tensor.poisoned(mistake, like: $0) }
        return (parts, parts)
    }
    let count = tensors.first?.shape.first ?? 0
    var source = SplitMix(seed: UInt64(bitPattern: Int64(seed)))
    let order = Array(0..<count).shuffled(using: &source)
    let cut = count - Int((Double(count) * testFraction).rounded())
    return (tensors.map { $0.rows(Array(order[..<cut])) }, tensors.map { $0.rows(Array(order[cut...])) })
}
