// Gradients through control flow and through functions whose gradient the user gives, first and second, against differences.

import KilnIR
import KilnOps
import KilnPasses
import Testing

struct ControlGradientTests {
    private static let vector = TensorType(.f64, [3])
    private static let scalar = TensorType(.f64, [])
    private static let counter = TensorType(.i64, [])
    private let branch = Catalogue.op(named: "if")!
    private let loop = Catalogue.op(named: "while")!

    private func region(_ types: [TensorType], _ body: ([Value]) -> [Value]) throws -> Graph {
        let builder = GraphBuilder("region")
        let results = body(types.enumerated().map { builder.input("x\($0)", $1) })
        return try builder.finish(results.enumerated().map { ("y\($0)", $1) })
    }

    private func check(_ types: [TensorType], _ inputs: [Literal], second: Bool = true, _ body: (GraphBuilder, [Value]) throws -> Value) throws {
        var random = Random(seed: 11)
        let builder = GraphBuilder("g")
        let result = try body(builder, types.enumerated().map { builder.input("v\($0)", $1) })
        let graph = try builder.finish([("y", weightedSum([result], &random))])
        let function = ScalarFunctionAtPoint(graph: graph, inputs: inputs)
        try function.gradients().verify()
        #expect(try function.firstDerivativeError(&random) < GradientTests.tolerance)
        guard second else { return }
        let slope = try function.slopeAsFunction(&random)
        try slope.graph.verify()
        #expect(try slope.firstDerivativeError(&random) < GradientTests.tolerance)
        // The passes keep what the gradients are.
        let (cleaned, _) = try PassRunner(verifies: true).run(Passes.named(list: "inline-calls,common-subexpressions,simplify,dead-code"), on: slope.graph)
        let (a, b) = (try Interpreter.run(slope.graph, inputs: inputs), try Interpreter.run(cleaned, inputs: inputs))
        #expect(zip(a, b).allSatisfy { $0.firstDifference(from: $1) == nil })
    }

    private func point(_ types: [TensorType]) -> [Literal] {
        var random = Random(seed: 3)
        return types.map { random.uniform($0, 0.5...1.2) }
    }

    @Test(arguments: [true, false]) func branches(condition: Bool) throws {
        let types = [TensorType(.bool, []), Self.vector, Self.vector]
        let inputs = [Literal(.bool, [], scalars: [.bool(condition)])] + point(Array(types.dropFirst()))
        try check(types, inputs) { _, v in
            let regions = [try region([Self.vector, Self.vector]) { [$0[0] * $0[1].exp(), $0[1]] },
                           try region([Self.vector, Self.vector]) { [$0[0].sin(), $0[0] * $0[0] * $0[1]] }]
            let results = v[0].builder.append(branch, v, regions: regions)
            return results[0] * results[1]
        }
    }

    /// `x ← sin(x) * w` as long as a counter is below the limit.
    private func iterate(_ builder: GraphBuilder, _ x: Value, _ w: Value, _ limit: Value) throws -> Value {
        let types = [Self.vector, Self.counter, Self.vector, Self.counter]
        let condition = try region(types) { [$0[1] .< $0[3]] }
        let body = try region(types) { [$0[0].sin() * $0[2], $0[1] + 1] }
        let start = builder.full(0, Self.counter)
        return builder.append(loop, [x, start, w, limit], ["carried": .int(2)], regions: [condition, body])[0]
    }

    @Test(arguments: [0, 1, 4]) func loops(rounds: Int64) throws {
        let types = [Self.vector, Self.vector, Self.counter]
        let inputs = point(Array(types.prefix(2))) + [Literal(.i64, [], scalars: [.integer(rounds)])]
        try check(types, inputs) { builder, v in try iterate(builder, v[0], v[1], v[2]) }
    }

    @Test func loopsWhoseRoundsDependOnTheData() throws {
        try check([Self.scalar, Self.scalar], [Literal(.f64, [], doubles: [1.1]), Literal(.f64, [], doubles: [1.3])]) { builder, v in
            let types = [Self.scalar, Self.scalar]
            let condition = try region(types) { [$0[0] .< $0[0].full(5, Self.scalar, at: .unknown)] }
            let body = try region(types) { [$0[0] * $0[1]] }
            return builder.append(loop, v, ["carried": .int(1)], regions: [condition, body])[0]
        }
    }

