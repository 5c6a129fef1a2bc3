// What loops carry: states that are made in place, that change places, that stay, on the host and on emulated grids against the interpreter;
// and how much memory regions take.

import KilnCompiler
import KilnIR
import KilnKernels
import KilnOps
import Testing

struct LoopStateTests {
    private static func region(_ types: [TensorType], _ body: ([Value]) throws -> [Value]) throws -> Graph {
        let builder = GraphBuilder("region")
        let results = try body(types.enumerated().map { builder.input("x\($0.offset)", $0.element) })
        return try builder.finish(results.enumerated().map { ("y\($0.offset)", $0.element) })
    }

    /// A loop of so many rounds as an input says. The body gets the states and, after them, what is captured.
    private static func loop(_ b: GraphBuilder, _ rounds: Value, _ states: [Value], captured: [Value] = [],
                             until: (([Value]) -> Value)? = nil, _ body: ([Value]) throws -> [Value]) throws -> [Value] {
        let count = TensorType(.i64, [])
        let operands = [b.full(0, count)] + states + [rounds] + captured
        let types = operands.map(\.type)
        let test = try region(types) { v in
            let isBelow = v[0] .< v[states.count + 1]
            return [until.map { isBelow & $0(Array(v[1...states.count])) } ?? isBelow]
        }
        let round = try region(types) { v in [v[0] + 1] + (try body(Array(v[1...states.count] + v[(states.count + 2)...]))) }
        return Array(b.append(Catalogue.op(named: "while")!, operands, ["carried": .int(states.count + 1)], regions: [test, round]).dropFirst())
    }

    private static func rounds(_ number: Int) -> Literal { Literal(.i64, [], scalars: [.integer(Int64(number))]) }

    private static func matrix(_ seed: Int) -> Literal {
        Literal(.f32, [12, 12], doubles: (0..<144).map { Double(($0 * 37 + seed * 11) % 23 - 11) / 32 })
    }

    struct Sample: Sendable, CustomTestStringConvertible {
        let testDescription: String
        let build: @Sendable (GraphBuilder, _ rounds: Value, _ x: Value, _ y: Value) throws -> [Value]
    }

    static let samples = [
        Sample(testDescription: "in place") { b, n, x, y in try loop(b, n, [x], captured: [y]) { [$0[0] * 0.5 + $0[1]] } },
        Sample(testDescription: "a product of the state") { b, n, x, y in try loop(b, n, [x], captured: [y]) { [$0[0].matmul($0[1])] } },
        Sample(testDescription: "swapping") { b, n, x, y in try loop(b, n, [x, y]) { [$0[1], $0[0]] } },
        Sample(testDescription: "rotating three, one of them changed") { b, n, x, y in
            try loop(b, n, [x, y, x + y]) { [$0[1], $0[2].matmul($0[0]), $0[0]] }
        },
        Sample(testDescription: "the same value carried twice") { b, n, x, y in
            try loop(b, n, [x, y], captured: [y]) { v in
                let next = v[0].matmul(v[2])
                return [next, next]
            }
        },
        Sample(testDescription: "the same start twice") { b, n, x, y in try loop(b, n, [x, x], captured: [y]) { [$0[0] + $0[2], $0[1].matmul($0[2])] } },
        Sample(testDescription: "unchanged beside changed") { b, n, x, y in try loop(b, n, [x, y + 1]) { [$0[0].matmul($0[1]), $0[1]] } },
        Sample(testDescription: "previous and current") { b, n, x, y in try loop(b, n, [x, y]) { [$0[1], $0[0] * 0.25 + $0[1]] } },
        Sample(testDescription: "what was captured") { b, n, x, y in try loop(b, n, [x, x], captured: [y]) { [$0[2], $0[0] + $0[1] * 0.5] } },
        Sample(testDescription: "a state that the test reads") { b, n, x, y in
            try loop(b, n, [x], captured: [y], until: { $0[0].square().sum() .< 30 }) { [$0[0] + $0[1]] }
        },
        Sample(testDescription: "states that are outputs, and used after") { b, n, x, y in
            let r = try loop(b, n, [x, y]) { [$0[0] + $0[1], $0[0].matmul($0[1])] }
            return [r[0], r[1], r[0] - r[1], r[0]]
        },
        Sample(testDescription: "nested") { b, n, x, y in
            try loop(b, n, [x, y], captured: [n]) { v in
                let inner = try loop(v[0].builder, v[2], [v[0], v[1]]) { [$0[1] * 0.5, $0[0].matmul($0[1])] }
                return [inner[1], inner[0] + v[0]]
            }
        },
        Sample(testDescription: "nested, the state taken over") { b, n, x, y in
            try loop(b, n, [x], captured: [n, y]) { v in
                try loop(v[0].builder, v[1], [v[0]], captured: [v[2]]) { [$0[0].matmul($0[1]).tanh()] }
            }
        },
        Sample(testDescription: "a branch in a round") { b, n, x, y in
            try loop(b, n, [x, y]) { v in
                let types = v.map(\.type)
                let regions = [try region(types) { [$0[1], $0[0].matmul($0[1])] }, try region(types) { [$0[0] * 0.5, $0[1]] }]
                return v[0].builder.append(Catalogue.op(named: "if")!, [v[0].sum() .> 0] + v, regions: regions)
            }
        },
        Sample(testDescription: "branches that swap and share") { b, n, x, y in
            let types = [x.type, y.type], isLong = n .> 2
            let regions = [try region(types) { [$0[1], $0[0]] }, try region(types) { v in
                let sum = v[0].matmul(v[1])
                return [sum, sum]
            }]
            let r = b.append(Catalogue.op(named: "if")!, [isLong, x * 2, y], regions: regions)
            return [r[0], r[1], r[0] + r[1]]
        },
    ]

