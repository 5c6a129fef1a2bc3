// Products of few rows: whatever the sizes, the larger operand is read once and along its contiguous axis.

import KilnCompiler
import KilnIR
import KilnKernels
import KilnOps
import Testing

struct ReadingTests {
    private static let products: [(m: Dim, k: Dim, n: Dim, batch: [Dim])] = [
        (1, 512, 256, []), (1, 256, 512, []), (1, 300, 300, []), (1, 512, 96, [3]), (1, .symbol("k"), 256, []), (1, 256, .symbol("n"), []),
        (1, .symbol("k"), .symbol("n"), []), (1, 256, 128, [.symbol("b")]), (2, 300, 130, []), (3, 512, 256, []), (8, 256, 512, []), (5, 128, 100, [2]),
    ]

    @Test(arguments: [DType.f32, .bf16, .i8], [false, true]) func theLargerOperandIsReadAlongItself(_ dtype: DType, _ isTransposed: Bool) throws {
        for (m, k, n, batch) in Self.products {
            let builder = GraphBuilder("product")
            let x = builder.input("x", TensorType(dtype, batch + [m, k]))
            let w = builder.input("w", TensorType(dtype, batch + (isTransposed ? [n, k] : [k, n])))
            let turned = isTransposed ? w.permuting(Array(batch.indices) + [batch.count + 1, batch.count]) : w
            let program = try Pipeline.compile(builder.finish([("y", x.matmul(turned))])).program
            let number = try #require(program.buffers.firstIndex { $0.name == "w" })
            let strides = program.kernels.flatMap(\.launches).flatMap { Self.laneStrides($0.body, of: .buffer(number), nil) }
            #expect(!strides.isEmpty && strides.allSatisfy { $0 == 1 }, "[\(m), \(k)] by [\(k), \(n)] of \(dtype): lanes are \(strides) apart")
        }
    }

    /// How far apart lanes' loads of a memory are; 0 outside lanes.
    private static func laneStrides(_ statements: [Statement], of memory: Memory, _ lane: Int?) -> [Dim] {
        statements.flatMap { statement -> [Dim] in
            switch statement {
            case .define(_, .load(let access, _)) where access.memory == memory: [lane.map { access.address.coefficient(ofIndex: $0) ?? -1 } ?? 0]
            case .loop(let loop): laneStrides(loop.body, of: memory, lane)
            case .lanes(let variable, _, _, let body): laneStrides(body, of: memory, variable)
            case .branch(_, let then, let otherwise): laneStrides(then, of: memory, lane) + laneStrides(otherwise, of: memory, lane)
            default: []
            }
        }
    }
}
