// The schedule of sorts, the same for threads of the CPU and of a GPU: runs of 32 by counting, then runs merged in pairs until one is
// left. A merge is cut into chunks of its result; each finds by bisection where it begins in both runs ("merge path", Odeh, Green,
// Mwassi, Shmueli, Birk: Merge Path - Parallel Merging Made Simple, 2012) and goes on from there by itself.

import KilnIR

/// Into what a sort is cut.
struct SortGrain {
    /// Elements of a row that one work item reads or writes.
    var elements: Int
    /// Elements of the result that one work item merges.
    var merged: Int
}

/// A sort by threads of the host.
struct HostSort: Schedule {
    let cost: Dim

    static func plan(_ group: GroupLowering, _ target: Target) throws -> HostSort? {
        guard group.kind == .sort else { return nil }
        return HostSort(cost: group.elementwiseCost(group.region.type(of: group.region.outputs[0].value).shape))
    }

    func emit(into group: GroupLowering) throws { try group.sort(SortGrain(elements: WorkDivision.leastElements, merged: 2048)) }
}

/// A sort by threads of a GPU, each of which has little to do.
struct BlockSort: Schedule {
    let cost: Dim

    static func plan(_ group: GroupLowering, _ target: Target) throws -> BlockSort? {
        guard group.kind == .sort else { return nil }
        return BlockSort(cost: group.elementwiseCost(group.region.type(of: group.region.outputs[0].value).shape))
    }

    func emit(into group: GroupLowering) throws { try group.sort(SortGrain(elements: 1, merged: 16)) }
}

extension GroupLowering {
    /// Elements of a run that are put in order by counting.
    private static let firstRun = 32

    fileprivate func sort(_ grain: SortGrain) throws {
        let position = try root { if case .sort = $0 { true } else { false } }
        guard case .sort(let axis, let descending) = table.forms[position] else { return }
        let operand = region.operations[position].operands[0]
        let type = region.type(of: operand)
        if type.elementCount == 0 { return launch(workItems: 0, work: 0) { _ in } }
        let axes = makeAxes(type.shape)
        let variables = axes.map(\.variable)
        let length = type.shape[axis]
        let others = axes.indices.filter { $0 != axis }
        let rows = others.reduce(1) { $0 * axes[$1].size }
        let dtype = type.dtype == .bool ? .u8 : type.dtype
        var (from, to) = (SortRuns("sort.a", dtype, rows, length, self), SortRuns("sort.b", dtype, rows, length, self))
        /// Sets the variables of all axes but the sorted one.
        func setRow(_ row: Dim) {
            for (axis, index) in zip(others, unflatten(row, others.map { axes[$0].size })) { elements.setVariable(variables[axis], to: index) }
        }
        try eachElement(rows, length, grain, work: type.elementCount * .constant(costPerElement)) { row, index in
            setRow(row)
            elements.setVariable(variables[axis], to: index)
            let key = writer.convert(try elements.element(operand, variables), to: dtype)
            writer.store(key, from.keys, row * length + index)
        }
        let order = SortOrder(dtype: dtype, descending: descending, writer: writer)
        sortRuns(rows, length, from, to, order)
        swap(&from, &to)
        // With a size that is known at run time only, rounds come in pairs, so that the result is where it is whatever the number of them.
        var run = Self.firstRun
        let most = length.constant ?? 1 << 31
        while run < most {
            let isNeeded: Dim = length.constant != nil ? 1 : Dim.minimum(Dim.maximum(length - .constant(run), 0), 1)
            for width in length.constant == nil ? [run, run * 2] : [run] {
                merge(rows, length, run: width, grain, isNeeded, from, to, order)
                swap(&from, &to)
            }
            run *= length.constant == nil ? 4 : 2
        }
        eachElement(rows, length, grain, work: type.elementCount) { row, index in
            setRow(row)
            elements.setVariable(variables[axis], to: index)
            storeOutput(0, writer.load(from.places, row * length + index, .i64), variables)
        }
    }

