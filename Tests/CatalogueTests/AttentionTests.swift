// Attention beyond its samples: sizes that are no multiple of any tile, causal offsets either way, masks, shared heads, operands that
// are views, scores that are infinite or NaN; each kernel against the interpreter.

import KilnIR
import KilnOps
import Testing

struct AttentionTests {
    /// Rows, keys, size, value size.
    private static let sizes = [(1, 1, 16, 16), (17, 33, 16, 16), (64, 129, 64, 32), (71, 67, 40, 24), (3, 131, 128, 128), (1, 150, 64, 64)]

    private static func sample(_ op: OpDefinition, _ dtype: DType, heads: (Int, Int) = (1, 1), _ size: (Int, Int, Int, Int), causal: Int? = nil,
                               mask: DType? = nil, batch: [Int] = []) -> OpSample {
        let tokens = { (heads: Int, count: Int) -> Shape in (batch + [heads, count]).map { .constant($0) } }
        let (rows, keys) = (tokens(heads.0, size.0), tokens(heads.1, size.1))
        var types = [TensorType(dtype, rows + [.constant(size.2)]), TensorType(dtype, keys + [.constant(size.2)]), TensorType(dtype, keys + [.constant(size.3)])]
        if op.name == "attention_backward" {
            let kept: DType = dtype == .f64 ? .f64 : .f32
            types += [TensorType(kept, rows), TensorType(dtype, rows + [.constant(size.3)]), TensorType(kept, rows)]
        }
        if let mask { types.append(TensorType(mask, rows + [.constant(size.1)])) }
        var attributes: Attributes = ["scale": .scalar(.real(0.25))]
        if let causal { attributes["causal"] = .dims([.constant(causal)]) }
        attributes["empty_is_zero"] = .bool(true)
        return OpSample(types, attributes, domain: -1...1)
    }

    private static func cases(_ name: String, _ dtype: DType) throws -> [Case] {
        let op = try #require(Catalogue.op(named: name))
        var cases: [Case] = []
        for (number, size) in sizes.enumerated() {
            cases.append(Case(op, sample(op, dtype, size)))
            cases.append(Case(op, sample(op, dtype, heads: number % 2 == 0 ? (4, 2) : (3, 1), size, causal: size.1 - size.0, batch: number % 3 == 0 ? [2] : [])))
        }
        cases.append(Case(op, sample(op, dtype, heads: (2, 2), (65, 70, 32, 32), causal: 0, batch: [2])))
        cases.append(Case(op, sample(op, dtype, heads: (2, 1), (70, 65, 32, 48), causal: -3)))
        cases.append(Case(op, sample(op, dtype, heads: (2, 1), (33, 65, 16, 16), mask: dtype)))
        cases.append(Case(op, sample(op, dtype, heads: (2, 2), (33, 140, 16, 32), causal: 107, mask: .bool)))
        cases.append(Case(op, sample(op, dtype, heads: (2, 2), (9, 0, 16, 32))))
        let views = Case(op, sample(op, dtype, heads: (3, 3), (20, 40, 16, 16)))
        for view in [InputView.permuted, .sliced, .broadcast] {
            var item = views
            item.views = item.sample.operands.map { view.input($0) == nil ? .plain : view }
            cases.append(item)
        }
        return cases
    }

    @Test(arguments: ["attention", "attention_backward"], [DType.f32, .f64, .bf16, .f16]) func kernels(_ name: String, _ dtype: DType) throws {
        let cases = try Self.cases(name, dtype)
        let count = checkKernels(cases)
        print("\(name): \(count) cases of \(dtype)")
        #expect(count == cases.count)
    }

    /// Kernels for GPUs: tensor cores for short floats forward, a row or key at a time otherwise.
    @Test(arguments: ["attention", "attention_backward"], [DType.f32, .bf16, .f16]) func threadBlockKernels(_ name: String, _ dtype: DType) throws {
        let op = try #require(Catalogue.op(named: name))
        var cases = [Case(op, Self.sample(op, dtype, heads: (2, 1), (5, 70, 16, 16), causal: 65)), Case(op, Self.sample(op, dtype, (3, 7, 12, 9), mask: .bool))]
        if name == "attention", dtype != .f32 {
            cases += [Case(op, Self.sample(op, dtype, (65, 130, 64, 32), batch: [1])), Case(op, Self.sample(op, dtype, heads: (2, 2), (70, 64, 24, 40), causal: 0)),
                      Case(op, Self.sample(op, dtype, (40, 65, 16, 16), mask: dtype)), Case(op, Self.sample(op, dtype, (9, 66, 128, 128)))]
            for view in [InputView.permuted, .sliced] {
                var item = Case(op, Self.sample(op, dtype, heads: (3, 3), (20, 40, 16, 16)))
                item.views = item.sample.operands.map { view.input($0) == nil ? .plain : view }
                cases.append(item)
            }
        }
        let count = checkKernels(cases, on: .grid([.sm80]))
        print("\(name) on sm_80: \(count) cases of \(dtype)")
        #expect(count == cases.count)
    }

    /// One compilation for all numbers of tokens.
    @Test(arguments: ["attention", "attention_backward"]) func symbolicSizes(_ name: String) throws {
        let op = try #require(Catalogue.op(named: name))
        var cases: [Case] = []
        for causal in [nil, 0] as [Int?] {
            var sample = Self.sample(op, .f32, heads: (2, 1), (71, 73, 16, 16), causal: causal)
            sample.operands = sample.operands.map { $0.with(shape: $0.shape.map { $0 == 71 ? "n" : $0 == 73 ? "m" : $0 }) }
            cases.append(Case(op, sample))
        }
        let sets = [(1, 1), (7, 200), (100, 33), (64, 64), (0, 5), (3, 0)].map { ["n": $0, "m": $1] }
        #expect(checkKernels(cases, symbols: sets) == cases.count * sets.count)
    }

    /// Scores of ±∞ and NaN give what a softmax gives; rows without a key are 0, or NaN as a softmax's.
    @Test(arguments: [DType.f32, .bf16], [false, true]) func specialScores(_ dtype: DType, _ zero: Bool) throws {
        let op = try #require(Catalogue.op(named: "attention"))
        var sample = Self.sample(op, dtype, heads: (2, 1), (40, 50, 16, 16), mask: dtype)
        sample.attributes["empty_is_zero"] = .bool(zero)
        let graph = try Case(op, sample).graph(), compiled = try Compiled(graph)
        var numbers = SampleNumbers(seed: 3)
        var inputs = try Case(op, sample).draw(&numbers, symbols: [:])
        for row in 0..<40 {
            for key in 0..<50 {
                let special: Double? = switch row % 5 {
                case 0: -.infinity
                case 1: key == 7 ? .infinity : nil
                case 2: key == 33 ? .nan : nil
                case 3: key < 45 ? -.infinity : nil
                default: nil
                }
                if let special { inputs[3][row * 50 + key] = .real(special) }
            }
        }
        let expected = try Interpreter.run(graph, inputs: inputs), got = try compiled.run(inputs)
        for (a, b) in zip(expected, got) {
            for (x, y) in zip(a.doubles, b.doubles) {
                #expect(x.isNaN ? y.isNaN : x == y || abs(x - y) < (dtype == .bf16 ? 0.05 : 1e-5))
            }
        }
        #expect(expected[0].doubles[0].isNaN == !zero && expected[0].doubles[16].isNaN && expected[0].doubles[32].isNaN && expected[0].doubles[48].isFinite)
    }
}
