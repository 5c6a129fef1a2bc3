// Every op of the catalogue on its samples, for every dtype that it takes.

import KilnIR
import KilnOps
import Testing

@Suite struct CatalogueTests {
    @Test func namesAreDistinct() {
        #expect(Set(Catalogue.all.map(\.name)).count == Catalogue.all.count)
        for op in Catalogue.all { #expect(Catalogue.op(named: op.name) === op) }
        #expect(Catalogue.op(named: "softmix") == nil)
    }

    /// The interpreter itself compares the dtype and shape that each op gives with what was inferred, and throws where they differ.
    @Test(arguments: Catalogue.all.map(\.name))
    func inferredTypesAreInterpretedTypes(_ name: String) throws {
        let op = try #require(Catalogue.op(named: name))
        var cases = 0
        for dtype in op.dtypes {
            for (number, sample) in op.samples(dtype).enumerated() {
                var numbers = SampleNumbers(seed: UInt64(number))
                for size in [1, 3] {
                    var graph = Graph(name: name)
                    let inputs = sample.operands.enumerated().map { graph.addInput("x\($0.offset)", $0.element) }
                    let results = try graph.append(op, inputs, sample.attributes, regions: sample.regions)
                    graph.outputs = results.enumerated().map { Port("y\($0.offset)", $0.element) }
                    var symbols: [String: Int] = [:]
                    for type in sample.operands { for dim in type.shape { for symbol in dim.symbols { symbols[symbol] = size } } }
                    let values: [Literal]
                    do {
                        values = try Interpreter.run(graph, inputs: sample.draw(&numbers, symbols: symbols), symbols: symbols)
                    } catch let error as CompileError where size == 1 {
                        // A size of 1 may be too small for a window; then the op must say so.
                        #expect(!error.fix.isEmpty)
                        continue
                    }
                    for (type, value) in zip(graph.outputTypes, values) {
                        for measured in graph.measurements { symbols[measured.symbol] = value.shape[0] }
                        #expect(value.dtype == type.dtype)
                        #expect(value.shape == type.shape.map { $0.evaluate(symbols: symbols) ?? -1 }, "\(name) \(dtype) sample \(number)")
                        cases += 1
                    }
                }
            }
        }
        print("cases: \(cases) types of \(name)")
        #expect(cases > 0 || op.samples(.f32).isEmpty, "\(name) has no samples")
    }

    @Test func catalogueIsComplete() {
        let named = """
            neg abs sign floor ceil round trunc sqrt rsqrt exp exp2 expm1 log log2 log1p sin cos tan asin acos atan sinh cosh tanh asinh acosh \
            atanh erf sigmoid relu reciprocal square not isnan isinf isfinite add sub mul div rem pow max min and or xor shl shr mulhi eq ne lt \
            le gt ge select fma cast bitcast full iota literal
            """.split(separator: " ")
        for name in named { #expect(Catalogue.op(named: String(name)) != nil, "\(name) is missing") }
    }
}
