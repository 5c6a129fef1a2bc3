// The schedule of attention: what its axes are, and which way of streaming over keys fits the target.
// A group holds one attention or its gradients; views and cheap elementwise work on its operands are inlined where they are read.

import KilnIR
import KilnPasses

/// One attention's sizes, operands and outputs.
struct AttentionPlan {
    let form: Attention
    let operands: [ValueID]
    /// The number of the region's output that each result is; nil where nobody wants it.
    let outputs: [Int?]
    let resultTypes: [TensorType]
    let batch: Shape
    /// Heads of the keys, and how many of the queries' share each.
    let groups: Dim
    let ratio: Int
    let rows: Dim
    let keys: Dim
    let size: Dim
    let valueSize: Dim

    var accumulator: DType { form.accumulator }
    /// The axes before the rows, with heads that share keys as an axis of their own.
    var outerShape: Shape { groupShape + [.constant(ratio)] }
    /// The axes before the keys.
    var groupShape: Shape { batch + [groups] }
    var outer: Dim { outerShape.reduce(1, *) }
    var group: Dim { groupShape.reduce(1, *) }
    var isEmpty: Bool { outer * rows * keys * size * valueSize == 0 }
    /// A rough number of scalar operations.
    var work: Dim { outer * rows * keys * (size + valueSize) }
}

/// Logical variables for the place at which an attention's operands are read.
struct AttentionFrame {
    /// One for each axis of the batch, the group, and the head within the group.
    let outer: [Dim]
    let row: Dim
    let key: Dim
    let feature: Dim
    fileprivate let ratio: Int

    private var head: [Dim] { Array(outer.dropLast(2)) + [outer[outer.count - 2] * .constant(ratio) + outer[outer.count - 1]] }
    /// Of queries, of the result and of their gradients.
    var queryIndices: [Dim] { head + [row, feature] }
    /// Of keys, of values and of their gradients.
    var keyIndices: [Dim] { Array(outer.dropLast()) + [key, feature] }
    /// Of what there is one of for each row.
    var rowIndices: [Dim] { head + [row] }
    var maskIndices: [Dim] { head + [row, key] }
}

/// Attention in tiles of queries and keys, by threads of the host.
struct TiledAttention: Schedule {
    let plan: AttentionPlan
    var cost: Dim { plan.work }

    static func plan(_ group: GroupLowering, _ target: Target) throws -> TiledAttention? {
        guard let plan = try group.attentionPlan(), !plan.isEmpty else { return nil }
        return TiledAttention(plan: plan)
    }

    func emit(into group: GroupLowering) throws {
        switch plan.form.direction {
        case .forward: try group.attentionForward(plan)
        case .backward: try group.attentionBackward(plan)
        }
    }
}

/// Attention a row at a time: every dtype and size on every target.
struct RowwiseAttention: Schedule {
    let plan: AttentionPlan
    var cost: Dim { plan.work }

    static func plan(_ group: GroupLowering, _ target: Target) throws -> RowwiseAttention? {
        try group.attentionPlan().map { RowwiseAttention(plan: $0) }
    }

    func emit(into group: GroupLowering) throws { try group.attentionPlain(plan) }
}

extension GroupLowering {
    /// What the attention of an attention group is about.
    func attentionPlan() throws -> AttentionPlan? {
        guard kind == .attention else { return nil }
        guard let position = table.forms.firstIndex(where: { if case .attention = $0 { true } else { false } }),
            case .attention(let form) = table.forms[position] else {
            throw InternalError("schedule", "an attention group has no attention", context: region.name)
        }
        return attentionPlan(form, region.operations[position])
    }

    private func attentionPlan(_ form: Attention, _ operation: Operation) -> AttentionPlan {
        let (q, k, v) = (region.type(of: operation.operands[0]), region.type(of: operation.operands[1]), region.type(of: operation.operands[2]))
        let rank = q.rank
        let (heads, groups) = (q.shape[rank - 3], k.shape[rank - 3])
        return AttentionPlan(
            form: form, operands: operation.operands, outputs: operation.results.map { result in region.outputs.firstIndex { $0.value == result } },
            resultTypes: operation.results.map { region.type(of: $0) }, batch: Array(q.shape.prefix(rank - 3)), groups: groups,
            ratio: heads == groups ? 1 : heads.constant! / groups.constant!, rows: q.shape[rank - 2], keys: k.shape[rank - 2],
            size: q.shape[rank - 1], valueSize: v.shape[rank - 1])
    }