    /// Adds a launch over the elements of all rows: a work item has a row, of a long one a part, or an element alone.
    private func eachElement(_ rows: Dim, _ length: Dim, _ grain: SortGrain, work: Dim, _ body: (Dim, Dim) throws -> Void) rethrows {
        if grain.elements == 1 {
            return try launch(workItems: rows * length, work: work) { workItem in
                let place = unflatten(workItem, [rows, length])
                try body(place[0], place[1])
            }
        }
        let part = grain.elements
        if let length = length.constant, length <= part { return try launch(workItems: rows, work: work) { row in try writer.loop(to: .constant(length)) { try body(row, $0) } } }
        let sizes = [rows, length.dividedUp(by: .constant(part))]
        try launch(workItems: sizes.reduce(1, *), work: work) { workItem in
            let place = unflatten(workItem, sizes)
            let first = writer.bind(place[1] * .constant(part))
            try writer.loop(from: first, to: writer.bind(Dim.minimum(first + .constant(part), length))) { try body(place[0], $0) }
        }
    }

    /// Puts runs of a few elements in order: each element's place is the number of those that come before it.
    private func sortRuns(_ rows: Dim, _ length: Dim, _ from: SortRuns, _ to: SortRuns, _ order: SortOrder) {
        let run = Dim.constant(Self.firstRun)
        let blocks = length.dividedUp(by: run)
        launch(workItems: rows * blocks, work: rows * length * run) { workItem in
            let place = unflatten(workItem, [rows, blocks])
            let base = writer.bind(place[0] * length), start = writer.bind(place[1] * run)
            let end = writer.bind(Dim.minimum(start + run, length))
            let count = writer.local(.i64, 1)
            writer.loop(from: start, to: end) { index in
                let key = writer.load(from.keys, base + index, order.dtype)
                writer.store(writer.constant(0, .i64), count, 0)
                writer.loop(from: start, to: end) { other in
                    let rival = writer.load(from.keys, base + other, order.dtype)
                    let isEarlier = writer.apply(.less, writer.position(other), writer.position(index))
                    let isEqual = writer.apply(.not, writer.apply(.or, order.isBefore(rival, key), order.isBefore(key, rival)))
                    let isFirst = writer.apply(.or, order.isBefore(rival, key), writer.apply(.and, isEqual, isEarlier))
                    writer.store(writer.apply(.add, writer.load(count, 0, .i64), writer.convert(isFirst, to: .i64)), count, 0)
                }
                let target = writer.bind(value: writer.load(count, 0, .i64))
                writer.store(key, to.keys, base + start + target)
                writer.store(writer.position(index), to.places, base + start + target)
            }
        }
    }

