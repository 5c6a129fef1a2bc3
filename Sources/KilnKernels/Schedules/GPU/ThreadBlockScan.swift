// The GPU's schedule of scans. Along the innermost axis a warp or a thread block has a row: each thread scans a vector, shuffles give what the
// warp's threads before it come to, shared memory what the warps before come to, and a carry what the chunks before came to.
// Few long rows are cut into parts, whose sums come first. Along any other axis each thread has a column.

import KilnIR

/// A scan by thread blocks.
struct BlockScan: Schedule {
    let cost: Dim

    static func plan(_ group: GroupLowering, _ target: Target) throws -> BlockScan? {
        guard group.kind == .scan else { return nil }
        return BlockScan(cost: group.elementwiseCost(group.region.type(of: group.region.outputs[0].value).shape))
    }

    func emit(into group: GroupLowering) throws { try group.threadBlockScan() }
}

extension GroupLowering {
    /// What a scan's kernel is about.
    private struct Scan {
        var code: ReductionCode
        var operand: ValueID
        var axes: [DomainAxis]
        var axis: Int
        var isReverse: Bool
        var isExclusive: Bool

        var variables: [Dim] { axes.map(\.variable) }
        var others: [Int] { axes.indices.filter { $0 != axis } }
        var size: Dim { axes[axis].size }
    }

    fileprivate func threadBlockScan() throws {
        let position = try root { if case .scan = $0 { true } else { false } }
        guard case .scan(let kind, let axis, let reverse, let exclusive) = table.forms[position] else { return }
        let operand = region.operations[position].operands[0]
        let type = region.type(of: operand)
        let code = ReductionCode(kind, operand: type.dtype, result: region.type(of: region.outputs[0].value).dtype)
        let scan = Scan(code: code, operand: operand, axes: makeAxes(type.shape), axis: axis, isReverse: reverse, isExclusive: exclusive)
        let rows = scan.others.reduce(1) { $0 * scan.axes[$1].size }
        if type.shape[(axis + 1)...].contains(where: { $0 != 1 }) { return try scanColumns(scan, rows) }
        if let rows = rows.constant, let count = scan.size.constant, let processors = target.gpu?.processors, rows * 2 <= processors, count >= 1 << 15 {
            return try scanParts(scan, rows, parts: min(count >> 13, max(2, processors * 2 / max(rows, 1)), 256))
        }
        try scanRows(scan, rows)
    }

    private func setOthers(_ scan: Scan, _ row: Dim) {
        for (axis, index) in zip(scan.others, unflatten(row, scan.others.map { scan.axes[$0].size })) {
            elements.setVariable(scan.axes[axis].variable, to: index)
        }
    }

    private func setStep(_ scan: Scan, _ step: Dim) {
        elements.setVariable(scan.axes[scan.axis].variable, to: scan.isReverse ? scan.size - 1 - step : step)
    }

    private func work(_ scan: Scan) -> Dim { scan.axes.reduce(.constant(costPerElement)) { $0 * $1.size } }

    private func lifted(_ scan: Scan) throws -> ValueNumber {
        scan.code.lift(try elements.element(scan.operand, scan.variables), position: 0, writer).value
    }

    private func join(_ scan: Scan, _ a: ValueNumber, _ b: ValueNumber) -> ValueNumber {
        scan.code.combine(ReductionCode.State(value: a), ReductionCode.State(value: b), writer).value
    }

    // MARK: Columns

    /// Each thread has a column; several loads are in flight.
    private func scanColumns(_ scan: Scan, _ columns: Dim) throws {
        let parts = 4
        try threadLaunch(workItems: columns, work: work(scan)) { column in
            setOthers(scan, column)
            let sum = writer.local(scan.code.accumulator, 1)
            writer.store(scan.code.identity(writer).value, sum, 0)
            func steps(_ count: Int, from first: Dim) throws {
                var numbers: [ValueNumber] = []
                for part in 0..<count {
                    setStep(scan, first + .constant(part))
                    try writer.scoped { numbers.append(try lifted(scan)) }
                }
                for part in 0..<count {
                    setStep(scan, first + .constant(part))
                    let before = writer.load(sum, 0, scan.code.accumulator)
                    let after = join(scan, before, numbers[part])
                    writer.store(after, sum, 0)
                    storeOutput(0, scan.code.result(ReductionCode.State(value: scan.isExclusive ? before : after), writer), scan.variables)
                }
            }
            let blocks = writer.bind(scan.size / .constant(parts))
            try writer.loop(to: blocks) { try steps(parts, from: $0 * .constant(parts)) }
            try writer.loop(from: blocks * .constant(parts), to: scan.size) { try steps(1, from: $0) }
        }
    }

