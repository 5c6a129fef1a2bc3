// A program's steps before its memory is planned: every value has a buffer of its own, and values that go from one part of the control flow
// into another are moved. The plan makes one buffer of many, and of each move nothing, an exchange of addresses, or a copy.

import KilnIR

/// A step whose buffers are not placed yet.
indirect enum Draft {
    /// Runs a kernel, which is launched nowhere else.
    case launch(Int)
    case measure(symbol: String, from: Int, limit: Dim)
    case check(IndexCondition, message: String)
    /// Gives buffers the contents of others, all at the same time.
    case move([Move])
    case branch(condition: Int, then: [Draft], otherwise: [Draft])
    /// The body ends with the move of what the next round is given.
    case loop(test: [Draft], condition: Int, body: [Draft])
}

/// A buffer's content that becomes another's.
struct Move: Equatable {
    var source: Int
    var target: Int
}

/// All of a program that the memory plan reads.
struct ProgramDraft {
    var buffers: [Buffer] = []
    var kernels: [Kernel] = []
    /// By kernel, the buffers that it writes as a whole, its own temporaries among them.
    var made: [[Int]] = []
    /// Whether each kernel computes element by element, and stores each element of its results once.
    var isElementwise: [Bool] = []
    var steps: [Draft] = []
    /// The buffers of regions, whose sizes may be impossible where the region is not run.
    var inner: Set<Int> = []
}
