// Contractions of several blocks of a GPU's tiles, one past a block's edge, and of parts along the summed axes that are added up
// in a second launch; with what the thread blocks' tensor cores multiply and what threads do.

import KilnIR
import KilnOps
import Testing

struct TileTests {
    private static let products: [(m: Int, k: Int, n: Int)] = [(129, 40, 257), (200, 96, 136), (16, 1031, 24), (40, 1280, 8)]

    @Test(arguments: [DType.f32, .f64, .bf16, .i8]) func contractionsOfSeveralTiles(_ dtype: DType) throws {
        let op = try #require(Catalogue.op(named: "contract"))
        var cases: [Case] = []
        for size in Self.products {
            let (m, k, n) = (Dim.constant(size.m), Dim.constant(size.k), Dim.constant(size.n))
            for (isAcross, isDown) in [(false, false), (true, true)] {
                let types = [TensorType(dtype, isAcross ? [k, m] : [m, k]), TensorType(dtype, isDown ? [n, k] : [k, n])]
                cases.append(Case(op, OpSample(types, ["left_batch": .ints([]), "right_batch": .ints([]), "left_reduce": .ints([isAcross ? 0 : 1]),
                                                       "right_reduce": .ints([isDown ? 1 : 0])])))
            }
        }
        #expect(checkKernels(cases, on: .grids) == cases.count)
    }
}