    // MARK: Rows

    /// The vectors of a row that a group of threads scans.
    private struct ScanSpan {
        var width: Int
        var group: Int
        /// The thread's number within the group.
        var number: Dim
        var first: Dim = 0
        var vectors: Dim
        /// Whether the row is there.
        var conditions: [IndexCondition] = []
    }

    private func scanWidth(_ scan: Scan) throws -> Int {
        let width = try survey(scan.axes[scan.axis]) {
            storeOutput(0, scan.code.result(ReductionCode.State(value: try lifted(scan)), writer), scan.variables)
        }.width(dividing: scan.size)
        return min(width, 4)
    }

    private func scanRows(_ scan: Scan, _ rows: Dim) throws {
        let width = try scanWidth(scan)
        let vectors = scan.size.dividedUp(by: .constant(width))
        let isShort = (vectors.constant ?? 1024) <= ThreadBlock.warp * 4
        let group = isShort ? ThreadBlock.warp : 256
        let threads = max(128, group)
        let perThreadBlock = Dim.constant(threads / group)
        try threadBlockLaunch(workItems: rows.dividedUp(by: perThreadBlock), threads: threads, work: work(scan), resident: 4) { workItem, thread in
            let own = writer.bind(thread.number / .constant(group))
            let row = writer.bind(workItem * perThreadBlock + own)
            setOthers(scan, row)
            let carry = writer.local(scan.code.accumulator, 1)
            writer.store(scan.code.identity(writer).value, carry, 0)
            let span = ScanSpan(width: width, group: group, number: writer.bind(thread.number - own * .constant(group)), vectors: vectors,
                                conditions: perThreadBlock == 1 ? [] : [.isNonNegative(rows - 1 - row)])
            try scanSpan(scan, span, carry, thread)
        }
    }

    /// Scans the span's vectors chunk by chunk; `carry` holds what comes before.
    private func scanSpan(_ scan: Scan, _ span: ScanSpan, _ carry: Memory, _ thread: ThreadBlockThread) throws {
        let group = Dim.constant(span.group)
        let dtype = scan.code.accumulator
        let warps = span.group / ThreadBlock.warp
        let slots = warps > 1 ? shared(dtype, warps) : nil
        let values = writer.local(dtype, .constant(span.width))
        let warp = writer.bind(thread.number / .constant(ThreadBlock.warp))
        let lane = writer.bind(thread.number - warp * .constant(ThreadBlock.warp))
        func isAtLeast(_ dim: Dim, _ least: Int) -> ValueNumber { writer.define(.holds([.isNonNegative(dim - .constant(least))]), .bool) }
        try writer.loop(to: writer.bind(span.vectors.dividedUp(by: group))) { chunk in
            let vector = chunk * group + span.number
            let isThere = span.conditions + [.isNonNegative(span.vectors - 1 - vector)]
            let start = (span.first + vector) * .constant(span.width)
            threadLanes(span.width) { writer.store(scan.code.identity(writer).value, values, $0) }
            try writer.branch(isThere) {
                try threadLanes(span.width) { lane in
                    setStep(scan, start + lane)
                    writer.store(try lifted(scan), values, lane)
                }
            }
            var sums = [writer.load(values, 0, dtype)]
            for place in 1..<max(span.width, 1) { sums.append(join(scan, sums[place - 1], writer.load(values, .constant(place), dtype))) }
            // What the warp's threads up to this one come to.
            var upToHere = sums.last!
            var distance = 1
            while distance < ThreadBlock.warp {
                let below = shuffled(upToHere, .up(distance))
                upToHere = writer.apply(.select, isAtLeast(lane, distance), join(scan, below, upToHere), upToHere)
                distance *= 2
            }
            let identity = scan.code.identity(writer).value
            var before = writer.apply(.select, isAtLeast(lane, 1), shuffled(upToHere, .up(1)), identity)
            var total: ValueNumber
            if let slots {
                writer.branch([.isZero(lane - .constant(ThreadBlock.warp - 1))]) { writer.store(upToHere, slots, warp) }
                barrier()
                total = writer.load(slots, 0, dtype)
                var warpsBefore = identity
                for number in 1..<warps {
                    warpsBefore = writer.apply(.select, isAtLeast(warp, number), total, warpsBefore)
                    total = join(scan, total, writer.load(slots, .constant(number), dtype))
                }
                before = join(scan, warpsBefore, before)
            } else { total = shuffled(upToHere, .lane(.constant(ThreadBlock.warp - 1))) }
            let carried = writer.load(carry, 0, dtype)
            before = join(scan, carried, before)
            let results = scan.isExclusive ? [before] + sums.dropLast().map { join(scan, before, $0) } : sums.map { join(scan, before, $0) }
            for (place, result) in results.enumerated() { writer.store(result, values, .constant(place)) }
            writer.branch(isThere) {
                threadLanes(span.width) { lane in
                    setStep(scan, start + lane)
                    storeOutput(0, scan.code.result(ReductionCode.State(value: writer.load(values, lane, dtype)), writer), scan.variables)
                }
            }
            writer.store(join(scan, carried, total), carry, 0)
            if warps > 1 { barrier() }
        }
    }

