// Attention by thread blocks of four warps with tensor cores: a thread block takes 64 rows of one head, keys and values come through shared memory a
// block ahead, scores stay in registers, and what they weigh is rescaled as greater scores come. (T. Dao, "FlashAttention-2", 2023.)
//
//     a warp's 16 rows of scores, thread i of the warp:  rows i / 4 and i / 4 + 8, columns 2 (i % 4) and the next of every 8

import KilnIR

/// Attention on tensor cores: short floats, heads of fixed size, forward.
struct TensorCoreAttention: Schedule {
    let plan: AttentionPlan
    var cost: Dim { plan.work }

    static func plan(_ group: GroupLowering, _ target: Target) throws -> TensorCoreAttention? {
        guard let plan = try group.attentionPlan(), !plan.isEmpty, let gpu = target.gpu, gpu.architecture >= 80, plan.form.direction == .forward,
            let size = plan.size.constant, let valueSize = plan.valueSize.constant else { return nil }
        let dtype = group.region.type(of: plan.operands[0]).dtype
        let fits = (dtype == .f16 || dtype == .bf16) && 1...256 ~= size && 1...256 ~= valueSize
            && ThreadBlockAttention.sharedBytes(size, valueSize) <= gpu.sharedBytes
        return fits ? TensorCoreAttention(plan: plan) : nil
    }

    func emit(into group: GroupLowering) throws { try ThreadBlockAttention(group, plan).write() }
}

/// Rows of one operand on their way to shared memory.
private struct AttentionSource {
    let operand: Int
    let side: AttentionSide
    let frame: AttentionFrame
    /// Where the rows are in memory as they are, eight elements aligned; nil where something is computed on the way.
    let direct: (memory: Memory, address: Dim)?
    let features: Int
    let memory: Memory
    let stride: Int
    let rows: Int

    var padded: Int { stride - ThreadBlockAttention.padding }
}

/// A thread's registers.
private struct AttentionRegisters {
    let scores: Memory
    let weights: Memory
    let products: Memory
    /// For its two rows: the greatest score, and the sum of its own columns' exponentials.
    let greatest: Memory
    let sums: Memory
}

/// One attention as a thread block's work.
struct ThreadBlockAttention {
    static let rows = 64, keys = 64, threads = 128
    /// Elements that keep the rows of eight neighbours in different banks.
    static let padding = 8

    let lowering: GroupLowering
    let plan: AttentionPlan
    private let dtype: DType
    private let size: Int
    private let valueSize: Int

    private var writer: KernelWriter { lowering.writer }
    private var elements: ElementLowering { lowering.elements }
    private var kind: MatrixKind { dtype == .f16 ? .f16 : .bf16 }
    private static func padded(_ size: Int) -> Int { (size + 15) / 16 * 16 }

    static func sharedBytes(_ size: Int, _ valueSize: Int) -> Int {
        2 * ((rows + 2 * keys) * (padded(size) + padding) + 2 * keys * (padded(valueSize) + padding))
    }

    init(_ lowering: GroupLowering, _ plan: AttentionPlan) {
        self.lowering = lowering
        self.plan = plan
        dtype = lowering.region.type(of: plan.operands[0]).dtype
        size = Self.padded(plan.size.constant!)
        valueSize = Self.padded(plan.valueSize.constant!)
    }

    func write() throws {
        let blocks = plan.rows.dividedUp(by: .constant(Self.rows))
        try lowering.threadBlockLaunch(workItems: plan.outer * blocks, threads: Self.threads, work: plan.work) { workItem, thread in
            let place = lowering.unflatten(workItem, plan.outerShape + [blocks])
            let outer = Array(place.dropLast())
            let first = writer.bind(place.last! * .constant(Self.rows))
            let queries = try source(0, .queries, plan.size, stages: 1, outer)
            let keys = try source(1, .keys, plan.size, stages: 2, outer), values = try source(2, .keys, plan.valueSize, stages: 2, outer)
            let registers = registers()
            let last = Dim.minimum(first + .constant(Self.rows), plan.rows) - 1
            let limit = writer.bind(lowering.keyLimit(plan, afterRow: last))
            try bring(queries, first: first, stage: 0, thread)
            try bring(keys, first: 0, stage: 0, thread)
            try bring(values, first: 0, stage: 0, thread)
            writer.append(.threadBlock(.commitCopies))
            let warp = writer.bind(thread.number / .constant(ThreadBlock.warp))
            let lane = writer.bind(thread.number - warp * .constant(ThreadBlock.warp))
            try writer.loop(from: 0, to: limit, step: Self.keys) { start in
                let block = writer.bind(start / .constant(Self.keys))
                let stage = writer.bind(block - block / 2 * 2)
                writer.append(.threadBlock(.waitCopies(pending: 0)))
                lowering.barrier()
                let next = start + .constant(Self.keys)
                try writer.branch([.isNonNegative(limit - 1 - next)]) {
                    try bring(keys, first: next, stage: 1 - stage, thread)
                    try bring(values, first: next, stage: 1 - stage, thread)
                }
                writer.append(.threadBlock(.commitCopies))
                multiplyQueries(queries, keys, registers, stage: stage, warp: warp, lane: lane)
                try maskEdges(registers, outer: outer, first: first, start: start, warp: warp, lane: lane)
                weigh(registers)
                multiplyValues(values, registers, stage: stage, lane: lane)
            }
            writer.append(.threadBlock(.waitCopies(pending: 0)))
            try store(registers, outer: outer, first: first, warp: warp, lane: lane)
        }
    }