    @Test func loopsInLoopsAndBranches() throws {
        let types = [Self.vector, Self.vector, Self.counter]
        let inputs = point(Array(types.prefix(2))) + [Literal(.i64, [], scalars: [2])]
        let outer = [Self.vector, Self.counter, Self.vector, Self.counter]
        try check(types, inputs, second: true) { builder, v in
            let condition = try region(outer) { [$0[1] .< $0[3]] }
            let body = try region(outer) { s in
                let inner = try! iterate(s[0].builder, s[0], s[2], s[3])
                let isFirst = s[1] .== s[1].full(0, Self.counter, at: .unknown)
                let regions = [try! region([Self.vector, Self.vector]) { [$0[0] * $0[1]] }, try! region([Self.vector, Self.vector]) { [$0[0].exp()] }]
                return [s[0].builder.append(branch, [isFirst, inner, s[2]], regions: regions)[0], s[1] + 1]
            }
            return builder.append(loop, [v[0], builder.full(0, Self.counter), v[1], v[2]], ["carried": .int(2)], regions: [condition, body])[0]
        }
    }

    /// The cube, with the gradient that it has, written by hand.
    private func cube() throws -> [Graph] {
        [try region([Self.vector]) { [$0[0] * $0[0] * $0[0]] },
         try region([Self.vector, Self.vector, Self.vector]) { [$0[2] * $0[0].square() * 3] }]
    }

    @Test func gradientsOfTheUsersMixWithAutomaticOnes() throws {
        let call = try #require(Catalogue.op(named: "call_with_gradient"))
        try check([Self.vector], point([Self.vector])) { builder, v in
            builder.append(call, [v[0].sin()], regions: try cube())[0].sin() * v[0]
        }
    }

    @Test func theUsersGradientIsTakenAndNotTheRealOne() throws {
        let call = try #require(Catalogue.op(named: "call_with_gradient"))
        // Rounding, with the gradient of the identity.
        let regions = [try region([Self.vector]) { [$0[0].round()] }, try region([Self.vector, Self.vector, Self.vector]) { [$0[2]] }]
        let builder = GraphBuilder("g")
        let y = builder.append(call, [builder.input("x", Self.vector)], regions: regions)[0]
        let graph = try Differentiate.apply(to: builder.finish([("y", y * 2)]))
        #expect(graph.outputs.map(\.name) == ["y", "dx"])
        let inlined = try InlineCalls.apply(to: graph)
        #expect(!inlined.operations.contains { $0.op.name == "call_with_gradient" })
        let values = try Interpreter.run(inlined, inputs: [Literal(.f64, [3], doubles: [0.4, 1.6, -2.2])])
        #expect(values[0].doubles == [0, 4, -4])
        #expect(values[1].doubles == [2, 2, 2])
    }

    @Test func anOpWithoutAGradientIsNamed() throws {
        let opaque = OpDefinition("mystery", infer: { $0.operands }, form: { _ in .opaque("mystery") }, samples: { _ in [] })
        let builder = GraphBuilder("g")
        let x = builder.input("x", Self.vector)
        let y = builder.append(opaque, [x * 2], at: SourceLocation(name: "model.swift", line: 12))[0]
        let graph = try builder.finish([("y", y + x)])
        let error = #expect(throws: ShapeError.self) { try Differentiate.apply(to: graph) }
        #expect(error?.description == """
            mystery: has no gradient
              operand 0: f64[3]
              at model.swift:12
              fix: detach its operands, or give the function a gradient of your own
            """)
    }

    @Test func aGradientTooLargeToHoldIsTheUsersMistake() throws {
        let side: Dim = 2_147_483_648, builder = GraphBuilder("g")
        // That m is the side only a call can know; then y is too large, as its gradient would be.
        let x = builder.input("x", TensorType(.f32, ["n", side])), y = builder.input("y", TensorType(.f32, ["m", side]))
        let graph = try builder.finish([("z", x.contracting(y, reduce: ([1], [0])))])
        let error = #expect(throws: ShapeError.self) { try Differentiate.apply(to: graph) }
        #expect(error?.description.contains("in the gradient of contract") == true)
    }

    @Test func opsOffTheWayNeedNoGradient() throws {
        let opaque = OpDefinition("mystery", infer: { $0.operands }, form: { _ in .opaque("mystery") }, samples: { _ in [] })
        let builder = GraphBuilder("g")
        let (x, c) = (builder.input("x", Self.vector), builder.input("c", Self.vector))
        let graph = try builder.finish([("y", x * builder.append(opaque, [c])[0]), ("z", builder.append(opaque, [x])[0])])
        let gradients = try Differentiate.gradients(graph, of: [graph.outputs[0].value], withRespectTo: [x.id], seeds: .inputs)
        #expect(gradients.inputs.map(\.name) == ["x", "c", "dy"])
        #expect(gradients.outputs.map(\.name) == ["y", "z", "dx"])
    }

    @Test func integersCarryNoGradient() throws {
        let builder = GraphBuilder("g")
        let n = builder.input("n", TensorType(.i32, [3]))
        let graph = try builder.finish([("y", n + n)])
        let error = #expect(throws: CompileError.self) { try Differentiate.gradients(graph, of: [graph.outputs[0].value], withRespectTo: [n.id]) }
        #expect(error?.description.contains("`y` is i32[3], which carries no gradient") == true)
    }
}
