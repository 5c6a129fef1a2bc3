// Sizes that only a call knows: one compilation, run at several sizes. In each sample, every size in turn becomes the symbol n.

import KilnExecution
import KilnIR
import KilnOps
import Testing

struct SymbolTests {
    private static let sizes = [0, 1, 7, 64]

    @Test(arguments: Runner.all) func oneCompilationServesEverySize(_ runner: Runner) async {
        let cases = await countingOverOps { op in
            var cases = 0
            for dtype in Self.dtypes(of: op) {
                let (everywhere, partly) = try Self.sorted(op.samples(dtype).flatMap { Self.variants(op, $0) })
                cases += checkKernels(everywhere, symbols: Self.sizes.map { ["n": $0] }, on: runner)
                for item in partly { cases += try Self.checkFailures(item, runner) }
            }
            return cases
        }
        print("symbolic sizes on \(runner.testDescription): \(cases) cases")
        #expect(cases > 4000)
    }

    /// Sizes past every threshold at which a schedule cuts its work, from a compilation that knows none of them.
    @Test(arguments: [DType.f32, .f16, .i64], Runner.all) func oneCompilationServesLargeSizes(_ dtype: DType, _ runner: Runner) throws {
        func sample(_ shapes: [Shape], _ attributes: Attributes) -> OpSample { OpSample(shapes.map { TensorType(dtype, $0) }, attributes) }
        var (long, square): ([Case], [Case]) = ([], [])
        for name in ["reduce_sum", "reduce_max", "reduce_argmin"] {
            let op = try #require(Catalogue.op(named: name))
            for (shape, axis) in [(["n"], 0), (["n", 5], 0), ([3, "n"], 1), (["n", 3], 1)] as [(Shape, Int)] {
                long.append(Case(op, sample([shape], ["axes": .ints([axis])])))
            }
        }
        let scan = try #require(Catalogue.op(named: "scan_sum")), contract = try #require(Catalogue.op(named: "contract"))
        long.append(Case(scan, sample([["n"]], ["axis": .int(0), "reverse": .bool(false), "exclusive": .bool(true)])))
        for (left, right) in [(["n", 33], [33, 65]), ([33, "n"], ["n", 17]), ([7, 65], [65, "n"]), (["n", "n"], ["n", 5])] as [(Shape, Shape)] {
            square.append(Case(contract, sample([left, right], ["left_batch": .ints([]), "right_batch": .ints([]), "left_reduce": .ints([1]),
                                                                "right_reduce": .ints([0])])))
        }
        let convolution = try #require(Catalogue.op(named: "convolution"))
        square.append(Case(convolution, sample([["n", 3, 9, 9], [17, 3, 3, 3]], ["strides": .ints([1, 1]), "low": .dims([1, 1]), "high": .dims([1, 1]),
                                                                              "dilations": .ints([1, 1]), "groups": .int(1)])))
        let count = checkKernels(long, symbols: [3, 4097, 70_001].map { ["n": $0] }, on: runner)
            + checkKernels(square, symbols: [2, 65, 129].map { ["n": $0] }, on: runner)
        print("large symbolic sizes on \(runner.testDescription): \(count) cases of \(dtype)")
        #expect(count == 3 * (long.count + square.count))
    }

    private static func dtypes(of op: OpDefinition) -> [DType] {
        let chosen = op.dtypes.filter { [.f32, .bf16, .i16, .u64, .bool].contains($0) }
        return chosen.isEmpty ? Array(op.dtypes.prefix(1)) : chosen
    }

    /// The sample as it is where it has a symbol, and with each of its sizes as one.
    private static func variants(_ op: OpDefinition, _ sample: OpSample) -> [Case] {
        if sample.operands.contains(where: { $0.shape.contains { !$0.symbols.isEmpty } }) { return [Case(op, sample)] }
        guard sample.regions.isEmpty else { return [] }
        let sizes = Set(sample.operands.flatMap { $0.shape.compactMap(\.constant) }).filter { $0 > 0 }
        return sizes.sorted().compactMap { size in
            func symbolic(_ shape: Shape) -> Shape { shape.map { $0.constant == size ? "n" : $0 } }
            var changed = sample
            changed.operands = sample.operands.map { $0.with(shape: symbolic($0.shape)) }
            changed.attributes = Attributes(sample.attributes.entries.map { entry in
                if case .dims(let dims) = entry.value, entry.name == "shape" { return (entry.name, .dims(symbolic(dims))) }
                return entry
            })
            let item = Case(op, changed)
            return (try? item.graph()) == nil ? nil : item
        }
    }

    /// The cases that run at every size, and those that some sizes are wrong for.
    private static func sorted(_ cases: [Case]) throws -> ([Case], [Case]) {
        var (everywhere, partly): ([Case], [Case]) = ([], [])
        for item in cases {
            if try sizes.allSatisfy({ try !fails(item, $0) }) { everywhere.append(item) } else { partly.append(item) }
        }
        return (everywhere, partly)
    }

    private static func fails(_ item: Case, _ size: Int) throws -> Bool {
        var numbers = SampleNumbers(seed: 1)
        do {
            _ = try Interpreter.run(item.graph(), inputs: item.draw(&numbers, symbols: ["n": size]), symbols: ["n": size])
            return false
        } catch is CompileError { return true } catch is ShapeError { return true }
    }

    /// Where the interpreter refuses a size, the program does.
    private static func checkFailures(_ item: Case, _ runner: Runner) throws -> Int {
        let graph = try item.graph()
        let good = try sizes.filter { try !fails(item, $0) }
        let compiled = try Compiled.all(graph, runner)[0]
        for size in sizes where !good.contains(size) {
            var numbers = SampleNumbers(seed: 1)
            let inputs = try item.draw(&numbers, symbols: ["n": size])
            do {
                let results = try compiled.run(inputs)
                Issue.record("\(item.label) runs with n = \(size), and the interpreter refuses: \(results)\n\(graph)")
            } catch let error as RuntimeError { #expect(!error.description.isEmpty) }
        }
        return checkKernels([item], symbols: good.map { ["n": $0] }, on: runner) + sizes.count - good.count
    }
}