    // MARK: To shared memory

    private func source(_ operand: Int, _ side: AttentionSide, _ features: Dim, stages: Int, _ outer: [Dim]) throws -> AttentionSource {
        let frame = lowering.attentionFrame(plan, features: features)
        lowering.setOuter(frame, outer)
        let rows = side == .queries ? Self.rows : Self.keys
        let stride = Self.padded(features.constant!) + Self.padding
        let indices = side == .queries ? frame.queryIndices : frame.keyIndices
        let rank = indices.count
        let view = try OperandView(lowering, IndexMap.Piece(operand: 0, indices: (0..<rank).map { .index($0) }), plan.operands[operand], indices)
        var direct: (Memory, Dim)?
        if let found = view.direct, found.conditions.isEmpty, features.constant! % 8 == 0, let feature = frame.feature.indices.first,
            found.address.coefficient(ofIndex: feature) == 1, (found.address - frame.feature).terms.allSatisfy({ $0.coefficient % 8 == 0 }) {
            direct = (found.place.memory, found.address)
        }
        return AttentionSource(operand: operand, side: side, frame: frame, direct: direct, features: features.constant!,
                               memory: lowering.shared(dtype, stages * rows * stride), stride: stride, rows: rows)
    }

    /// Starts to bring a block of rows to a stage, eight elements at a time; what has to be computed is written at once.
    private func bring(_ source: AttentionSource, first: Dim, stage: Dim, _ thread: ThreadBlockThread) throws {
        let pieces = source.padded / 8
        let tokens = source.side == .queries ? plan.rows : plan.keys
        for step in 0..<source.rows * pieces / Self.threads {
            let number = thread.number + .constant(step * Self.threads)
            let row = writer.bind(number / .constant(pieces))
            let feature = writer.bind((number - row * .constant(pieces)) * 8)
            let token = writer.bind(first + row)
            elements.setVariable(source.side == .queries ? source.frame.row : source.frame.key, to: token)
            let target = writer.bind((stage * .constant(source.rows) + row) * .constant(source.stride) + feature)
            let inside: [IndexCondition] = [.isNonNegative(tokens - 1 - token)]
            if let direct = source.direct {
                elements.setVariable(source.frame.feature, to: feature)
                let conditions = inside + (source.padded == source.features ? [] : [.isNonNegative(.constant(source.features - 1) - feature)])
                writer.append(.threadBlock(.copy(to: Access(source.memory, target),
                                          from: Access(direct.memory, elements.physical(direct.address), where: conditions), bytes: 16)))
                continue
            }
            try writer.lanes(8, count: 8) { lane in
                elements.setVariable(source.frame.feature, to: feature + lane)
                let conditions = inside + [.isNonNegative(.constant(source.features - 1) - feature - lane)]
                let indices = source.side == .queries ? source.frame.queryIndices : source.frame.keyIndices
                let value = try elements.element(plan.operands[source.operand], indices, where: conditions)
                let kept = writer.apply(.select, writer.define(.holds(conditions), .bool), value, writer.constant(0, dtype))
                writer.store(kept, source.memory, target + lane)
            }
        }
    }

    // MARK: In registers