    /// Variables of their own for one place in the code: what is read at equal indices is read once.
    func attentionFrame(_ plan: AttentionPlan, features: Dim = 1) -> AttentionFrame {
        func variable(_ size: Dim) -> Dim { size == 1 ? 0 : elements.makeVariable(size: size) }
        return AttentionFrame(outer: plan.outerShape.map(variable), row: variable(plan.rows), key: variable(plan.keys),
                              feature: variable(features), ratio: plan.ratio)
    }

    /// Sets the variables before the tokens; without a head, as for keys, the head within the group is left alone.
    func setOuter(_ frame: AttentionFrame, _ indices: [Dim]) {
        for (variable, index) in zip(frame.outer, indices) { elements.setVariable(variable, to: index) }
    }

    /// The first of the keys that a row does not see any more.
    func keyLimit(_ plan: AttentionPlan, afterRow row: Dim) -> Dim {
        guard let offset = plan.form.causalOffset else { return plan.keys }
        return Dim.maximum(Dim.minimum(plan.keys, row + offset + 1), 0)
    }

    /// The first row that sees a key.
    func rowStart(_ plan: AttentionPlan, key: Dim) -> Dim {
        guard let offset = plan.form.causalOffset else { return 0 }
        return Dim.maximum(Dim.minimum(key - offset, plan.rows), 0)
    }

    /// A score with the mask at the frame's place.
    func masked(_ plan: AttentionPlan, _ score: ValueNumber, _ frame: AttentionFrame, where conditions: [IndexCondition] = []) throws -> ValueNumber {
        guard let number = plan.form.maskOperand else { return score }
        let mask = try elements.element(plan.operands[number], frame.maskIndices, where: conditions)
        if plan.form.mask == .added { return writer.apply(.add, score, writer.convert(mask, to: plan.accumulator)) }
        return writer.apply(.select, mask, score, writer.constant(.real(plan.form.fill), plan.accumulator))
    }

    /// What scores are shifted by before their exponentials: the greatest, or 0 where none is above -∞, so that weights are 0 there.
    func shift(_ greatest: ValueNumber, _ plan: AttentionPlan) -> ValueNumber {
        let isEmpty = writer.apply(.equal, greatest, writer.constant(.real(-.infinity), plan.accumulator))
        return writer.apply(.select, isEmpty, writer.constant(0, plan.accumulator), greatest)
    }

    /// A row's weighted sum over the sum of its weights.
    func quotient(_ product: ValueNumber, _ sum: ValueNumber, _ plan: AttentionPlan) -> ValueNumber {
        let quotient = writer.apply(.divide, product, sum)
        guard plan.form.emptyRowsAreZero else { return quotient }
        let zero = writer.constant(0, plan.accumulator)
        return writer.apply(.select, writer.apply(.equal, sum, zero), zero, quotient)
    }

    /// The logarithm of a row's sum of exponentials, made ready for the weights: 0 for an empty row whose weights are to be 0.
    func rowLogarithm(_ plan: AttentionPlan, _ frame: AttentionFrame, where conditions: [IndexCondition] = []) throws -> ValueNumber {
        let logarithm = try elements.element(plan.operands[3], frame.rowIndices, where: conditions)
        return plan.form.emptyRowsAreZero ? shift(logarithm, plan) : logarithm
    }

    /// An operand's element in the accumulator's dtype.
    func attentionElement(_ plan: AttentionPlan, _ operand: Int, _ indices: [Dim], where conditions: [IndexCondition] = []) throws -> ValueNumber {
        writer.convert(try elements.element(plan.operands[operand], indices, where: conditions), to: plan.accumulator)
    }

    /// Stores an element of a result that somebody wants.
    func storeResult(_ plan: AttentionPlan, _ number: Int, _ value: ValueNumber, _ indices: [Dim]) {
        guard let output = plan.outputs[number] else { return }
        storeOutput(output, writer.convert(value, to: plan.resultTypes[number].dtype), indices)
    }
}
