// How a group of threads goes through the elements of a row: in vectors, one thread's next to another's.
//
//     row   | t0 t1 t2 … | t0 t1 t2 … | … | t0 t1    |      chunks of `group` vectors; the last may lack some

import KilnIR

/// The vectors of a row and the threads that share them.
struct ThreadBlockSpan {
    /// The axes of a row, the last of which is cut into vectors.
    let axes: [DomainAxis]
    let width: Int
    /// Neighbouring threads that share a row.
    let group: Int
    /// Whether all chunks are unrolled, so that what is kept of them can be in registers.
    let isUnrolled: Bool
    /// Vectors that a thread has in flight in a loop.
    let unroll: Int
    /// The place of the current element among those that the thread, or the row in shared memory, keeps.
    let slot: Dim
    /// Vectors of the row, or of the part of it that a work item goes through.
    var vectors: Dim
    /// The first of them.
    var first: Dim = 0

    init(axes: [DomainAxis], width: Int, group: Int, isUnrolled: Bool, unroll: Int, slot: Dim) {
        self.axes = axes
        self.width = width
        self.group = group
        self.isUnrolled = isUnrolled
        self.unroll = unroll
        self.slot = slot
        vectors = Self.sizes(axes, width).reduce(1, *)
    }

    static func sizes(_ axes: [DomainAxis], _ width: Int) -> [Dim] {
        axes.dropLast().map(\.size) + (axes.last.map { [$0.size.dividedUp(by: .constant(width))] } ?? [])
    }

    /// Chunks of a row whose size is known.
    var chunks: Int? { vectors.constant.map { ($0 + group - 1) / group } }
}

extension GroupLowering {
    /// Runs the body for each of the thread's vectors, with the axes' variables set; it gets the lane and the number of the vector among
    /// those in flight. `number` is the thread's within the group.
    func eachVector(_ span: ThreadBlockSpan, _ number: Dim, keepsInShared: Bool = false, _ body: (Dim, Int) throws -> Void) throws {
        let group = Dim.constant(span.group)
        func one(_ chunk: Dim, _ part: Int) throws {
            let vector = chunk * group + number
            let indices = unflatten(span.first + vector, ThreadBlockSpan.sizes(span.axes, span.width))
            for (axis, index) in zip(span.axes.dropLast(), indices) { elements.setVariable(axis.variable, to: index) }
            try threadLanes(span.width) { lane in
                if let last = span.axes.last { elements.setVariable(last.variable, to: indices.last! * .constant(span.width) + lane) }
                elements.setVariable(span.slot, to: (keepsInShared ? vector : chunk) * .constant(span.width) + lane)
                try body(lane, part)
            }
        }
        func guarded(_ chunk: Dim) throws {
            try writer.branch([.isNonNegative(span.vectors - 1 - chunk * group - number)]) { try one(chunk, 0) }
        }
        if span.isUnrolled, let vectors = span.vectors.constant {
            let full = vectors / span.group
            try writer.loop(to: .constant(full), .unrolled) { try one($0, 0) }
            if vectors % span.group != 0 { try guarded(.constant(full)) }
            return
        }
        let chunks = writer.bind(span.vectors / group)
        var done: Dim = 0
        if span.unroll > 1, (chunks.constant ?? span.unroll) >= span.unroll {
            let blocks = chunks / .constant(span.unroll)
            try writer.loop(to: writer.bind(blocks)) { block in
                for part in 0..<span.unroll { try one(block * .constant(span.unroll) + .constant(part), part) }
            }
            done = writer.bind(blocks * .constant(span.unroll))
        }
        try writer.loop(from: done, to: chunks) { try one($0, 0) }
        if let vectors = span.vectors.constant, vectors % span.group == 0 { return }
        try guarded(chunks)
    }
}
