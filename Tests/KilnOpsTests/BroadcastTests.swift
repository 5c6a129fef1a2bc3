// Operators between operands of different shapes and dtypes, and what they say where these do not fit.

import KilnIR
import KilnOps
import Testing

@Suite struct BroadcastTests {
    /// The type of an expression of two inputs, or its error.
    private func type(_ a: TensorType, _ b: TensorType, _ body: (Value, Value) -> Value) throws -> TensorType {
        let builder = GraphBuilder("test")
        let result = body(builder.input("a", a), builder.input("b", b))
        return try builder.finish([("y", result)]).outputTypes[0]
    }

    private func message(_ a: TensorType, _ b: TensorType, _ body: (Value, Value) -> Value) -> String {
        do { return try "no error: \(type(a, b, body))" } catch { return "\(error)" }
    }

    @Test func shapesMeetAsNumPys() throws {
        let cases: [(Shape, Shape, Shape)] = [
            ([2, 3], [2, 3], [2, 3]), ([2, 3], [3], [2, 3]), ([2, 1], [1, 3], [2, 3]), ([], [2], [2]), ([4, 1, 3], [5, 1], [4, 5, 3]),
            (["n", 3], [3], ["n", 3]), (["n", 1], ["n", 4], ["n", 4]), ([1], ["n"], ["n"]), ([0, 3], [1, 3], [0, 3]), ([1], [0], [0]),
        ]
        for (a, b, c) in cases {
            #expect(try type(TensorType(.f32, a), TensorType(.f32, b)) { $0 + $1 } == TensorType(.f32, c))
            #expect(try type(TensorType(.f32, b), TensorType(.f32, a)) { $0 * $1 } == TensorType(.f32, c))
        }
    }

    @Test func broadcastingIsExplicitInTheGraph() throws {
        let builder = GraphBuilder("test")
        let (a, b) = (builder.input("a", TensorType(.f32, [2, 3])), builder.input("b", TensorType(.f32, [3])))
        let graph = try builder.finish([("y", a - b), ("z", a * 2)])
        #expect(graph.operations.map(\.op.name) == ["broadcast", "sub", "full", "mul"])
        let inputs = [Literal(.f32, [2, 3], doubles: [1, 2, 3, 4, 5, 6]), Literal(.f32, [3], doubles: [1, 1, 2])]
        let results = try Interpreter.run(graph, inputs: inputs)
        #expect(results[0].doubles == [0, 1, 1, 3, 4, 4])
        #expect(results[1].doubles == [2, 4, 6, 8, 10, 12])
    }

