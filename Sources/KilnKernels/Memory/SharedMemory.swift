// Which buffers become one. A draft and the times at which its buffers are in use come in; sets of buffers that are never in use at the same
// time go out, so that what is moved need not be copied, and results lie where an operand was.

import KilnIR

/// Sets of buffers with one memory.
struct SharedMemory {
    private var parents: [Int]
    /// By a set's root: how many buffers it has.
    private var counts: [Int]
    /// By a set's root: when the memory is in use.
    private(set) var ranges: [[Range<Int>]]
    /// By a set's root: the buffer that stands for the set, an output if there is one.
    private var faces: [Int]
    private let buffers: [Buffer]
    private let sizes: [Dim]

    init(_ draft: ProgramDraft, _ liveness: Liveness) {
        buffers = draft.buffers
        parents = Array(buffers.indices)
        counts = Array(repeating: 1, count: buffers.count)
        faces = Array(buffers.indices)
        ranges = liveness.ranges
        sizes = buffers.map(\.type.byteCount)
    }

    /// The buffer that stands for all that share its memory.
    func face(_ buffer: Int) -> Int { faces[root(buffer)] }

    func ranges(of buffer: Int) -> [Range<Int>] { ranges[root(buffer)] }

    func isOne(_ a: Int, _ b: Int) -> Bool { root(a) == root(b) }

    func isArena(_ buffer: Int) -> Bool { if case .arena = buffers[face(buffer)].storage { true } else { false } }

    func haveOneSize(_ a: Int, _ b: Int) -> Bool { sizes[a] == sizes[b] }

    /// Whether the content at a time is read later.
    func isInUse(_ buffer: Int, at time: Int) -> Bool { Self.index(of: time, in: ranges(of: buffer)) != nil }

    private func root(_ buffer: Int) -> Int {
        var node = buffer
        while parents[node] != node { node = parents[node] }
        return node
    }

    /// Makes one memory of two buffers' if they are never in use together.
    ///
    /// - Parameter launch: the time of a launch that reads the first for the last time and writes the second, each element where it is read.
    @discardableResult
    mutating func join(_ first: Int, _ second: Int, inPlaceAt launch: Int? = nil) -> Bool {
        let (a, b) = (root(first), root(second))
        if a == b { return true }
        let (one, other) = (buffers[faces[a]], buffers[faces[b]])
        guard one.type.dtype == other.type.dtype, sizes[first] == sizes[second], one.isWritable, other.isWritable, isArena(a) || isArena(b) else { return false }
        var left = ranges[a]
        if let launch {
            guard let last = Self.index(of: launch + 1, in: left), left[last].upperBound == launch + 2,
                left[last].lowerBound < launch,
                Self.index(of: launch, in: ranges[b]).map({ ranges[b][$0].lowerBound }) == launch else { return false }
            left[last] = left[last].lowerBound..<launch
        }
        guard !Self.overlap(left, ranges[b]) else { return false }
        let face = isArena(a) ? isArena(b) ? min(faces[a], faces[b]) : faces[b] : faces[a]
        let (root, child) = counts[a] >= counts[b] ? (a, b) : (b, a)
        parents[child] = root
        counts[root] += counts[child]
        faces[root] = face
        ranges[root] = Liveness.merged(ranges[a] + ranges[b])
        ranges[child] = []
        return true
    }

    /// The range that a time is in.
    private static func index(of time: Int, in ranges: [Range<Int>]) -> Int? {
        var (low, high) = (0, ranges.count)
        while low < high {
            let middle = (low + high) / 2
            if ranges[middle].upperBound <= time { low = middle + 1 } else { high = middle }
        }
        return low < ranges.count && ranges[low].contains(time) ? low : nil
    }

    private static func overlap(_ a: [Range<Int>], _ b: [Range<Int>]) -> Bool {
        var (i, j) = (0, 0)
        while i < a.count, j < b.count {
            if a[i].overlaps(b[j]) { return true }
            if a[i].upperBound <= b[j].upperBound { i += 1 } else { j += 1 }
        }
        return false
    }
}