    private func registers() -> AttentionRegisters {
        let scores = Self.keys / 2, products = valueSize / 2
        let registers = AttentionRegisters(
            scores: writer.local(.f32, .constant(scores)), weights: writer.local(dtype, .constant(scores)),
            products: writer.local(.f32, .constant(products)), greatest: writer.local(.f32, 2), sums: writer.local(.f32, 2))
        for row in 0..<2 {
            writer.store(writer.constant(.real(-.infinity), .f32), registers.greatest, .constant(row))
            writer.store(writer.constant(0, .f32), registers.sums, .constant(row))
        }
        for number in 0..<products { writer.store(writer.constant(0, .f32), registers.products, .constant(number)) }
        return registers
    }

    /// The warp's scores: its 16 rows of queries times a block of keys.
    private func multiplyQueries(_ queries: AttentionSource, _ keys: AttentionSource, _ registers: AttentionRegisters, stage: Dim, warp: Dim, lane: Dim) {
        let left = writer.local(dtype, 8), right = writer.local(dtype, 8)
        for number in 0..<Self.keys / 2 { writer.store(writer.constant(0, .f32), registers.scores, .constant(number)) }
        let half = writer.bind(lane / 16), eighth = writer.bind(lane / 8)
        let inHalf = lane - half * 16, inEighth = lane - eighth * 8
        let row = writer.bind((warp * 16 + inHalf) * .constant(queries.stride) + half * 8)
        let column = writer.bind((stage * .constant(keys.rows) + half * 8 + inEighth) * .constant(keys.stride) + (eighth - half * 2) * 8)
        for depth in stride(from: 0, to: size, by: 16) {
            writer.append(.threadBlock(.loadMatrices(to: Access(left, 0), from: Access(queries.memory, row + .constant(depth)), count: 4, isTransposed: false)))
            for key in stride(from: 0, to: Self.keys, by: 16) {
                writer.append(.threadBlock(.loadMatrices(to: Access(right, 0), from: Access(keys.memory, column + .constant(key * keys.stride + depth)), count: 4,
                                                  isTransposed: false)))
                for part in 0..<2 {
                    writer.append(.threadBlock(.multiplyAdd(kind, sum: Access(registers.scores, .constant((key / 8 + part) * 4)), left: Access(left, 0),
                                                     right: Access(right, .constant(part * 4)))))
                }
            }
        }
    }

    /// Scales the scores; adds the mask; hides keys past the last and past what a row sees.
    private func maskEdges(_ registers: AttentionRegisters, outer: [Dim], first: Dim, start: Dim, warp: Dim, lane: Dim) throws {
        let quad = writer.bind(lane / 4)
        let row = writer.bind(first + warp * 16 + quad), column = writer.bind(start + (lane - quad * 4) * 2)
        func forEach(_ body: (_ address: Int, _ row: Dim, _ key: Dim) throws -> Void) rethrows {
            for address in 0..<Self.keys / 2 {
                try body(address, row + .constant(address % 4 / 2 * 8), column + .constant(address / 4 * 8 + address % 2))
            }
        }
        let scale = writer.constant(.real(plan.form.scale), .f32)
        try forEach { address, row, key in
            var score = writer.apply(.multiply, writer.load(registers.scores, .constant(address), .f32), scale)
            if plan.form.mask != .none {
                let frame = lowering.attentionFrame(plan)
                lowering.setOuter(frame, outer)
                elements.setVariable(frame.row, to: row)
                elements.setVariable(frame.key, to: key)
                score = try lowering.masked(plan, score, frame, where: [.isNonNegative(plan.rows - 1 - row), .isNonNegative(plan.keys - 1 - key)])
            }
            writer.store(score, registers.scores, .constant(address))
        }
        var whole: [IndexCondition] = [.isNonNegative(plan.keys - start - .constant(Self.keys))]
        if let offset = plan.form.causalOffset { whole.append(.isNonNegative(first + offset - start - .constant(Self.keys - 1))) }
        writer.branch(whole, then: {}, otherwise: {
            let hidden = writer.constant(.real(-.infinity), .f32)
            forEach { address, row, key in
                var inside: [IndexCondition] = [.isNonNegative(plan.keys - 1 - key)]
                if let offset = plan.form.causalOffset { inside.append(.isNonNegative(row + offset - key)) }
                let score = writer.load(registers.scores, .constant(address), .f32)
                writer.store(writer.apply(.select, writer.define(.holds(inside), .bool), score, hidden), registers.scores, .constant(address))
            }
        })
    }

    /// A value of the four threads that share a row, combined.
    private func overQuad(_ function: ScalarFunction, _ value: ValueNumber) -> ValueNumber {
        var value = value
        for distance in [1, 2] { value = writer.apply(function, value, writer.define(.shuffle(value, .xor(distance)), .f32)) }
        return value
    }

