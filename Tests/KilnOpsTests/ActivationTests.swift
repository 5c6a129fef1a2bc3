// Functions made of elementwise ops, against their formulas.

import Foundation
import KilnIR
import KilnOps
import Testing

@Suite struct ActivationTests {
    private static let points: [Double] = [-30, -3, -1, -0.5, 0, 0.25, 1, 2, 30]

    private func values(_ body: (Value) -> Value) throws -> [Double] {
        let builder = GraphBuilder("test")
        let x = builder.input("x", TensorType(.f64, ["n"]))
        let graph = try builder.finish([("y", body(x))])
        return try Interpreter.run(graph, inputs: [Literal(.f64, [Self.points.count], doubles: Self.points)])[0].doubles
    }

    private func expect(_ body: (Value) -> Value, _ formula: (Double) -> Double, line: Int = #line) throws {
        for (found, x) in zip(try values(body), Self.points) {
            #expect(abs(found - formula(x)) <= 1e-12 * max(1, abs(found)), "at \(x), line \(line)")
        }
    }

    @Test func formulas() throws {
        try expect({ $0.gelu() }) { $0 * 0.5 * (1 + Foundation.erf($0 / 2.0.squareRoot())) }
        try expect({ $0.gelu(tanh: true) }) { $0 * 0.5 * (1 + Foundation.tanh((2 / Double.pi).squareRoot() * ($0 + 0.044715 * $0 * $0 * $0))) }
        try expect({ $0.silu() }) { $0 / (1 + Foundation.exp(-$0)) }
        try expect({ $0.mish() }) { $0 * Foundation.tanh(Foundation.log1p(Foundation.exp($0))) }
        try expect({ $0.logSigmoid() }) { -Foundation.log1p(Foundation.exp(-$0)) }
        try expect({ $0.leakyRelu(0.1) }) { $0 > 0 ? $0 : 0.1 * $0 }
        try expect({ $0.elu(2) }) { $0 > 0 ? $0 : 2 * Foundation.expm1($0) }
        try expect({ $0.hardtanh() }) { min(max($0, -1), 1) }
        try expect({ $0.clamp(-0.75, 1.5) }) { min(max($0, -0.75), 1.5) }
        try expect({ $0.clamp(min: 0) }) { max($0, 0) }
        try expect({ $0.clamp(max: 0) }) { min($0, 0) }
        try expect({ $0.lerp($0 * 3, 0.25) }) { $0 * 1.5 }
        try expect({ $0.pow(3) - $0.square() }) { $0 * $0 * $0 - $0 * $0 }
    }

    @Test func closeness() throws {
        let builder = GraphBuilder("test")
        let (a, b) = (builder.input("a", TensorType(.f32, ["n"])), builder.input("b", TensorType(.f32, ["n"])))
        let graph = try builder.finish([("close", a.isClose(b)), ("nan", a.isClose(b, equalNaN: true))])
        let x: [Double] = [1, 1, .infinity, .infinity, .nan, 1, -.infinity]
        let y: [Double] = [1.000001, 1.1, .infinity, 1, .nan, .infinity, .infinity]
        let results = try Interpreter.run(graph, inputs: [Literal(.f32, [7], doubles: x), Literal(.f32, [7], doubles: y)])
        #expect(results[0].doubles == [1, 0, 1, 0, 0, 0, 0])
        #expect(results[1].doubles == [1, 0, 1, 0, 1, 0, 0])
    }
}
