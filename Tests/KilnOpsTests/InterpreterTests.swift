// Runs of graphs: sizes inferred from inputs, errors for inputs that don't fit, expressions bit by bit.

import KilnIR
import KilnOps
import Testing

@Suite struct InterpreterTests {
    private func graph(_ shapes: [Shape]) throws -> Graph {
        let builder = GraphBuilder("f")
        let inputs = shapes.enumerated().map { builder.input("x\($0.offset)", TensorType(.f32, $0.element)) }
        return try builder.finish([("y", inputs[0] + 1)])
    }

    private func message(_ graph: Graph, _ shapes: [[Int]], _ dtype: DType = .f32) -> String {
        do {
            _ = try Interpreter.run(graph, inputs: shapes.map { Literal(dtype, $0, repeating: 0) })
            return "no error"
        } catch { return "\(error)" }
    }

    @Test func sizesAreInferred() throws {
        #expect(try message(graph([["n", 3]]), [[5, 3]]) == "no error")
        #expect(try message(graph([[2 * .symbol("n") + 1], ["n"]]), [[7], [3]]) == "no error")
        #expect(try message(graph([[2 * .symbol("n") + 1]]), [[7]]) == "no error")
        #expect(try message(graph([[.symbol("n") * .symbol("m")], ["n"], ["m"]]), [[6], [2], [3]]) == "no error")
    }

    @Test func inputsThatDoNotFitThrow() throws {
        #expect(try message(graph([["n"], ["n"]]), [[2], [3]]) == """
            f: input `x1` takes f32[n], was given f32[3]
              fix: pass a shape in which `n` is one number throughout
            """)
        #expect(try message(graph([["n"]]), [[2]], .f64) == "f: input `x0` takes f32[n], was given f64[2]\n  fix: pass f32")
        #expect(try message(graph([["n"]]), [[2, 2]]) == "f: input `x0` takes f32[n], was given f32[2, 2]\n  fix: pass a value of rank 1")
        #expect(try message(graph([["n"]]), []) == "f: takes 1 inputs, was given 0\n  fix: pass one value for each input")
        #expect(try message(graph([[2 * .symbol("n")]]), [[7]]).hasPrefix("f: input `x0` takes f32[2*n], was given f32[7]"))
        #expect(try message(graph([[4]]), [[5]]).hasPrefix("f: input `x0` takes f32[4], was given f32[5]"))
    }

    @Test func nodesAreRoundedToTheirDTypes() {
        let sum = ScalarExpr([.f32, .f32]) { $0[0] * $0[0] - $0[1] }
        let x = Double(Float(1.0000001))
        #expect(Interpreter.evaluate(sum, [x, 1]) == Double(Float(x) * Float(x) - 1))
        let fused = ScalarExpr([.f32, .f32]) { $0[0].fma($0[0], $0[1]) }
        #expect(Interpreter.evaluate(fused, [x, -1]) == Double((-1 as Float).addingProduct(Float(x), Float(x))))
        let wrapped = ScalarExpr([.u8]) { $0[0] + $0[0].constant(.integer(200)) }
        #expect(Interpreter.evaluate(wrapped, [.unsigned(100)]) == .unsigned(44))
        let position = ScalarExpr([.f32]) { $0[0] + $0[0].arena.index(1).converted(to: .f32) }
        #expect(Interpreter.evaluate(position, [.real(0.5)], at: [3, 4]) == .real(4.5))
    }

    @Test func sumsAccumulateInDouble() throws {
        let ones = Literal(.f16, [4096], repeating: 1)
        let sum = try #require(Catalogue.op(named: "reduce_sum"))
        #expect(try Interpreter.apply(sum, [ones], ["axes": .ints([0])])[0].doubles == [4096])
    }

    @Test func positionsAndLiterals() throws {
        let builder = GraphBuilder("f")
        _ = builder.input("x", TensorType(.f32, ["n"]))
        let literal = Literal(.i32, [2], scalars: [5, -5])
        let iota = builder.append(Elementwise.iota, [], ["dtype": .dtype(.bf16), "shape": .dims(["n", 2]), "axis": .int(0)])[0]
        let graph = try builder.finish([("a", builder.literal(literal)), ("b", iota), ("c", builder.full(7, TensorType(.u8, ["n"])))])
        let results = try Interpreter.run(graph, inputs: [Literal(.f32, [3], repeating: 0)])
        #expect(results[0] == literal)
        #expect(results[1] == Literal(.bf16, [3, 2], doubles: [0, 0, 1, 1, 2, 2]))
        #expect(results[2] == Literal(.u8, [3], repeating: 7))
        #expect(throws: ShapeError.self) { try Interpreter.apply(Elementwise.iota, [], ["dtype": .dtype(.f32), "shape": .dims([2]), "axis": .int(1)]) }
        #expect(throws: ShapeError.self) { try Interpreter.apply(Elementwise.full, []) }
    }
}
