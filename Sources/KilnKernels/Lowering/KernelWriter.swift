// Writes the statements of one kernel: numbers variables, values and locals, and keeps one number for equal instructions.

import KilnIR

/// The statements of a kernel under construction.
final class KernelWriter {
    private var variables = 0
    private var locals = 0
    private(set) var dtypes: [DType] = []
    private var lists: [[Statement]] = [[]]
    private var known: [[Instruction: ValueNumber]] = [[:]]
    private var elements: [[ElementKey: ValueNumber]] = [[:]]
    /// The lane variable, inside lanes.
    private(set) var currentLane: Dim?
    /// Which of several vectors the code being written is for.
    var currentPart = 0
    /// Bytes of shared memory that the kernel launch being written has taken so far.
    var sharedBytes = 0
    /// Memories that the kernel writes: equal loads from them may differ.
    var written: Set<Memory> = []

    /// An element of a graph's value at given indices.
    struct ElementKey: Hashable {
        var value: ValueID
        var indices: [Dim]
        var conditions: [IndexCondition]
    }

    func makeVariable() -> Int {
        variables += 1
        return variables - 1
    }

    func element(_ key: ElementKey) -> ValueNumber? {
        for scope in elements.reversed() { if let number = scope[key] { return number } }
        return nil
    }

    func remember(_ key: ElementKey, _ number: ValueNumber) { elements[elements.count - 1][key] = number }

    func append(_ statement: Statement) { lists[lists.count - 1].append(statement) }

    /// Collects the statements that the body writes; what it defines is not seen outside.
    func block(_ body: () throws -> Void) rethrows -> [Statement] {
        lists.append([])
        known.append([:])
        elements.append([:])
        defer {
            known.removeLast()
            elements.removeLast()
        }
        try body()
        return lists.removeLast()
    }

    /// Writes the body in place; what it computes is not taken up again after it.
    func scoped(_ body: () throws -> Void) rethrows { for statement in try block(body) { append(statement) } }

    func define(_ instruction: Instruction, _ dtype: DType) -> ValueNumber {
        let isRepeatable = isRepeatable(instruction)
        if isRepeatable { for scope in known.reversed() { if let number = scope[instruction] { return number } } }
        dtypes.append(dtype)
        let number = dtypes.count - 1
        append(.define(number, instruction))
        if isRepeatable { known[known.count - 1][instruction] = number }
        return number
    }

    private func isRepeatable(_ instruction: Instruction) -> Bool {
        switch instruction {
        case .load(let access, _): if case .local = access.memory { false } else { !written.contains(access.memory) }
        case .reduceLanes: false
        case .shuffle, .vote: false
        default: true
        }
    }

    func constant(_ scalar: Scalar, _ dtype: DType) -> ValueNumber { define(.constant(scalar.converted(to: dtype), dtype), dtype) }
    func position(_ dim: Dim) -> ValueNumber { define(.position(dim), .i64) }
    func apply(_ function: ScalarFunction, _ arguments: ValueNumber..., as dtype: DType? = nil) -> ValueNumber {
        apply(function, arguments, dtype)
    }
    func apply(_ function: ScalarFunction, _ arguments: [ValueNumber], _ dtype: DType?) -> ValueNumber {
        let natural = function.isComparison ? .bool : dtypes[arguments[function == .select ? 1 : 0]]
        return define(.apply(function, arguments, dtype ?? natural), dtype ?? natural)
    }
    func convert(_ value: ValueNumber, to dtype: DType) -> ValueNumber {
        dtypes[value] == dtype ? value : apply(.convert, value, as: dtype)
    }
    func load(_ memory: Memory, _ address: Dim, _ dtype: DType, where conditions: [IndexCondition] = [], fill: Scalar = 0) -> ValueNumber {
        define(.load(Access(memory, address, where: conditions), fill: fill.converted(to: dtype)), dtype)
    }
    func store(_ value: ValueNumber, _ memory: Memory, _ address: Dim, where conditions: [IndexCondition] = [], streaming: Bool = false) {
        append(.store(Access(memory, address, where: conditions), value, streaming: streaming))
    }

    func prefetch(_ memory: Memory, _ address: Dim) { append(.prefetch(Access(memory, address))) }

    /// Names the value of an index expression, or gives the expression back where it is a constant or a variable already.
    func bind(_ dim: Dim) -> Dim {
        if dim.constant != nil { return dim }
        if dim.terms.count == 1, dim.terms[0].coefficient == 1, dim.terms[0].atoms.count == 1, case .index = dim.terms[0].atoms[0] { return dim }
        return bind(value: position(dim))
    }

    func bind(value: ValueNumber) -> Dim {
        let variable = makeVariable()
        append(.bind(variable: variable, value))
        return .index(variable)
    }

    /// Declares scratch memory for the statements that follow.
    func local(_ dtype: DType, _ count: Dim, _ storage: Local.Storage = .stack) -> Memory {
        let local = Local(id: locals, dtype: dtype, count: count, storage: storage)
        locals += 1
        append(.local(local))
        return .local(local.id)
    }

    func loop(from lower: Dim = 0, to upper: Dim, step: Int = 1, _ kind: Loop.Kind = .serial, _ body: (Dim) throws -> Void) rethrows {
        if lower == upper { return }
        if let low = lower.constant, let high = upper.constant, high <= low + step {
            if high > low { try body(.constant(low)) }
            return
        }
        let variable = makeVariable()
        let statements = try block { try body(.index(variable)) }
        append(.loop(Loop(variable: variable, from: lower, to: upper, step: step, kind: kind, body: statements)))
    }

    func lanes(_ width: Int, count: Dim, _ body: (Dim) throws -> Void) rethrows {
        if count == 0 { return }
        let variable = makeVariable()
        currentLane = .index(variable)
        defer { currentLane = nil }
        let statements = try block { try body(.index(variable)) }
        append(.lanes(variable: variable, width: width, count: count, body: statements))
    }

    func branch(_ conditions: [IndexCondition], then: () throws -> Void) rethrows {
        append(.branch(conditions, then: try block(then), otherwise: []))
    }

    func branch(_ conditions: [IndexCondition], then: () throws -> Void, otherwise: () throws -> Void) rethrows {
        let statements = try block(then)
        let others = try block(otherwise)
        append(.branch(conditions, then: statements, otherwise: others))
    }

    /// Runs the body for `count` elements from `base`, in whole vectors first and then for the rest: the body is written for each.
    func vectors(_ width: Int, from base: Dim = 0, count: Dim, unroll: Int = 1, _ body: (_ index: Dim, _ part: Int) throws -> Void) throws {
        let block = width * unroll
        let blocks = count / .constant(block)
        if unroll > 1 {
            try loop(to: blocks) { b in
                for part in 0..<unroll {
                    try lanes(width, count: .constant(width)) { try body(base + b * .constant(block) + .constant(part * width) + $0, part) }
                }
            }
        }
        let done = unroll > 1 ? blocks * .constant(block) : 0
        let rest = count - done
        try loop(to: rest / .constant(width)) { b in
            try lanes(width, count: .constant(width)) { try body(base + done + b * .constant(width) + $0, 0) }
        }
        let tail = count - count / .constant(width) * .constant(width)
        if tail != 0 {
            let start = base + count - tail
            if tail.constant != nil {
                try lanes(width, count: tail) { try body(start + $0, 0) }
            } else {
                try branch([.isNonNegative(tail - 1)], then: { try lanes(width, count: tail) { try body(start + $0, 0) } })
            }
        }
    }

    /// The statements at the outermost level.
    func finish() -> [Statement] {
        defer { lists = [[]] }
        return lists[0]
    }
}
