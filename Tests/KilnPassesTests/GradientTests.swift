// Every op of the catalogue that has a reverse rule, over its samples in f64: first and second derivatives against finite differences.

import KilnIR
import KilnOps
import KilnPasses
import Testing

struct GradientTests {
    /// The rounding errors of differences of size h over numbers of size 1 are 1e-16 / 1e-3, and the extrapolation leaves h⁴.
    static let tolerance = 2e-7

    static let ops = Catalogue.all.filter { $0.pullback != nil && $0.dtypes.contains(.f64) || ["if", "while"].contains($0.name) }

    @Test(arguments: ops.map(\.name)) func derivativesMatchDifferences(name: String) throws {
        let op = try #require(Catalogue.op(named: name))
        var cases = 0
        for (number, sample) in op.samples(.f64).enumerated() where sample.isSmooth {
            // Random elements that happen to lie at a kink are drawn again.
            for attempt in 0..<6 {
                do {
                    cases += try check(op, sample.concrete(["n": 3]), "\(name), sample \(number)", Random(seed: 100 * attempt + number))
                    break
                } catch is Kink { #expect(attempt < 5, "\(name), sample \(number): not smooth") }
            }
        }
        print("\(name): \(cases) derivatives match differences")
    }

    /// Floats that no op adds carry gradients all the same, also where two reach one value.
    @Test(arguments: DType.floats8) func narrowFloatsCarryGradients(_ dtype: DType) throws {
        var count = 0
        for op in Catalogue.all where op.pullback != nil && op.dtypes.contains(dtype) {
            for sample in op.samples(dtype) where sample.isSmooth && sample.operands.contains(where: { $0.dtype == dtype }) {
                let builder = GraphBuilder("narrow")
                let operands = sample.operands.enumerated().map { builder.input("x\($0)", $1) }
                let results = (0..<2).flatMap { _ in builder.append(op, operands, sample.attributes, regions: sample.regions) }.filter(\.dtype.isFloat)
                let graph = try builder.finish(results.enumerated().map { ("y\($0)", $1) })
                let variables = graph.inputs.map(\.value).filter { graph.type(of: $0).dtype == dtype }
                if results.isEmpty || variables.isEmpty { continue }
                do {
                    let gradients = try Differentiate.gradients(graph, of: results.map(\.id), withRespectTo: variables)
                    #expect(gradients.outputTypes.suffix(variables.count) == variables.map { graph.type(of: $0) }[...])
                } catch { Issue.record("\(op.name): \(error)") }
                count += 1
            }
        }
        #expect(count > 20, "\(count) samples")
    }

    /// First and second derivative of one sample; gives the number of cases.
    private func check(_ op: OpDefinition, _ sample: OpSample, _ title: String, _ random: Random) throws -> Int {
        var random = random
        guard let function = try function(op, sample, &random) else { return 0 }
        let first = try function.firstDerivativeError(&random)
        let slope = try function.slopeAsFunction(&random)
        let second = try slope.firstDerivativeError(&random)
        #expect(first < Self.tolerance, "\(title), first derivative is off by \(first)\n\(function.graph)")
        #expect(second < Self.tolerance, "\(title), second derivative is off by \(second)\n\(slope.graph)")
        return 2
    }

    /// The op's results, weighted and summed; nil where no float goes in or none comes out.
    private func function(_ op: OpDefinition, _ sample: OpSample, _ random: inout Random) throws -> ScalarFunctionAtPoint? {
        guard sample.operands.contains(where: { $0.dtype == .f64 && !$0.shape.contains(0) }),
            !sample.operands.contains(where: { $0.dtype.isFloat && $0.dtype != .f64 }) else { return nil }
        let builder = GraphBuilder("sample")
        let operands = sample.operands.enumerated().map { builder.input("x\($0)", $1) }
        let results = builder.append(op, operands, sample.attributes, regions: sample.regions)
        if let error = builder.error { throw error }
        guard results.contains(where: { $0.dtype == .f64 }) else { return nil }
        let graph = try builder.finish([("sum", weightedSum(results, &random))])
        let inputs = sample.operands.enumerated().map { number, type -> Literal in
            if let range = sample.integerRanges[number] {
                let shape = type.constantShape!
                return Literal(type.dtype, shape, scalars: (0..<shape.reduce(1, *)).map { _ in .integer(Int64(Int.random(in: range, using: &random))) })
            }
            return type.dtype.isFloat ? random.uniform(type, sample.domain) : random.special(type)
        }
        return ScalarFunctionAtPoint(graph: graph, inputs: inputs)
    }
}

extension OpSample {
    /// The sample with numbers for its symbols.
    func concrete(_ symbols: [String: Int]) -> OpSample {
        func size(_ dim: Dim) -> Dim { dim.evaluate(symbols: symbols).map { .constant($0) } ?? dim }
        var copy = self
        copy.operands = operands.map { TensorType($0.dtype, $0.shape.map(size)) }
        copy.attributes = Attributes(attributes.entries.map { entry in
            if case .dims(let dims) = entry.value { return (entry.name, .dims(dims.map(size))) }
            return entry
        })
        return copy
    }
}