    @Test(arguments: samples, Runner.all) func statesAreRight(_ sample: Sample, _ runner: Runner) throws {
        let b = GraphBuilder("states")
        let count = b.input("rounds", TensorType(.i64, []))
        let (x, y) = (b.input("x", TensorType(.f32, [12, 12])), b.input("y", TensorType(.f32, [12, 12])))
        let results = try sample.build(b, count, x, y)
        let graph = try b.finish(results.enumerated().map { ("r\($0.offset)", $0.element) })
        for compiled in try Compiled.all(graph, runner) {
            #expect(try Program.parse("\(compiled.program)") == compiled.program)
            for number in [0, 1, 2, 3, 6] {
                let inputs = [Self.rounds(number), Self.matrix(1), Self.matrix(2)]
                let wanted = try Interpreter.run(graph, inputs: inputs)
                for (one, other) in zip(try compiled.runInEveryOrder(inputs, runner), wanted) {
                    let scale = other.doubles.map { abs($0) }.max() ?? 0
                    let problem = Bound.absolute(Array(repeating: 1e-5 * max(scale, 1), count: other.count)).disagreement(one, other)
                    #expect(problem == nil, "\(number) rounds: \(problem ?? "")\n\(compiled.program.description(literalsAtMost: 64))")
                }
            }
        }
    }

    /// No round copies a state that is as large as another value of the round.
    @Test(arguments: [0, 1, 2, 3, 7]) func roundsCopyNoStates(_ number: Int) throws {
        let b = GraphBuilder("states")
        let count = b.input("rounds", TensorType(.i64, []))
        let (x, y) = (b.input("x", TensorType(.f32, [12, 12])), b.input("y", TensorType(.f32, [12, 12])))
        let results = try Self.samples[number].build(b, count, x, y)
        let program = try Compiled(b.finish(results.enumerated().map { ("r\($0.offset)", $0.element) })).program
        func copies(_ steps: [Step]) -> Int {
            steps.reduce(0) { sum, step in
                switch step {
                case .copy: sum + 1
                case .branch(_, let then, let otherwise): sum + copies(then) + copies(otherwise)
                case .loop(let test, _, let body): sum + copies(test) + copies(body)
                case .launch, .exchange, .measure, .check: sum
                }
            }
        }
        for case .loop(let test, _, let body) in program.steps { #expect(copies(test + body) == 0, "\(Self.samples[number])\n\(program)") }
    }

    /// The panels of one weight are packed by one kernel for all products, and before the loop that doesn't change it.
    @Test func weightsArePackedOnce() throws {
        let type = TensorType(.f32, [64, 64])
        func chain(_ x: Value, _ w: Value) -> Value { (0..<4).reduce(x) { value, _ in value.matmul(w) } }
        func packs(_ steps: [Step], _ program: Program) -> Int {
            steps.count { if case .launch(let kernel) = $0 { program.kernels[kernel].name.hasSuffix("_pack") } else { false } }
        }
        let b = GraphBuilder("products")
        let (x, w) = (b.input("x", type), b.input("w", type))
        let straight = try Compiled(b.finish([("y", chain(x, w))])).program
        #expect(packs(straight.steps, straight) == 1, "\(straight)")
        let round = try Self.loop(b, b.full(3, TensorType(.i64, [])), [x], captured: [w.tanh()]) { [chain($0[0], $0[1])] }
        let looping = try Compiled(b.finish([("y", round[0])])).program
        #expect(packs(looping.steps, looping) == 1, "\(looping)")
        for case .loop(let test, _, let body) in looping.steps { #expect(packs(test + body, looping) == 0, "\(looping)") }
    }

    /// Products one after the other need no more memory in a loop, or in a branch, than outside.
    @Test func regionsNeedTheMemoryOfOneRound() throws {
        let type = TensorType(.f32, [512, 512])
        func chain(_ x: Value, _ w: Value) -> Value { (0..<8).reduce(x) { value, _ in value.matmul(w) } }
        func peak(_ build: (GraphBuilder, Value, Value) throws -> Value) throws -> Int {
            let b = GraphBuilder("products")
            let (x, w) = (b.input("x", type), b.input("w", type))
            return try Compiled(b.finish([("y", build(b, x, w))])).executable.peakMemory()
        }
        let outside = try peak { chain($1, $2) }
        let loop = try peak { b, x, w in try Self.loop(b, b.full(3, TensorType(.i64, [])), [x], captured: [w]) { [chain($0[0], $0[1])] }[0] }
        let branch = try peak { b, x, w in
            let regions = [try Self.region([type, type]) { [chain($0[0], $0[1])] }, try Self.region([type, type]) { [chain($0[1], $0[0])] }]
            return b.append(Catalogue.op(named: "if")!, [x.sum() .> 0, x, w], regions: regions)[0]
        }
        print("eight products of 512²: \(outside) bytes outside, \(loop) in a loop, \(branch) in a branch")
        #expect(Double(loop) <= 1.3 * Double(outside))
        #expect(Double(branch) <= 1.1 * Double(outside))
    }
}
