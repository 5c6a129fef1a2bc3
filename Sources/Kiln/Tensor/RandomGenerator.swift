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
        if let key = ThreadState.current.captures.last?.randomKey(Trace.shared.deviceID(device)) { return key }
        return Tensor(words(), device: device)
    }

    /// The words of a fresh key.
    func words() -> [UInt32] {
        Trace.shared.locked {
            counter &+= 1
            return [seed, counter]
        }
    }
}

/// Starts the random numbers anew: equal seeds give equal numbers in the same order of calls.
public func manualSeed(_ seed: Int) { RandomGenerator.shared.reset(UInt64(bitPattern: Int64(seed))) }

extension Tensor {
    /// Numbers evenly from 0 (included) to 1 (excluded).
    public static func rand(_ shape: [Int], dtype: DType = .f32, device: Device = .default, file: StaticString = #fileID,
                            line: UInt = #line) -> Tensor {
        draw("rand", shape, file, line) { uniform(key: RandomGenerator.shared.key(device), $0, dtype: dtype, file: file, line: line) }
    }

    /// Numbers from the standard normal distribution.
    public static func randn(_ shape: [Int], dtype: DType = .f32, device: Device = .default, file: StaticString = #fileID,
                             line: UInt = #line) -> Tensor {
        draw("randn", shape, file, line) { normal(key: RandomGenerator.shared.key(device), $0, dtype: dtype, file: file, line: line) }
    }

    /// Integers from a range, evenly.
    public static func randint(_ range: Range<Int>, _ shape: [Int], dtype: DType = .i64, device: Device = .default,
                               file: StaticString = #fileID, line: UInt = #line) -> Tensor {
        draw("randint", shape, file, line) {
            randint(key: RandomGenerator.shared.key(device), $0, low: range.lowerBound, high: range.upperBound, dtype: dtype, file: file, line: line)
        }
    }

    private static func draw(_ op: String, _ shape: [Int], _ file: StaticString, _ line: UInt, _ body: (Shape) -> Tensor) -> Tensor {
        let dims = shape.map { Dim.constant($0) }
        let location = SourceLocation(file, line)
        return Trace.badSize(TensorType(.f64, dims), location, op: op).map { .poisoned($0, at: location) } ?? body(dims)
    }

    /// Integers below `end`, evenly.
    public static func randint(_ end: Int, _ shape: [Int], dtype: DType = .i64, device: Device = .default, file: StaticString = #fileID,
                               line: UInt = #line) -> Tensor {
        guard end > 0 else {
            let location = SourceLocation(file, line)
            return .poisoned(ShapeError(op: "randint", "no integer from 0 on is below \(end)", at: location, fix: "give an end above 0"), at: location)
        }
        return randint(0..<end, shape, dtype: dtype, device: device, file: file, line: line)
    }

    public static func randLike(_ tensor: Tensor) -> Tensor { uniform(key: RandomGenerator.shared.key(tensor.device), tensor.dims, dtype: tensor.dtype) }
    public static func randnLike(_ tensor: Tensor) -> Tensor { normal(key: RandomGenerator.shared.key(tensor.device), tensor.dims, dtype: tensor.dtype) }

    /// The numbers below `count` in a random order, i64.
    public static func randperm(_ count: Int, device: Device = .default, file: StaticString = #fileID, line: UInt = #line) -> Tensor {
        let location = SourceLocation(file, line)
        if let wrong = Trace.badSize(TensorType(.i64, [.constant(count)]), location, op: "randperm") { return .poisoned(wrong, at: location) }
        guard count < 1 << 40 else {
            return .poisoned(ShapeError(op: "randperm", "these are \(count) numbers", at: location, fix: "give fewer", isTooLarge: true), at: location)
        }
        if let capture = ThreadState.current.captures.last {
            capture.note(Mistake(CompileError("randperm", "the order is drawn here, and would be the same at every call of the captured function",
                                              at: location, fix: "draw it outside, and pass it as an argument")))
        }
        var source = SplitMix(seed: RandomGenerator.shared.words())
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