    @Test func mismatchesSayWhatToDo() {
        #expect(message(TensorType(.f32, [2, 3]), TensorType(.f32, [4])) { $0 + $1 } == """
            add: shapes [2, 3] and [4] do not broadcast: axis 1 has sizes 3 and 4
              operand 0: f32[2, 3]
              operand 1: f32[4]
              fix: make the sizes equal, or one of them 1 (reshape or unsqueeze)
            """)
        #expect(message(TensorType(.f32, ["n"]), TensorType(.f32, ["m"])) { $0 .< $1 } == """
            lt: shapes [n] and [m] do not broadcast: axis 0 has sizes n and m, which are not known to be equal
              operand 0: f32[n]
              operand 1: f32[m]
              fix: name equal sizes by the same symbol, or reshape one operand
            """)
        #expect(message(TensorType(.u64, [2]), TensorType(.i64, [2])) { $0 + $1 } == """
            add: the operands' dtypes u64 and i64 differ
              operand 0: u64[2]
              operand 1: i64[2]
              fix: cast one of them, as in `x.cast(to: .u64)`
            """)
        #expect(message(TensorType(.bool, [2]), TensorType(.bool, [2])) { $0 + $1 } == """
            add: operand 0 is bool, which add does not take
              operand 0: bool[2]
              operand 1: bool[2]
              fix: cast it to one of i8, i16, i32, i64, u8, u16, u32, u64, f16, bf16, f32, f64
            """)
        #expect(message(TensorType(.f8e4m3, [2]), TensorType(.f8e4m3, [2])) { $0 * $1 }.hasPrefix("mul: operand 0 is f8e4m3, which mul does not take"))
        #expect(message(TensorType(.i32, [2]), TensorType(.i32, [2])) { a, _ in a.exp() }.hasPrefix("exp: operand 0 is i32, which exp does not take"))
        #expect(message(TensorType(.f32, [2]), TensorType(.f32, [2])) { a, b in a.select(a, b) }.hasPrefix("select: operand 0 chooses and must be bool"))
        #expect(message(TensorType(.f32, [2]), TensorType(.f32, [3])) { a, b in a.pow(b, file: "Model.swift", line: 12) }.contains("\n  at Model.swift:12\n"))
        // The op itself asks for equal shapes, and says that a broadcast is missing.
        #expect(message(TensorType(.f32, [2, 3]), TensorType(.f32, [1, 3])) { .apply(Elementwise.add, $0, $1, at: .unknown) }
            .contains("fix: put a `broadcast` before the op"))
    }

    @Test func dtypesPromoteAsPyTorchs() {
        let cases: [(DType, DType, DType?)] = [
            (.f32, .f32, .f32), (.i64, .f16, .f16), (.bool, .u8, .u8), (.f16, .bf16, .f32), (.f16, .f32, .f32), (.f32, .f64, .f64),
            (.i8, .i32, .i32), (.u8, .u32, .u32), (.u8, .i8, .i16), (.u8, .i64, .i64), (.u16, .i16, .i32), (.u32, .i32, .i64), (.u32, .i64, .i64),
            (.u64, .i8, nil), (.u64, .f16, .f16), (.bool, .bool, .bool),
            (.f8e4m3, .f8e5m2, .f32), (.f8e4m3, .f16, .f16), (.f8e5m2, .f32, .f32), (.i32, .f8e5m2, .f8e5m2),
        ]
        for (a, b, c) in cases {
            #expect(DType.promotion(a, b) == c, "\(a) with \(b)")
            #expect(DType.promotion(b, a) == c, "\(b) with \(a)")
        }
    }

    @Test func promotionIsTheLeastUpperBound() {
        for a in DType.all {
            for b in DType.all {
                guard let c = DType.promotion(a, b) else { continue }
                #expect(DType.promotion(a, c) == c && DType.promotion(c, b) == c)
                #expect(c.isFloat == (a.isFloat || b.isFloat))
            }
        }
    }

    @Test func rankZeroYieldsToTensors() throws {
        #expect(try type(TensorType(.f16, [2]), TensorType(.f64, [])) { $0 + $1 }.dtype == .f16)
        #expect(try type(TensorType(.f64, []), TensorType(.f16, [2])) { $0 + $1 }.dtype == .f16)
        #expect(try type(TensorType(.i32, [2]), TensorType(.f64, [])) { $0 + $1 }.dtype == .f64)
        #expect(try type(TensorType(.i8, [2]), TensorType(.i64, [])) { $0 + $1 }.dtype == .i8)
    }

    @Test func numbersTakeTheTensorsDType() throws {
        let f16 = TensorType(.f16, [2]), i32 = TensorType(.i32, [2]), bool = TensorType(.bool, [2])
        #expect(try type(f16, f16) { a, _ in a * 2.5 } == f16)
        #expect(try type(f16, f16) { a, _ in 1 / (1 + a) } == f16)
        #expect(try type(i32, i32) { a, _ in 2 - a } == i32)
        #expect(try type(i32, i32) { a, _ in a * 2.5 } == TensorType(.f32, [2]))
        #expect(try type(bool, bool) { a, _ in a + 1 } == TensorType(.i64, [2]))
        #expect(try type(i32, i32) { a, _ in a .>= 1 } == bool)
        #expect(try type(f16, f16) { a, _ in (a .> 0).select(a, 0) } == f16)
        #expect(try type(f16, f16) { a, _ in a.pow(2) + a.pow(0.5) + a.pow(-1) + a.pow(2.5) } == f16)
        let scale: Float = 0.5
        #expect(try type(f16, f16) { a, _ in scale * a } == f16)
    }
}
