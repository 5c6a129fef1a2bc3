// The memory plan against an oracle: a draft is run on one memory for every buffer, the program that the plan made of it on its arena, with
// numbers for contents. Who reads a content that is not what the draft has there has a plan that overlaps.

import KilnIR
@testable import KilnKernels
import Testing

@Suite struct MemoryPlanTests {
    /// Memory in words of 64 bytes, each with the number of what was written there last.
    private struct Machine {
        var choices: Choices
        /// By buffer, the first word, and how many.
        var places: [Int]
        let counts: [Int]
        var words: [Int]
        /// What kernels read and are.
        let kernels: [Kernel]
        let isElementwise: [Bool]
        private var rounds = 0

        /// - Parameter places: in words; what is before them is memory too.
        init(_ buffers: [Buffer], places: [Int], kernels: [Kernel], isElementwise: [Bool], n: Int, seed: Int) {
            choices = Choices(seed: seed)
            self.places = places
            self.kernels = kernels
            self.isElementwise = isElementwise
            counts = buffers.map { (($0.type.byteCount.evaluate(symbols: ["n": n]) ?? 0) + 63) / 64 }
            words = Array(repeating: 0, count: zip(places, counts).map { $0 + $1 }.max() ?? 0)
            for (number, buffer) in buffers.enumerated() { if case .input(let input) = buffer.storage { fill(number, 1000 + input) } }
        }

        mutating func fill(_ buffer: Int, _ content: Int) { for word in places[buffer]..<places[buffer] + counts[buffer] { words[word] = content } }

        /// The content, or a number of nothing where it is not one; of no words, always the same.
        func content(_ buffer: Int) -> Int {
            let range = words[places[buffer]..<places[buffer] + counts[buffer]]
            return range.allSatisfy { $0 == range.first } ? range.first ?? 0 : -1
        }

        mutating func launch(_ number: Int) {
            for (position, launch) in kernels[number].launches.enumerated() {
                var seen = number &* 31 &+ position
                var read: [(buffer: Int, content: Int)] = []
                for statement in launch.body {
                    switch statement {
                    case .define(_, .load(let access, _)):
                        guard case .buffer(let buffer) = access.memory else { continue }
                        read.append((buffer, content(buffer)))
                        seen = seen &* 1_000_003 &+ content(buffer)
                    case .store(let access, _, _):
                        guard case .buffer(let buffer) = access.memory else { continue }
                        fill(buffer, seen & 0xFFFF_FFFF_FFFF)
                    default: continue
                    }
                }
                // Elements are read in any order: what is written may not be where others are read yet.
                guard !isElementwise[number] else { continue }
                for (buffer, content) in read where self.content(buffer) != content { fill(buffer, -2) }
            }
        }

        mutating func run(_ steps: [Draft]) {
            for step in steps {
                switch step {
                case .launch(let kernel): launch(kernel)
                case .move(let moves):
                    let contents = moves.map { content($0.source) }
                    for (move, content) in zip(moves, contents) { fill(move.target, content) }
                case .branch(_, let then, let otherwise): run(choices.below(2) == 0 ? then : otherwise)
                case .loop(let test, _, let body):
                    run(test)
                    while choices.below(4) != 0 {
                        run(body)
                        run(test)
                    }
                case .measure, .check: continue
                }
            }
        }

        mutating func run(_ steps: [Step]) {
            for step in steps {
                switch step {
                case .launch(let kernel): launch(kernel)
                case .copy(let source, let target): fill(target, content(source))
                case .exchange(let one, let other): places.swapAt(one, other)
                case .branch(_, let then, let otherwise): run(choices.below(2) == 0 ? then : otherwise)
                case .loop(let test, _, let body):
                    run(test)
                    while choices.below(4) != 0 {
                        run(body)
                        run(test)
                    }
                case .measure, .check: continue
                }
            }
        }

        func outputs(_ buffers: [Buffer]) -> [Int] {
            buffers.indices.filter { if case .output = buffers[$0].storage { true } else { false } }.map(content)
        }
    }

    /// Each buffer in memory of its own, from a word on.
    private static func apart(_ buffers: [Buffer], from start: Int = 0) -> [Int] { buffers.indices.map { start + $0 * 64 } }

    private static func plan(_ draft: ProgramDraft) throws -> Program {
        var program = Program(name: "plan", symbols: ["n"])
        try MemoryPlan.make(draft, into: &program) { $0 }
        return program
    }

    @Test(arguments: [false, true]) func liveBuffersNeverOverlap(symbols: Bool) throws {
        var exchanges = 0
        for seed in 0..<(symbols ? 40 : 100) {
            let draft = RandomDraft(seed: seed, symbols: symbols).draft
            let program = try Self.plan(draft)
            try program.verify()
            #expect(try Program.parse(program.description) == program)
            if program.description.contains("exchange") { exchanges += 1 }
            for n in symbols ? [0, 5, 40] : [0] {
                let arena = (program.arenaSize.evaluate(symbols: ["n": n]) ?? 0) / 64
                var places = Self.apart(program.buffers, from: arena)
                for (number, buffer) in program.buffers.enumerated() {
                    guard case .arena(let offset) = buffer.storage else { continue }
                    places[number] = (offset.evaluate(symbols: ["n": n]) ?? 0) / 64
                    #expect(places[number] + ((buffer.type.byteCount.evaluate(symbols: ["n": n]) ?? 0) + 63) / 64 <= arena)
                }
                for run in 0..<4 {
                    var wanted = Machine(draft.buffers, places: Self.apart(draft.buffers), kernels: draft.kernels, isElementwise: draft.isElementwise, n: n, seed: run)
                    wanted.run(draft.steps)
                    var got = Machine(program.buffers, places: places, kernels: program.kernels, isElementwise: draft.isElementwise, n: n, seed: run)
                    got.run(program.steps)
                    let (a, b) = (wanted.outputs(draft.buffers), got.outputs(program.buffers))
                    if a != b {
                        Issue.record("seed \(seed), n = \(n), run \(run): \(b) and not \(a)\n\(program)")
                        return
                    }
                }
            }
        }
        #expect(exchanges > 5)
    }

