// Nodes that ONNX's own tests can't hold to values, or leave out: random numbers, and gradients at other values than the graph's own.

import Foundation
import Kiln
import KilnIR
@testable import KilnONNX
import SwiftProtobuf
import Testing

@Suite struct NodeTests {
    @Test func everyOperatorHasOneEntry() {
        let names = Operators.all.map { "\($0.domain.rawValue)::\($0.name)" }
        #expect(Dictionary(grouping: names) { $0 }.filter { $1.count > 1 }.keys.sorted() == [])
    }

    @Test func randomNumbersRepeatAndSpread() throws {
        func drawn(_ op: String, seed: Float, _ settings: [(String, Float)] = []) throws -> [Double] {
            let attributes = [attribute("shape", integers: [4000]), attribute("seed", real: seed)] + settings.map { attribute($0.0, real: $0.1) }
            return try run([node(op, [], ["y"], attributes)], [:], "y").doubles
        }
        let uniform = try drawn("RandomUniform", seed: 1, [("low", -3), ("high", 5)])
        #expect(try drawn("RandomUniform", seed: 1, [("low", -3), ("high", 5)]) == uniform)
        #expect(try drawn("RandomUniform", seed: 2, [("low", -3), ("high", 5)]) != uniform)
        #expect(uniform.allSatisfy { (-3...5).contains($0) })
        #expect(isNear(uniform, 1, deviation: 8 / 12.0.squareRoot()))
        let normal = try drawn("RandomNormal", seed: 1, [("mean", 2), ("scale", 3)])
        #expect(isNear(normal, 2, deviation: 3))
        let squares: [Double] = normal.map { ($0 - 2) * ($0 - 2) }
        #expect(isNear(squares, 9, deviation: 9 * 2.0.squareRoot()))
    }

    @Test func drawsFollowProbabilities() throws {
        let probabilities = Literal(.f32, [3, 2000], doubles: (0..<6000).map { [0, 0.25, 1][$0 / 2000] })
        let draws = try run([node("Bernoulli", ["x"], ["y"], [attribute("seed", real: 7)])], ["x": probabilities], "y").doubles
        #expect(draws[..<2000].allSatisfy { $0 == 0 } && draws[4000...].allSatisfy { $0 == 1 })
        #expect(isNear(Array(draws[2000..<4000]), 0.25, deviation: 0.1875.squareRoot()))
        let logarithms = Literal(.f32, [1, 3], doubles: [0, -.infinity, 1])
        let classes = try run([node("Multinomial", ["x"], ["y"], [attribute("sample_size", integer: 2000), attribute("seed", real: 7)])],
                              ["x": logarithms], "y").doubles
        let second = 0.7310585786
        #expect(classes.allSatisfy { $0 == 0 || $0 == 2 })
        #expect(isNear(classes.map { $0 / 2 }, second, deviation: (second * (1 - second)).squareRoot()))
    }

    /// Whether the mean is within five standard errors.
    private func isNear(_ values: [Double], _ mean: Double, deviation: Double) -> Bool {
        let sum: Double = values.reduce(0, +), count = Double(values.count)
        return abs(sum / count - mean) < 5 * deviation / count.squareRoot()
    }

    /// `y = x · x · z`, differentiated where `x` is `a` and `z` is `b`: 2ab.
    @Test func gradientsAtOtherValues() throws {
        var gradient = node("Gradient", ["a", "b"], ["d"], [attribute("xs", texts: ["x"]), attribute("zs", texts: ["z"]), attribute("y", text: "y")])
        gradient.domain = "ai.onnx.preview.training"
        let nodes = [node("Mul", ["x", "x"], ["s"]), node("Mul", ["s", "z"], ["y"]), gradient]
        let inputs = [("x", 1.0), ("z", 1.0), ("a", 3.0), ("b", 5.0)].map { ($0, Literal(.f32, [1], doubles: [$1])) }
        #expect(try run(nodes, Dictionary(uniqueKeysWithValues: inputs), "d").doubles == [30])
    }

    // MARK: Models

    private func node(_ op: String, _ inputs: [String], _ outputs: [String], _ attributes: [ProtoAttribute] = []) -> ProtoNode {
        var node = ProtoNode()
        (node.opType, node.input, node.output, node.attribute) = (op, inputs, outputs, attributes)
        return node
    }

    private func attribute(_ name: String, integer: Int64? = nil, real: Float? = nil, text: String? = nil, integers: [Int64] = [],
                           texts: [String] = []) -> ProtoAttribute {
        var attribute = ProtoAttribute()
        attribute.name = name
        if let integer { attribute.i = integer }
        if let real { attribute.f = real }
        if let text { attribute.s = .init(text.utf8) }
        attribute.ints = integers
        attribute.strings = texts.map { .init($0.utf8) }
        return attribute
    }

    /// One output of a model of these nodes.
    private func run(_ nodes: [ProtoNode], _ inputs: [String: Literal], _ output: String) throws -> Literal {
        var model = ProtoModel()
        model.graph.node = nodes
        model.graph.input = inputs.keys.sorted().map { name in
            var port = ProtoValueInfo()
            port.name = name
            port.type.tensorType.elemType = ElementType(inputs[name]!.dtype).rawValue
            port.type.tensorType.shape.dim = inputs[name]!.shape.map { size in
                var dimension = ProtoShape.Dimension()
                dimension.dimValue = Int64(size)
                return dimension
            }
            return port
        }
        var port = ProtoValueInfo()
        port.name = output
        model.graph.output = [port]
        model.opsetImport = [("", 21), ("ai.onnx.preview.training", 1)].map { domain, version in
            var set = ProtoOperatorSet()
            (set.domain, set.version) = (domain, Int64(version))
            return set
        }
        let graph = try ONNXModel(bytes: try model.serializedBytes()).graph()
        return try CompiledGraph(graph).run(graph.inputs.map { inputs[$0.name]! })[0]
    }
}