    /// Makes weights of the scores, and shrinks what was summed where a greater score came.
    private func weigh(_ registers: AttentionRegisters) {
        for row in 0..<2 {
            let addresses = (0..<Self.keys / 2).filter { $0 % 4 / 2 == row }
            let scores = addresses.map { writer.load(registers.scores, .constant($0), .f32) }
            let before = writer.load(registers.greatest, .constant(row), .f32)
            let own = scores.dropFirst().reduce(scores[0]) { writer.apply(.maximum, $0, $1) }
            let greatest = writer.apply(.maximum, before, overQuad(.maximum, own))
            let shift = lowering.shift(greatest, plan)
            let factor = writer.apply(.exp, writer.apply(.subtract, before, shift))
            var sum = writer.apply(.multiply, writer.load(registers.sums, .constant(row), .f32), factor)
            for (address, score) in zip(addresses, scores) {
                let weight = writer.apply(.exp, writer.apply(.subtract, score, shift))
                sum = writer.apply(.add, sum, weight)
                writer.store(writer.convert(weight, to: dtype), registers.weights, .constant(address))
            }
            writer.store(greatest, registers.greatest, .constant(row))
            writer.store(sum, registers.sums, .constant(row))
            for address in (0..<valueSize / 2).filter({ $0 % 4 / 2 == row }) {
                let product = writer.load(registers.products, .constant(address), .f32)
                writer.store(writer.apply(.multiply, product, factor), registers.products, .constant(address))
            }
        }
    }

    /// Adds the weights times a block of values; a row of scores as it lies in registers is a left operand.
    private func multiplyValues(_ values: AttentionSource, _ registers: AttentionRegisters, stage: Dim, lane: Dim) {
        let right = writer.local(dtype, 8)
        let half = writer.bind(lane / 16)
        let row = writer.bind((stage * .constant(values.rows) + lane - half * 16) * .constant(values.stride) + half * 8)
        for key in stride(from: 0, to: Self.keys, by: 16) {
            for feature in stride(from: 0, to: valueSize, by: 16) {
                writer.append(.threadBlock(.loadMatrices(to: Access(right, 0), from: Access(values.memory, row + .constant(key * values.stride + feature)),
                                                  count: 4, isTransposed: true)))
                for part in 0..<2 {
                    writer.append(.threadBlock(.multiplyAdd(kind, sum: Access(registers.products, .constant((feature / 8 + part) * 4)),
                                                     left: Access(registers.weights, .constant(key / 2)), right: Access(right, .constant(part * 4)))))
                }
            }
        }
    }

    // MARK: To the results

    private func store(_ registers: AttentionRegisters, outer: [Dim], first: Dim, warp: Dim, lane: Dim) throws {
        let quad = writer.bind(lane / 4)
        let inQuad = writer.bind(lane - quad * 4)
        let features = plan.valueSize.constant!
        for number in 0..<2 {
            let sum = overQuad(.add, writer.load(registers.sums, .constant(number), .f32))
            let greatest = writer.load(registers.greatest, .constant(number), .f32)
            let row = writer.bind(first + warp * 16 + quad + .constant(number * 8))
            writer.branch([.isNonNegative(plan.rows - 1 - row)]) {
                let frame = lowering.attentionFrame(plan, features: plan.valueSize)
                lowering.setOuter(frame, outer)
                elements.setVariable(frame.row, to: row)
                writer.branch([.isZero(inQuad)]) {
                    lowering.storeResult(plan, 1, writer.apply(.add, lowering.shift(greatest, plan), writer.apply(.log, sum)), frame.rowIndices)
                }
                for tile in 0..<valueSize / 8 {
                    let feature = inQuad * 2 + .constant(tile * 8)
                    func pair(_ count: Dim) {
                        writer.lanes(2, count: count) { part in
                            elements.setVariable(frame.feature, to: feature + part)
                            let product = writer.load(registers.products, .constant(tile * 4 + number * 2) + part, .f32)
                            lowering.storeResult(plan, 0, lowering.quotient(product, sum, plan), frame.queryIndices)
                        }
                    }
                    if tile * 8 + 8 <= features { pair(2) } else {
                        writer.branch([.isNonNegative(.constant(features - 1) - feature)]) {
                            pair(writer.bind(Dim.minimum(.constant(features) - feature, 2)))
                        }
                    }
                }
            }
        }
    }
}
