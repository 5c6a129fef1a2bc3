// The GPU's schedule of pointwise groups: each thread computes a few vectors, a thread block's width apart, all loads before the first store.
// Bytes over bandwidth is the model: 2048 threads with 2 to 4 vectors of 16 bytes have 64 to 128 KB in flight on a processor, more than
// the 40 KB that 4.8 TB/s over 132 processors take at 1 µs. What costs less than 50 operations an f32 should reach 0.9 of a copy.

import KilnIR

/// Every element by itself, by thread blocks.
struct BlockPointwise: Schedule {
    let cost: Dim

    static func plan(_ group: GroupLowering, _ target: Target) -> BlockPointwise? { group.kind == .pointwise ? BlockPointwise(group) : nil }

    init(_ group: GroupLowering) { cost = group.elementwiseCost(group.region.type(of: group.region.outputs[0].value).shape) }

    func emit(into group: GroupLowering) throws { try group.threadBlockPointwise() }
}

/// A sliding contraction of so few products that each result is best computed by itself.
struct ShortWindows: Schedule {
    let each: BlockPointwise
    var cost: Dim { each.cost }

    static func plan(_ group: GroupLowering, _ target: Target) throws -> ShortWindows? {
        guard let (contraction, _) = try group.contractionRoot(), contraction.sliding != nil, contraction.isShort else { return nil }
        return ShortWindows(each: BlockPointwise(group))
    }

    func emit(into group: GroupLowering) throws { try each.emit(into: group) }
}

extension GroupLowering {
    fileprivate func threadBlockPointwise() throws {
        let domain = region.type(of: region.outputs[0].value).shape
        try threadBlockPointwise(Array(region.outputs.indices), over: domain)
    }

    /// Computes and stores some of the outputs, all of which have as many elements as the domain, in the same order.
    func threadBlockPointwise(_ numbers: [Int], over domain: Shape) throws {
        try threadBlockElements(over: domain, numbers.map { region.type(of: region.outputs[$0].value).dtype }) { number, variables in
            try self.outputElement(numbers[number], domain, variables).value
        } store: { number, value, variables in
            let shape = region.type(of: region.outputs[numbers[number]].value).shape
            self.storeOutput(numbers[number], value, indices(of: shape, in: domain, at: variables))
        }
    }

    /// Computes and stores values of these dtypes at every place of the domain.
    func threadBlockElements(over domain: Shape, _ dtypes: [DType], _ value: (Int, [Dim]) throws -> ValueNumber,
                      store: (Int, ValueNumber, [Dim]) throws -> Void) throws {
        let axes = makeAxes(domain)
        let variables = axes.map(\.variable)
        func storeElements() throws { for number in dtypes.indices { try store(number, try value(number, variables), variables) } }
        let loops = merged(axes, expressions: try observe(storeElements))
        let work = domain.reduce(1, *) * .constant(costPerElement)
        guard let inner = loops.last else {
            return try threadLaunch(workItems: 1, work: work) { _ in try storeElements() }
        }
        if let tile = try tile(loops, storeElements) { return try threadBlockTiles(tile, work, storeElements) }
        let survey = try survey(inner, storeElements)
        let width = loops.count == 1 ? survey.width : survey.width(dividing: inner.size)
        let outer = Array(loops.dropLast())
        let sizes = outer.map(\.size) + [inner.size.dividedUp(by: .constant(width))]
        let vectors = sizes.reduce(1, *)
        let (threads, parts) = pointwiseThreadBlock(vectors, width, survey, outputs: dtypes.count)
        let block = Dim.constant(threads * parts)
        /// Goes to the vector with the number, and gives its first place along the innermost axis.
        func go(to vector: Dim) -> Dim {
            let at = unflatten(vector, sizes)
            for (axis, index) in zip(outer, at) { elements.setVariable(axis.variable, to: index) }
            return at.last! * .constant(width)
        }
        try threadBlockLaunch(workItems: vectors.dividedUp(by: block), threads: threads, work: work, resident: max(1, 1024 / threads)) { workItem, thread in
            func vector(_ part: Int) -> Dim { workItem * block + .constant(part * threads) + thread.number }
            func whole() throws {
                let results = dtypes.map { writer.local($0, .constant(parts * width)) }
                for part in 0..<parts {
                    let first = go(to: vector(part))
                    try threadLanes(width) { lane in
                        elements.setVariable(inner.variable, to: first + lane)
                        for (number, result) in results.enumerated() {
                            writer.store(try value(number, variables), result, lane + .constant(part * width))
                        }
                    }
                }
                for part in 0..<parts {
                    let first = go(to: vector(part))
                    try threadLanes(width) { lane in
                        elements.setVariable(inner.variable, to: first + lane)
                        for (number, result) in results.enumerated() {
                            try store(number, writer.load(result, lane + .constant(part * width), dtypes[number]), variables)
                        }
                    }
                }
            }
            func partial() throws {
                for part in 0..<parts {
                    try writer.branch([.isNonNegative(vectors - 1 - vector(part))]) {
                        let first = go(to: vector(part))
                        let isEven = inner.size.constant.map { $0 % width == 0 } ?? (width == 1)
                        let count = isEven ? nil : writer.bind(Dim.minimum(inner.size - first, .constant(width)))
                        try threadLanes(width, count: count) { lane in
                            elements.setVariable(inner.variable, to: first + lane)
                            try storeElements()
                        }
                    }
                }
            }
            // Whether the thread block's last vector is there, and whole.
            let last = loops.count == 1 ? inner.size - (workItem + 1) * block * .constant(width) : vectors - (workItem + 1) * block
            let blockElements = threads * parts * (loops.count == 1 ? width : 1)
            let count = loops.count == 1 ? inner.size.constant : vectors.constant
            if let count, count % blockElements == 0 { return try whole() }
            if let count, count < blockElements { return try partial() }
            try writer.branch([.isNonNegative(last)], then: whole, otherwise: partial)
        }
    }

    /// Threads of a thread block, and vectors of each.
    private func pointwiseThreadBlock(_ vectors: Dim, _ width: Int, _ survey: AxisSurvey, outputs: Int) -> (threads: Int, parts: Int) {
        let registers = width * survey.widest / 4 * (survey.streams + outputs)
        var parts = costPerElement > 200 ? 1 : max(1, min(4, 32 / max(registers, 1)))
        while parts & (parts - 1) != 0 { parts -= 1 }
        var threads = 256
        // Every processor gets some of a small tensor.
        if let count = vectors.constant, let processors = target.gpu?.processors {
            while parts > 1, count < threads * parts * processors * 2 { parts /= 2 }
            while threads > 64, count < threads * processors { threads /= 2 }
        }
        return (threads, parts)
    }

    func outputElement(_ number: Int, _ domain: Shape, _ variables: [Dim]) throws -> (value: ValueNumber, indices: [Dim]) {
        let output = region.outputs[number].value
        let at = indices(of: region.type(of: output).shape, in: domain, at: variables)
        return (try elements.element(output, at), at)
    }
}
