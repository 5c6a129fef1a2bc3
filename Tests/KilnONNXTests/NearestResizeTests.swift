// Nearest resizing against exact fractions: every pair of sizes of a range, in every way that ONNX knows to place and to round positions.

import Kiln
import KilnIR
import KilnONNX
import Testing

@Suite struct NearestResizeTests {
    /// A position as a fraction, and its rounding, as ONNX's definition writes them.
    private struct Position {
        var over: Int
        var under: Int

        /// Result `y` of an axis of `input` elements that becomes one of `output`, by the scale p / q.
        init(_ mode: String, y: Int, input: Int, output: Int, p: Int, q: Int) {
            (over, under) = switch mode {
            case "asymmetric": (y * q, p)
            case "align_corners": input * p == q ? (0, 1) : (y * (input - 1) * q, input * p - q)
            case "tf_half_pixel_for_nn": ((2 * y + 1) * q, 2 * p)
            case "pytorch_half_pixel" where output == 1: (0, 1)
            // The middle of the input, less that of the output before it was rounded down.
            case "half_pixel_symmetric": ((2 * y + 1) * q - p + input * p - output * q, 2 * p)
            default: ((2 * y + 1) * q - p, 2 * p)
            }
        }

        func index(_ rounding: String, below size: Int) -> Int {
            func floor(_ a: Int, _ b: Int) -> Int { a >= 0 ? a / b : -((b - 1 - a) / b) }
            let index = switch rounding {
            case "floor": floor(over, under)
            case "ceil": -floor(-over, under)
            case "round_prefer_ceil": floor(2 * over + under, 2 * under)
            default: -floor(under - 2 * over, 2 * under)
            }
            return min(max(index, 0), size - 1)
        }
    }

    static let modes = ["half_pixel", "half_pixel_symmetric", "pytorch_half_pixel", "align_corners", "asymmetric", "tf_half_pixel_for_nn"]
    static let roundings = ["round_prefer_floor", "round_prefer_ceil", "floor", "ceil"]

    private func elements(_ count: Int) -> Literal { Literal(.f32, [1, 1, count], doubles: (0..<count).map(Double.init)) }

    /// One compile for all sizes: the positions are computed as the model runs.
    @Test(arguments: modes, roundings) func openSizes(_ mode: String, _ rounding: String) throws {
        var model = TestModel()
        let x = model.input("x", .float, "1, 1, n"), like = model.input("like", .float, "1, 1, m")
        model.output(model.nodes("Resize", [x, "", "", model.node("Shape", like)], outputs: 1, [
            "mode": .text("nearest"), "coordinate_transformation_mode": .text(mode), "nearest_mode": .text(rounding),
        ])[0])
        let compiled = try CompiledGraph(model.imported().graph)
        let sizes = Array(1...12) + [14, 20, 21, 49]
        for input in sizes {
            for output in sizes {
                let found = try compiled.run([elements(input), elements(output)])[0].doubles
                let exact = (0..<output).map { Double(Position(mode, y: $0, input: input, output: output, p: output, q: input).index(rounding, below: input)) }
                #expect(found == exact, "\(input) to \(output)")
            }
        }
    }

    /// Sizes that are known become tables at import.
    @Test(arguments: modes, roundings) func knownSizes(_ mode: String, _ rounding: String) throws {
        let pairs = [(20, 6), (14, 18), (14, 9), (49, 21), (21, 49), (9, 66), (66, 9), (7, 30), (30, 7), (23, 10), (10, 23), (1, 4), (4, 1), (64, 28)]
        var model = TestModel()
        for (number, pair) in pairs.enumerated() {
            let x = model.input("x\(number)", .float, "1, 1, \(pair.0)")
            model.output(model.nodes("Resize", [x, "", "", model.integers(1, 1, pair.1)], outputs: 1, [
                "mode": .text("nearest"), "coordinate_transformation_mode": .text(mode), "nearest_mode": .text(rounding),
            ])[0])
        }
        let found = try CompiledGraph(model.imported().graph).run(pairs.map { elements($0.0) })
        for ((input, output), found) in zip(pairs, found) {
            let exact = (0..<output).map { Double(Position(mode, y: $0, input: input, output: output, p: output, q: input).index(rounding, below: input)) }
            #expect(found.doubles == exact, "\(input) to \(output)")
        }
    }

    /// A scale is the float that it is: a whole number over a power of two.
    @Test(arguments: modes, roundings) func scales(_ mode: String, _ rounding: String) throws {
        let scales: [Float] = [0.5, 0.6, 0.3, 0.75, 1.5, 1.1, 2.5, 3, 1.7]
        var model = TestModel()
        let x = model.input("x", .float, "1, 1, 20")
        for scale in scales {
            let factors = model.node("Constant", ["value": .tensor(Literal(.f32, [3], doubles: [1, 1, Double(scale)]))])
            model.output(model.nodes("Resize", [x, "", factors], outputs: 1, [
                "mode": .text("nearest"), "coordinate_transformation_mode": .text(mode), "nearest_mode": .text(rounding),
            ])[0])
        }
        let found = try CompiledGraph(model.imported().graph).run([elements(20)])
        for (scale, found) in zip(scales, found) {
            let q = 1 << 24, p = Int(Double(scale) * 0x1p24), output = 20 * p / q
            let exact = (0..<output).map { Double(Position(mode, y: $0, input: 20, output: output, p: p, q: q).index(rounding, below: 20)) }
            #expect(found.doubles == exact, "scale \(scale)")
        }
    }
}