    /// Merges neighbouring runs of `run` elements; does nothing where `isNeeded` is 0.
    private func merge(_ rows: Dim, _ length: Dim, run: Int, _ grain: SortGrain, _ isNeeded: Dim, _ from: SortRuns, _ to: SortRuns, _ order: SortOrder) {
        let chunk = Dim.constant(min(grain.merged, run * 2)), pair = Dim.constant(run * 2)
        let perPair = pair / chunk
        let chunks = length.dividedUp(by: chunk)
        launch(workItems: rows * chunks * isNeeded, work: rows * length * 8 * isNeeded) { workItem in
            let place = unflatten(workItem, [rows, chunks])
            let number = writer.bind(place[1] / perPair)
            let base = writer.bind(place[0] * length + number * pair)
            let rest = writer.bind(length - number * pair)
            let left = writer.bind(Dim.minimum(rest, .constant(run)))
            let right = writer.bind(Dim.minimum(rest - left, .constant(run)))
            let begin = writer.bind((place[1] - number * perPair) * chunk)
            let end = writer.bind(Dim.minimum(begin + chunk, left + right))
            let taken = writer.local(.i64, 2)
            bisect(begin, left, right, base, run, from.keys, order, taken)
            writer.loop(from: begin, to: end) { index in
                let i = writer.bind(value: writer.load(taken, 0, .i64))
                let j = writer.bind(index - i)
                // Beyond the end of a run its last element is read, and not taken.
                let a = writer.load(from.keys, base + Dim.minimum(i, left - 1), order.dtype)
                let b = writer.load(from.keys, base + left + j, order.dtype, where: [.isNonNegative(right - 1 - j)])
                let hasLeft = writer.define(.holds([.isNonNegative(left - 1 - i)]), .bool)
                let hasRight = writer.define(.holds([.isNonNegative(right - 1 - j)]), .bool)
                let isRightFirst = writer.apply(.or, writer.apply(.not, hasLeft), order.isBefore(b, a))
                let takesRight = writer.apply(.and, hasRight, isRightFirst)
                let source = writer.bind(value: writer.apply(.select, takesRight, writer.position(left + j), writer.position(i)))
                writer.store(writer.apply(.select, takesRight, b, a), to.keys, base + index)
                writer.store(writer.load(from.places, base + source, .i64), to.places, base + index)
                writer.store(writer.apply(.select, takesRight, writer.position(i), writer.position(i + 1)), taken, 0)
            }
        }
    }

    /// How many of the first `diagonal` merged elements come from the left run, to `taken[0]`: the most for which the last of them
    /// comes no later than the right run's element that it would keep out.
    private func bisect(_ diagonal: Dim, _ left: Dim, _ right: Dim, _ base: Dim, _ run: Int, _ keys: Memory, _ order: SortOrder, _ taken: Memory) {
        let least = writer.bind(Dim.maximum(diagonal - right, 0)), most = writer.bind(Dim.minimum(diagonal, left))
        writer.store(writer.position(least), taken, 0)
        writer.store(writer.constant(.integer(Int64(run)), .i64), taken, 1)
        writer.loop(to: .constant(run.bitWidth - run.leadingZeroBitCount)) { _ in
            let step = writer.load(taken, 1, .i64), known = writer.load(taken, 0, .i64)
            let count = writer.bind(value: writer.apply(.add, known, step))
            let inside: [IndexCondition] = [.isNonNegative(most - count)]
            let a = writer.load(keys, base + count - 1, order.dtype, where: inside)
            let b = writer.load(keys, base + left + diagonal - count, order.dtype, where: inside)
            let fits = writer.apply(.and, writer.define(.holds(inside), .bool), writer.apply(.not, order.isBefore(b, a)))
            writer.store(writer.apply(.select, fits, writer.position(count), known), taken, 0)
            writer.store(writer.apply(.shiftRight, step, writer.constant(1, .i64)), taken, 1)
        }
    }
}

/// Keys and the positions that they came from, row by row.
private struct SortRuns {
    let keys: Memory
    let places: Memory

    init(_ name: String, _ dtype: DType, _ rows: Dim, _ length: Dim, _ lowering: GroupLowering) {
        keys = lowering.temporary("\(name).keys", dtype, [rows, length]).memory
        places = lowering.temporary("\(name).places", .i64, [rows, length]).memory
    }
}

/// Which of two keys comes first.
private struct SortOrder {
    let dtype: DType
    let descending: Bool
    let writer: KernelWriter

    /// Whether `a` comes before `b`, which it does not equal.
    func isBefore(_ a: ValueNumber, _ b: ValueNumber) -> ValueNumber {
        let (first, second) = descending ? (b, a) : (a, b)
        let less = writer.apply(.less, first, second)
        guard dtype.isFloat else { return less }
        let beyond = writer.apply(.and, writer.apply(.isNaN, second), writer.apply(.not, writer.apply(.isNaN, first)))
        return writer.apply(.or, less, beyond)
    }
}