    // MARK: Single programs

    private static func draft(_ types: [TensorType], inputs: Int) -> ProgramDraft {
        var draft = ProgramDraft()
        draft.buffers = types.enumerated().map { Buffer("b\($0)", $1, $0 < inputs ? .input($0) : .arena(offset: 0)) }
        return draft
    }

    /// `y = f(x…)`, one element after the other or all in any order.
    private static func add(_ operands: [Int], _ result: Int, elementwise: Bool, to draft: inout ProgramDraft) -> Draft {
        var body: [Statement] = operands.enumerated().map { .define($0, .load(Access(.buffer($1), .index(0)), fill: 0)) }
        body.append(.store(Access(.buffer(result), .index(0)), 0, streaming: false))
        draft.kernels.append(Kernel(name: "k", launches: [KernelLaunch(variable: 0, workItems: 16, work: 16, body: body)]))
        draft.made.append([result])
        draft.isElementwise.append(elementwise)
        return .launch(draft.kernels.count - 1)
    }

    private static let type = TensorType(.f32, [16])

    /// A state that each round makes anew, out of itself.
    @Test(arguments: [true, false]) func aStateTakesOneMemoryInPlaceAndTwoOtherwise(elementwise: Bool) throws {
        var draft = Self.draft([TensorType(.bool, []), Self.type, Self.type, Self.type], inputs: 2)
        let round = Self.add([2], 3, elementwise: elementwise, to: &draft)
        draft.buffers.append(Buffer("y", Self.type, .output(0)))
        draft.steps = [.move([Move(source: 1, target: 2)]), .loop(test: [], condition: 0, body: [round, .move([Move(source: 3, target: 2)])]),
                       .move([Move(source: 2, target: 4)])]
        let program = try Self.plan(draft)
        #expect(program.arenaSize == (elementwise ? 0 : 128))
        guard case .loop(_, _, let body) = program.steps[1] else { throw InternalError("tests", "no loop", context: "\(program)") }
        #expect(body.count == (elementwise ? 1 : 2))
        if !elementwise { guard case .exchange = body[1] else { throw InternalError("tests", "no exchange", context: "\(program)") } }
    }

    @Test func statesThatSwapExchangeAddresses() throws {
        var draft = Self.draft([TensorType(.bool, []), Self.type, Self.type, Self.type, Self.type], inputs: 3)
        draft.buffers.append(Buffer("y", Self.type, .output(0)))
        draft.steps = [.move([Move(source: 1, target: 3), Move(source: 2, target: 4)]),
                       .loop(test: [], condition: 0, body: [.move([Move(source: 3, target: 4), Move(source: 4, target: 3)])]),
                       Self.add([3, 4], 5, elementwise: false, to: &draft)]
        let program = try Self.plan(draft)
        #expect(program.steps.contains(.loop(test: [], condition: 0, body: [.exchange(4, 3)])), "\(program)")
        #expect(program.arenaSize == 128)
    }

    @Test func branchesShareMemory() throws {
        var draft = Self.draft([TensorType(.bool, []), Self.type] + Array(repeating: Self.type, count: 5), inputs: 2)
        draft.buffers.append(Buffer("y", Self.type, .output(0)))
        let then = [Self.add([1], 2, elementwise: false, to: &draft), Self.add([2], 3, elementwise: false, to: &draft)]
        let otherwise = [Self.add([1], 4, elementwise: false, to: &draft), Self.add([4], 5, elementwise: false, to: &draft)]
        draft.steps = [.branch(condition: 0, then: then + [.move([Move(source: 3, target: 6)])], otherwise: otherwise + [.move([Move(source: 5, target: 6)])]),
                       .move([Move(source: 6, target: 7)])]
        let program = try Self.plan(draft)
        // What the branches give lies in the output, what they need for it in one memory.
        #expect(program.arenaSize == 64, "\(program)")
        #expect(!program.description.contains("copy"), "\(program)")
    }

    /// Chains of steps and many outputs take time and memory in proportion: the plan visits each buffer a bounded number of times.
    @Test func longChainsArePlanned() throws {
        let count = 4000
        var draft = Self.draft(Array(repeating: Self.type, count: count + 1), inputs: 1)
        draft.steps = (0..<count).map { Self.add([$0], $0 + 1, elementwise: $0 % 3 == 0, to: &draft) }
        for number in 0..<500 {
            draft.buffers.append(Buffer("y\(number)", Self.type, .output(number)))
            draft.steps.append(.move([Move(source: count - number * 7 % 5, target: count + 1 + number)]))
        }
        let program = try Self.plan(draft)
        #expect(program.arenaSize.constant ?? .max <= 7 * 64)
    }
}