    // MARK: Parts of long rows

    private func scanParts(_ scan: Scan, _ rows: Int, parts: Int) throws {
        let threads = 256
        let width = try scanWidth(scan)
        let vectors = scan.size.dividedUp(by: .constant(width))
        let share = vectors.dividedUp(by: .constant(parts))
        let sums = temporary("parts", scan.code.accumulator, [.constant(rows), .constant(parts)])
        let step = DomainAxis(variable: elements.makeVariable(size: scan.size), size: scan.size)
        func part(_ workItem: Dim) -> (row: Dim, part: Dim, vectors: Dim) {
            let place = unflatten(workItem, [.constant(rows), .constant(parts)])
            setOthers(scan, place[0])
            return (place[0], place[1], writer.bind(Dim.maximum(Dim.minimum(vectors - share * place[1], share), 0)))
        }
        try threadBlockLaunch(workItems: .constant(rows * parts), threads: threads, work: work(scan), resident: 4) { workItem, thread in
            let place = part(workItem)
            var span = ThreadBlockSpan(axes: [step], width: width, group: threads, isUnrolled: false, unroll: 4, slot: elements.makeVariable(size: 1))
            span.first = share * place.part
            span.vectors = place.vectors
            let accumulator = ThreadAccumulator(scan.code, width: width, parts: 4, self)
            try eachVector(span, thread.number) { lane, number in
                setStep(scan, elements.physical(step.variable))
                accumulator.add(ReductionCode.State(value: try lifted(scan)), part: number, lane: lane, writer)
            }
            let total = combined([accumulator.total(writer)], [scan.code], group: threads, thread)[0]
            writer.branch([.isZero(thread.number)]) { writer.store(total.value, sums.memory, sums.address([place.row, place.part])) }
        }
        try threadBlockLaunch(workItems: .constant(rows * parts), threads: threads, work: work(scan), resident: 4) { workItem, thread in
            let place = part(workItem)
            let identity = scan.code.identityScalar
            let earlier = writer.load(sums.memory, sums.address([place.row, thread.number]), scan.code.accumulator,
                                      where: [.isNonNegative(place.part - 1 - thread.number)], fill: identity)
            let before = combined([ReductionCode.State(value: earlier)], [scan.code], group: threads, thread)[0]
            let carry = writer.local(scan.code.accumulator, 1)
            writer.store(before.value, carry, 0)
            let span = ScanSpan(width: width, group: threads, number: thread.number, first: share * place.part, vectors: place.vectors)
            try scanSpan(scan, span, carry, thread)
        }
    }
}
