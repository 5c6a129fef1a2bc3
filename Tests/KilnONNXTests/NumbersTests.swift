// Where numbers of a model are near the ends of what their types hold: means of integers, normalization far from zero, positions outside.

import Kiln
import KilnIR
import KilnONNX
import Testing

@Suite struct NumbersTests {
    /// What one node makes of constants of fixed sizes.
    private func run(_ op: String, _ inputs: [Literal], _ attributes: [String: TestModel.Attribute] = [:]) throws -> Literal {
        var model = TestModel()
        let names = inputs.enumerated().map { number, value in
            number == 0 ? model.input("x", ElementType(value.dtype), value.shape.map { "\($0)" }.joined(separator: ", "))
                : model.node("Constant", ["value": .tensor(value)])
        }
        model.output(model.nodes(op, names, outputs: 1, attributes)[0])
        return try CompiledGraph(model.imported().graph).run([inputs[0]])[0]
    }

    /// A mean lies between the least and the greatest element, and is cut off towards 0.
    @Test func meansOfIntegers() throws {
        let (high, low) = (Int64.max, Int64.min)
        let cases: [(DType, [[Int64]], [Int64])] = [
            (.i32, [[2147483647, 2147483647, 2147483645], [-2147483648, -2147483648, -2147483648], [7, -1, -4]], [2147483646, -2147483648, 0]),
            (.u8, [[255, 255, 254], [1, 1, 3], [0, 0, 0]], [254, 1, 0]),
            (.i64, [[high, high, high - 3], [low, low, low + 4], [high, -high, 2]], [high - 1, low + 2, 0]),
            (.i64, [[-1, -1, 1], [5, -1, -8], [4, 4, 5]], [0, -1, 4]),
            (.i8, [[127, 127, 127], [-128, -128, -127], [-1, -1, 0]], [127, -127, 0]),
        ]
        for (dtype, rows, means) in cases {
            let values = Literal(dtype, [3, 3], scalars: rows.flatMap { $0 }.map { Scalar.integer($0).converted(to: dtype) })
            let axes = Literal(.i64, [1], scalars: [.integer(1)])
            let found = try run("ReduceMean", [values, axes], ["keepdims": .int(0)])
            #expect(found == Literal(dtype, [3], scalars: means.map { Scalar.integer($0).converted(to: dtype) }), "\(dtype): \(found.scalars)")
        }
        let greatest = Literal(.u64, [2, 1], scalars: [.unsigned(.max), .unsigned(.max - 1)])
        #expect(try run("ReduceMean", [greatest, Literal(.i64, [1], scalars: [.integer(0)])]) == Literal(.u64, [1, 1], scalars: [.unsigned(.max - 1)]))
    }

    /// Means of 10⁴ and deviations of 10⁻²: the mean is taken away first.
    @Test func normalizationFarFromZero() throws {
        let values = (0..<12).map { Double(Float(10_000 + Double($0 - 6) * 0.01)) }
        let statistics = [[1.5, -0.5], [0.25, 1], [10_000, 10_000], [1e-4, 4e-4]].map { Literal(.f32, [2], doubles: $0) }
        let found = try run("BatchNormalization", [Literal(.f32, [1, 2, 6], doubles: values)] + statistics, ["epsilon": .float(1e-5)])
        for (position, x) in values.enumerated() {
            let channel = position / 6
            let exact = (x - 10_000) / (statistics[3][channel].double + Double(Float(1e-5))).squareRoot() * statistics[0][channel].double + statistics[1][channel].double
            #expect(abs(found[position].double - exact) <= 1e-5 * max(abs(exact), 1), "\(found[position].double) for \(exact)")
        }
    }

    /// Where means are small beside deviations the scale stays a product with the input alone, which a convolution's weights take in.
    @Test func normalizationNearZeroIsFolded() throws {
        func operations(mean: Double) throws -> [String] {
            var model = TestModel()
            let x = model.input("x", .float, "1, 1, 4")
            let constants = [1, 0, mean, 1].map { model.node("Constant", ["value": .tensor(Literal(.f32, [1], doubles: [$0]))]) }
            model.output(model.nodes("BatchNormalization", [x] + constants, outputs: 1)[0])
            let graph = try model.imported().graph
            return graph.operations.filter { $0.operands.contains(graph.inputs[0].value) }.map(\.op.name)
        }
        #expect(try operations(mean: 3) == ["mul"])
        #expect(try operations(mean: 3000) == ["sub"])
    }

    /// An index outside of its axis is an error, wherever the merged axes would have it lie; inside, it counts from either end.
    @Test func positionsOutsideOfOneAxis() throws {
        let zeros = Literal(.f32, [3, 4], doubles: Array(repeating: 0, count: 12))
        func scatter(_ places: [Int64]) throws -> [Double] {
            let updates = Literal(.f32, [places.count / 2], doubles: (1...places.count / 2).map(Double.init))
            return try run("ScatterND", [zeros, Literal(.i64, [places.count / 2, 2], scalars: places.map { .integer($0) }), updates]).doubles
        }
        var expected = [Double](repeating: 0, count: 12)
        (expected[5], expected[11]) = (1, 2)
        #expect(try scatter([1, 1, -1, -1]) == expected)
        for (place, text) in [([0, 5], "index 5 is out of range for axis 1 of size 4"), ([3, -5], "index 3 is out of range for axis 0 of size 3")] as [([Int64], String)] {
            let error = #expect(throws: (any Error).self) { try scatter([1, 1] + place) }
            #expect("\(error!)".contains(text), "\(error!)")
        }
    }
}
