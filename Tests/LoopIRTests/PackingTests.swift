// Packings: panels hold the elements that the axes say, in their order, with zeros past the last; what is no packing is refused.

import KilnIR
@testable import KilnKernels
import Testing

@Suite struct PackingTests {
    struct Sample: Sendable, CustomTestStringConvertible {
        let testDescription: String
        let shape: [Int]
        let packing: Packing
    }

    private static func axes(_ list: (Int, Int)...) -> [Packing.Axis] { list.map { Packing.Axis(size: $0.0, stride: $0.1) } }

    static let samples = [
        Sample(testDescription: "columns of rows", shape: [5, 7],
               packing: Packing(source: 0, offset: 0, outer: [], across: axes((7, 1)), tile: 4, depth: axes((5, 7)))),
        Sample(testDescription: "columns of columns", shape: [7, 5],
               packing: Packing(source: 0, offset: 0, outer: [], across: axes((7, 5)), tile: 3, depth: axes((5, 1)))),
        Sample(testDescription: "a batch, flipped", shape: [3, 4, 6],
               packing: Packing(source: 0, offset: 23, outer: axes((3, 24)), across: axes((6, -1)), tile: 6, depth: axes((4, -6)))),
        Sample(testDescription: "several axes each", shape: [2, 3, 4, 5],
               packing: Packing(source: 0, offset: 0, outer: [], across: axes((2, 60), (3, 20)), tile: 4, depth: axes((4, 5), (5, 1)))),
        Sample(testDescription: "broadcast", shape: [6],
               packing: Packing(source: 0, offset: 1, outer: axes((2, 0)), across: axes((2, 2)), tile: 4, depth: axes((2, 1)))),
    ]

    /// Position by position, as the packing's description says.
    private static func element(_ number: Int, _ packing: Packing) -> Int? {
        func place(_ flat: Int, _ axes: [Packing.Axis]) -> Int {
            var rest = flat
            return axes.reversed().reduce(0) { sum, axis in
                defer { rest /= axis.size }
                return sum + rest % axis.size * axis.stride
            }
        }
        let depth = packing.depth.reduce(1) { $0 * $1.size }, width = packing.across.reduce(1) { $0 * $1.size }
        let panels = (width + packing.tile - 1) / packing.tile
        let (lane, k, panel) = (number % packing.tile, number / packing.tile % depth, number / packing.tile / depth)
        let column = panel % panels * packing.tile + lane
        return column < width ? packing.offset + place(panel / panels, packing.outer) + place(column, packing.across) + place(k, packing.depth) : nil
    }

    @Test(arguments: samples, [DType.u8, .i16, .f32, .f64]) func layOutElements(sample: Sample, dtype: DType) {
        let packing = sample.packing
        let count = sample.shape.reduce(1, *)
        let literal = Literal(dtype, sample.shape, doubles: (0..<count).map { Double($0 + 1) })
        let shared = Literal(dtype, sample.shape, region: ByteRegion(copying: [0] + literal.bytes), offset: 1)
        #expect(packing.problem(in: count) == nil)
        let expected = Literal(dtype, [packing.elementCount], doubles: (0..<packing.elementCount).map { Self.element($0, packing).map { Double($0 + 1) } ?? 0 })
        for step in [1, packing.panels] {
            var bytes = [UInt8](repeating: 0xEE, count: expected.byteCount)
            let panelBytes = packing.panelCount * dtype.byteCount
            bytes.withUnsafeMutableBytes { bytes in
                for first in stride(from: 0, to: packing.panels, by: step) {
                    packing.pack(shared, panels: first..<first + step, into: UnsafeMutableRawBufferPointer(rebasing: bytes[(first * panelBytes)...]))
                }
            }
            #expect(bytes == expected.bytes)
        }
    }

    @Test func refusesElementsThatAreNotThere() {
        func problem(_ change: (inout Packing) -> Void) -> String? {
            var packing = Self.samples[0].packing
            change(&packing)
            return packing.problem(in: 35)
        }
        #expect(problem { _ in } == nil)
        #expect(problem { $0.offset = 1 } == "takes elements 1...35 of 35")
        #expect(problem { $0.offset = -1 } == "has panels of 4 elements from -1 on")
        #expect(problem { $0.tile = 0 } == "has panels of 0 elements from 0 on")
        #expect(problem { $0.depth[0].stride = -7 } == "takes elements -28...6 of 35")
        #expect(problem { $0.across[0].size = 0 } == "has an axis of 0 elements, 1 apart")
        #expect(problem { $0.across[0].size = .max } != nil && problem { $0.depth[0].stride = .min + 1 } != nil)
    }

    @Test func theVerifierRefusesWhatIsNone() throws {
        func message(_ replaced: String, by text: String) -> String {
            do {
                try Program.parse(example.replacing(replaced, with: text)).verify()
                return ""
            } catch { return "\(error)" }
        }
        let line = "packed @p: f32[4] = @c from 2 outer [] across [3, -1] by 2 depth [1, 7]"
        #expect(message(line, by: line.replacing("from 2", with: "from 1")).contains("`p` takes elements -1...1 of 3"))
        #expect(message(line, by: line.replacing("f32[4]", with: "f32[3]")).contains("but is packed as f32[4]"))
        #expect(message(line, by: line.replacing("@c", with: "@t")).contains("`p` is packed of what is no constant"))
        #expect(message(line, by: line.replacing("[1, 7]", with: "[1]")).contains("each axis has a size and a stride"))
        #expect(message(line, by: line.replacing("@c", with: "@p")).contains("`p` is packed of what is no constant"))
    }
}
