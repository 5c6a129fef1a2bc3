// Random tensors from a counter: each draw takes a fresh key of Philox as data, so a program that draws is compiled once.
import Foundation
import KilnIR
import KilnOps

/// The state behind random tensors: a seed, and how many keys were drawn.
///
/// Equal seeds give equal draws in equal order, on any number of threads.
final class RandomGenerator: @unchecked Sendable {
    static let shared = RandomGenerator()
    // Used under the trace's lock.
    private var seed: UInt32
    private var counter: UInt32 = 0

    private init() { seed = UInt32.random(in: .min ... .max) }

    func reset(_ seed: UInt64) {
        Trace.shared.locked {
            // Both halves of the seed count.
            self.seed = UInt32(truncatingIfNeeded: (seed ^ seed >> 32) &* 0x9E37_79B9 &+ seed >> 7)
            counter = 0
        }
    }

    /// A fresh key, u32[2]. The numbers drawn with it are the same on every device.
    func key(_ device: Device) -> Tensor {
        if let key = ThreadState.current.captures.last?.randomKey(Trace.shared.locked { Trace.shared.places.place(device) }) { return key }
        let words: [UInt32] = Trace.shared.locked {
            counter &+= 1
            return [seed, counter]
        }
        return Tensor(words, device: device)
    }
}

/// Starts the random numbers anew: equal seeds give equal numbers in the same order of calls.
public func manualSeed(_ seed: Int) { RandomGenerator.shared.reset(UInt64(bitPattern: Int64(seed))) }

extension Tensor {
    /// Numbers evenly from 0 (included) to 1 (excluded).
    public static func rand(_ shape: [Int], dtype: DType = .f32, device: Device = .default, file: StaticString = #fileID,
                            line: UInt = #line) -> Tensor {
        draw(shape, file, line) { uniform(key: RandomGenerator.shared.key(device), $0, dtype: dtype, file: file, line: line) }
    }

    /// Numbers from the standard normal distribution.
    public static func randn(_ shape: [Int], dtype: DType = .f32, device: Device = .default, file: StaticString = #fileID,
                             line: UInt = #line) -> Tensor {
        draw(shape, file, line) { normal(key: RandomGenerator.shared.key(device), $0, dtype: dtype, file: file, line: line) }
    }

    /// Integers from a range, evenly.
    public static func randint(_ range: Range<Int>, _ shape: [Int], dtype: DType = .i64, device: Device = .default,
                               file: StaticString = #fileID, line: UInt = #line) -> Tensor {
        draw(shape, file, line) {
            randint(key: RandomGenerator.shared.key(device), $0, low: range.lowerBound, high: range.upperBound, dtype: dtype, file: file, line: line)
        }
    }

    private static func draw(_ shape: [Int], _ file: StaticString, _ line: UInt, _ body: (Shape) -> Tensor) -> Tensor {
        let dims = shape.map { Dim.constant($0) }
        let location = SourceLocation(file, line)
        return Trace.badSize(TensorType(.f64, dims), location).map { .poisoned($0, at: location) } ?? body(dims)
    }

    public static func randint(_ end: Int, _ shape: [Int], dtype: DType = .i64, device: Device = .default) -> Tensor {
        randint(0..<Swift.max(end, 1), shape, dtype: dtype, device: device)
    }

    public static func randLike(_ tensor: Tensor) -> Tensor { uniform(key: RandomGenerator.shared.key(tensor.device), tensor.dims, dtype: tensor.dtype) }
    public static func randnLike(_ tensor: Tensor) -> Tensor { normal(key: RandomGenerator.shared.key(tensor.device), tensor.dims, dtype: tensor.dtype) }

    /// The numbers below `count` in a random order, i64.
    public static func randperm(_ count: Int, device: Device = .default) -> Tensor {
        var source = SplitMix(seed: Trace.shared.locked { (try? RandomGenerator.shared.key(.cpu).array(as: UInt32.self)) ?? [0, 0] })
        return Tensor((0..<count).shuffled(using: &source), device: device)
    }
}

/// A small generator for the host (S. Vigna's SplitMix64).
package struct SplitMix: RandomNumberGenerator {
    private var state: UInt64

    package init(seed: UInt64) { state = seed }
    init(seed: [UInt32]) { state = UInt64(seed[0]) << 32 | UInt64(seed[1]) }

    package mutating func next() -> UInt64 {
        state &+= 0x9E37_79B9_7F4A_7C15
        var z = state
        z = (z ^ (z >> 30)) &* 0xBF58_476D_1CE4_E5B9
        z = (z ^ (z >> 27)) &* 0x94D0_49BB_1331_11EB
        return z ^ (z >> 31)
    }
}
