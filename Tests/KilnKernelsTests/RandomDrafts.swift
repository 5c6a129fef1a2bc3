// Random drafts of programs with branches and loops in each other: states that swap, that stay, that are carried twice, in-place updates.
// A seed comes in; a draft goes out, whose every buffer is written before it is read.

import KilnIR
@testable import KilnKernels

/// The numbers of a linear congruential generator.
struct Choices {
    private var state: UInt64

    init(seed: Int) { state = UInt64(seed) &* 0x9E37_79B9_7F4A_7C15 &+ 1 }

    mutating func below(_ count: Int) -> Int {
        state = state &* 6_364_136_223_846_793_005 &+ 1_442_695_040_888_963_407
        return Int((state >> 33) % UInt64(count))
    }

    mutating func pick<T>(_ list: [T]) -> T { list[below(list.count)] }
}

struct RandomDraft {
    private(set) var draft = ProgramDraft()
    private var choices: Choices
    private let condition: Int

    /// - Parameter symbols: whether sizes hold a symbol.
    init(seed: Int, symbols: Bool) {
        choices = Choices(seed: seed)
        condition = 0
        draft.buffers.append(Buffer("flag", TensorType(.bool, []), .input(0)))
        let sizes: [Dim] = symbols ? [16, "n", 2 * "n", "n" + 16] : [16, 32, 48]
        for (number, size) in (sizes + sizes).enumerated() { draft.buffers.append(Buffer("x", TensorType(.f32, [size]), .input(number + 1))) }
        var values = Array(draft.buffers.indices.dropFirst())
        draft.steps = steps(8, depth: 0, &values)
        for number in 0..<3 {
            let source = choices.pick(values)
            draft.buffers.append(Buffer("y", draft.buffers[source].type, .output(number)))
            draft.steps.append(.move([Move(source: source, target: draft.buffers.count - 1)]))
        }
    }

    private mutating func temporary(like other: Int) -> Int {
        draft.buffers.append(Buffer("t", draft.buffers[other].type, .arena(offset: 0)))
        return draft.buffers.count - 1
    }

    private func like(_ values: [Int], _ buffer: Int) -> [Int] { values.filter { draft.buffers[$0].type == draft.buffers[buffer].type } }

    private mutating func steps(_ count: Int, depth: Int, _ values: inout [Int]) -> [Draft] {
        var steps: [Draft] = []
        for _ in 0..<1 + choices.below(count) {
            switch choices.below(depth < 3 ? 8 : 5) {
            case 0...4: steps.append(launch(&values))
            case 5: steps += branch(depth, &values)
            default: steps += loop(depth, &values)
            }
        }
        return steps
    }

    private mutating func launch(_ values: inout [Int]) -> Draft {
        let operands = (0..<1 + choices.below(3)).map { _ in choices.pick(values.suffix(1 + choices.below(values.count))) }
        let result = temporary(like: operands[0])
        var made = [result]
        let isElementwise = choices.below(2) == 0
        func load(_ number: Int, _ buffer: Int) -> Statement { .define(number, .load(Access(.buffer(buffer), .index(0)), fill: 0)) }
        var launches: [KernelLaunch] = []
        var body = operands.enumerated().map { load($0.offset, $0.element) }
        if !isElementwise, choices.below(2) == 0 {
            // A packed copy of the operands in one launch, the result of it in the next.
            let packed = temporary(like: operands[0])
            made.append(packed)
            body.append(.store(Access(.buffer(packed), .index(0)), 0, streaming: false))
            launches.append(KernelLaunch(variable: 0, workItems: 1, work: 1, body: body))
            body = [load(0, packed)]
        }
        body.append(.store(Access(.buffer(result), .index(0)), 0, streaming: false))
        launches.append(KernelLaunch(variable: 0, workItems: 1, work: 1, body: body))
        draft.kernels.append(Kernel(name: "k", launches: launches))
        draft.made.append(made)
        draft.isElementwise.append(isElementwise)
        values.append(result)
        return .launch(draft.kernels.count - 1)
    }

    private mutating func branch(_ depth: Int, _ values: inout [Int]) -> [Draft] {
        let like = (0..<1 + choices.below(2)).map { _ in choices.pick(values) }
        let results = like.map { temporary(like: $0) }
        let bodies = (0..<2).map { _ in
            var inner = values
            var list = steps(3, depth: depth + 1, &inner)
            list.append(.move(results.map { Move(source: choices.pick(self.like(inner, $0)), target: $0) }))
            return list
        }
        values += results
        return [.branch(condition: condition, then: bodies[0], otherwise: bodies[1])]
    }

    private mutating func loop(_ depth: Int, _ values: inout [Int]) -> [Draft] {
        let starts = (0..<1 + choices.below(4)).map { _ in choices.pick(values) }
        let states = starts.map { temporary(like: $0) }
        var (inTest, inBody) = (values + states, values + states)
        let test = choices.below(2) == 0 ? [] : steps(1, depth: depth + 1, &inTest)
        var body = steps(3, depth: depth + 1, &inBody)
        // Any value of the round: a state itself, another, one of them twice, one from outside, or a new one.
        let moves = states.map { state in Move(source: choices.pick(like(inBody.suffix(1 + choices.below(inBody.count)) + [state], state)), target: state) }
            .filter { $0.source != $0.target }
        if !moves.isEmpty { body.append(.move(moves)) }
        values += states
        return [.move(zip(starts, states).map { Move(source: $0, target: $1) }), .loop(test: test, condition: condition, body: body)]
    }
}
