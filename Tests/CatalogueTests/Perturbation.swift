// How much the rounding of a graph's own ops moves its outputs: the graph with each inexact result moved by its op's error bound, up
// or down at random. What comes out of several such graphs spans the error that a right kernel may have (J. Vignes, "A stochastic
// arithmetic for reliable scientific computation", 1993).

import KilnIR
import KilnOps

/// The errors that a graph's outputs may have.
struct Perturbation {
    private var random: SampleNumbers

    /// The greatest distance that a right kernel's elements have from the interpreter's, for each output.
    ///
    /// Kernels and the interpreter round every op alike where it is exact; the others move by their bounds, which real errors seldom
    /// reach. Three times the greatest move of eight trials leaves room for the signs that were not tried.
    static func limits(_ graph: Graph, _ inputs: [Literal], _ expected: [Literal]) throws -> [Double] {
        var limits = expected.map { literal in
            literal.dtype.isFloat ? 2 * FloatFormat(literal.dtype).unitRoundoff * (literal.doubles.map { abs($0) }.max() ?? 0) : 0
        }
        for trial in 0..<8 {
            var perturbation = Perturbation(random: SampleNumbers(seed: UInt64(trial) &+ 77))
            let moved = try Interpreter.run(perturbation.apply(to: graph), inputs: inputs)
            for (number, (a, b)) in zip(moved, expected).enumerated() where a.dtype.isFloat {
                for (x, y) in zip(a.doubles, b.doubles) where x.isFinite && y.isFinite { limits[number] = max(limits[number], 3 * abs(x - y)) }
            }
        }
        return limits
    }

    private mutating func apply(to graph: Graph) throws -> Graph {
        let builder = GraphBuilder(graph.name)
        var values: [ValueID: Value] = [:]
        for input in graph.inputs { values[input.value] = builder.input(input.name, graph.type(of: input.value)) }
        for operation in graph.operations {
            let operands = operation.operands.map { values[$0]! }
            let regions = try operation.regions.enumerated().map { number, region in
                // A loop's condition is left alone, so that it runs as often.
                region.outputTypes.allSatisfy { !$0.dtype.isFloat } ? region : try apply(to: region)
            }
            let results = builder.append(operation.op, operands, operation.attributes, regions: regions)
            for (id, result) in zip(operation.results, results) {
                values[id] = try moved(result, operation, graph.context(of: operation), operands)
            }
        }
        return try builder.finish(graph.outputs.map { ($0.name, values[$0.value]!) })
    }

    private mutating func moved(_ result: Value, _ operation: Operation, _ context: OpContext, _ operands: [Value]) throws -> Value {
        guard result.dtype.isFloat, let shape = result.type.constantShape else { return result }
        let roundoff = FloatFormat(result.dtype).unitRoundoff
        // Roundings of a sum point up as often as down: the error grows with the root of the number of terms (N. J. Higham and T. Mary,
        // "A new approach to probabilistic rounding error analysis", 2019), here with their factor set to 2.
        func gamma(_ terms: Int) -> Double { 2 * Double(max(terms, 1)).squareRoot() * roundoff }
        func signs(_ scale: Double, around center: Double) -> Value {
            let count = shape.reduce(1, *)
            return result.builder.literal(Literal(result.dtype, shape, doubles: (0..<count).map { _ in
                random.next() & 1 == 0 ? center + scale : center - scale
            }))
        }
        switch try operation.op.form(context) {
        case .elementwise where operation.op.ulp > 0:
            let ulp = result.dtype == .f64 ? max(2, operation.op.ulp) : operation.op.ulp
            return result * signs(2 * roundoff * ulp.rounded(.up), around: 1)
        case .reduce(.sum, let axes):
            let terms = axes.reduce(1) { $0 * (operands[0].dims[$1].constant ?? 1) }
            return result + magnitude(operation, operands) * signs(gamma(terms), around: 0)
        case .scan(.sum, let axis, _, _):
            return result + magnitude(operation, operands) * signs(gamma(operands[0].dims[axis].constant ?? 1), around: 0)
        case .contract(let contraction):
            let terms = contraction.sizes.dropFirst(contraction.outputRank).reduce(1) { $0 * ($1.constant ?? 1) }
            return result + magnitude(operation, operands) * signs(gamma(terms + 1), around: 0)
        case .scatter(.add, _):
            let terms = operands[1].type.elementCount.constant ?? 1
            return result + magnitude(operation, operands) * signs(gamma(terms), around: 0)
        case .reduce(.product, let axes):
            return result * signs(gamma(axes.reduce(1) { $0 * (operands[0].dims[$1].constant ?? 1) }) + 2 * roundoff, around: 1)
        case .scan(.product, let axis, _, _):
            return result * signs(gamma(operands[0].dims[axis].constant ?? 1) + 2 * roundoff, around: 1)
        default: return result
        }
    }

    /// The op on the operands' magnitudes.
    private func magnitude(_ operation: Operation, _ operands: [Value]) -> Value {
        let positive = operands.map { $0.dtype.isFloat ? $0.abs() : $0 }
        return positive[0].builder.append(operation.op, positive, operation.attributes)[0]
    }
}
