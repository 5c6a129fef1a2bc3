// What the pipeline makes: machine code, and the stages before it for whoever wants to read them.

import KilnIR
import KilnKernels
import KilnLLVM

/// A compiled graph.
public struct Artifact: Sendable {
    /// The graph after fusion.
    public let groups: Graph
    /// The kernels as loops, for the options' target and then for each device.
    public let programs: [Program]
    /// The program for the options' target.
    public var program: Program { programs[0] }
    /// Machine code, to be loaded or linked.
    public let code: ObjectCode
    /// Seconds that each stage took, in order.
    public let timings: [(stage: String, seconds: Double)]
}

/// Seconds between laps.
struct Stopwatch {
    private let clock = ContinuousClock()
    private var last: ContinuousClock.Instant
    private(set) var laps: [(stage: String, seconds: Double)] = []

    init() { last = clock.now }

    mutating func lap(_ stage: String) {
        let now = clock.now
        let duration = (now - last).components
        laps.append((stage, Double(duration.seconds) + Double(duration.attoseconds) * 1e-18))
        last = now
    }
}
