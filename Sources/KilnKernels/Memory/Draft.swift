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
    /// Kernels that were not written anew.
    var like: [Int: Likeness] = [:]
    /// The buffers of regions, whose sizes may be impossible where the region is not run.
    var inner: Set<Int> = []
}

extension ProgramDraft {
    /// A kernel whose launches are those of another one, on buffers of its own.
    struct Likeness {
        /// The other, which has launches of its own.
        var kernel: Int
        /// For each buffer in the launches, the one that it stands for.
        var buffers: [Int: Int]
    }

    /// The kernel that a kernel's launches were written for, maybe itself.
    func origin(of kernel: Int) -> Int { like[kernel]?.kernel ?? kernel }

    /// What a buffer in a kernel's launches stands for.
    func buffer(_ number: Int, in kernel: Int) -> Int { like[kernel]?.buffers[number] ?? number }

    /// What each launch of the kernels reads and writes, by the numbers in the launches; looked for once in launches that are alike.
    func uses() -> [[BufferUse]] {
        var uses: [[BufferUse]] = []
        for kernel in kernels.indices {
            let origin = origin(of: kernel)
            uses.append(origin < kernel ? uses[origin] : kernels[kernel].launches.map { BufferUse($0) })
        }
        return uses
    }
}
