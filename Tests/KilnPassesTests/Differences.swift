// Finite differences: the slope of a graph's scalar along a direction, against what differentiation says it is.

import KilnIR
import KilnOps
import KilnPasses
import Testing

/// A point so close to one where the function is not smooth that differences see it.
struct Kink: Error {}

/// A graph whose first output is a scalar f64, with values for its inputs.
struct ScalarFunctionAtPoint {
    var graph: Graph
    var inputs: [Literal]

    /// The first output.
    func value() throws -> Double { try Interpreter.run(graph, inputs: inputs)[0][0].double }

    /// The numbers of the inputs that are floats.
    var floats: [Int] { inputs.indices.filter { inputs[$0].dtype.isFloat } }

    /// The slope along a direction (an addend for each float input): central differences, extrapolated once to a vanishing step
    /// (L. F. Richardson, 1911).
    func slope(along direction: [Literal], step: Double = 2e-3) throws -> Double {
        func central(_ h: Double) throws -> Double { (try moved(direction, h).value() - moved(direction, -h).value()) / (2 * h) }
        let (wide, narrow) = (try central(step), try central(step / 2))
        if abs(wide - narrow) > 1e-3 * max(1, abs(narrow)) { throw Kink() }
        return narrow + (narrow - wide) / 3
    }

    private func moved(_ direction: [Literal], _ distance: Double) -> ScalarFunctionAtPoint {
        var copy = self
        for (number, addend) in zip(floats, direction) {
            copy.inputs[number] = Literal(.f64, addend.shape, doubles: zip(inputs[number].doubles, addend.doubles).map { $0 + distance * $1 })
        }
        return copy
    }

    func randomDirection(_ random: inout Random) -> [Literal] { floats.map { random.uniform(inputs[$0].type, -1...1) } }

    /// The gradients of the scalar with respect to the float inputs, as a graph.
    func gradients() throws -> Graph {
        try Differentiate.gradients(graph, of: [graph.outputs[0].value], withRespectTo: floats.map { graph.inputs[$0].value })
    }

    /// The scalar `sum of w·gradient` for random weights `w`: differentiating it gives second derivatives.
    func slopeAsFunction(_ random: inout Random) throws -> ScalarFunctionAtPoint {
        let first = try gradients()
        let builder = GraphBuilder(first, constants: Catalogue.constants)
        let gradients = first.outputs.dropFirst(graph.outputs.count).map { builder.value($0.value) }
        return ScalarFunctionAtPoint(graph: try builder.finish([("slope", weightedSum(gradients, &random))]), inputs: inputs)
    }

    /// Holds the first derivative against differences along a few directions; gives the greatest relative error.
    func firstDerivativeError(_ random: inout Random, directions: Int = 2) throws -> Double {
        let gradients = try gradients()
        let values = try Interpreter.run(gradients, inputs: inputs).dropFirst(graph.outputs.count)
        var worst = 0.0
        for _ in 0..<directions {
            let direction = randomDirection(&random)
            let expected = try slope(along: direction)
            let found = zip(values, direction).map { zip($0.doubles, $1.doubles).map(*).reduce(0, +) }.reduce(0, +)
            // The scale is that of the terms, which may cancel.
            let scale = zip(values, direction).map { zip($0.doubles, $1.doubles).map { abs($0 * $1) }.reduce(0, +) }.reduce(1, +)
            worst = max(worst, found.isFinite ? abs(found - expected) / scale : .infinity)
        }
        return worst
    }
}

/// The sum of all elements of the values, each times a random weight; the values are f64 or carry no gradient.
func weightedSum(_ values: [Value], _ random: inout Random) -> Value {
    var sum: Value?
    for value in values where value.dtype == .f64 {
        // Of a size that is measured, there are weights for the most that it can be.
        let bounds = Dictionary(value.builder.graph.measurements.map { (Dim.symbol($0.symbol), $0.bound) }, uniquingKeysWith: { first, _ in first })
        let most = value.type.with(shape: value.dims.map { bounds[$0] ?? $0 })
        let weights = value.builder.literal(random.uniform(most, 0.5...1.5)).slicing(starts: most.shape.map { _ in 0 }, ends: value.dims)
        let product = value * weights
        let part = product.builder.append(Structural.reduceSum, [product], ["axes": .ints(Array(0..<value.rank))])[0]
        sum = sum.map { $0 + part } ?? part
    }
    return sum!
}
