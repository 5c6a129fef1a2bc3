// The register tile of a matrix product: 14 rows of 32 columns in 28 vector registers, every product one fused instruction.

import KilnIR
import KilnKernels
import KilnLLVM
import Testing

@Suite struct TileTests {
    /// `c[14, 32] = a[k, 14] (packed) * b[k, 32] (packed)`.
    static func tile(k: Dim, rows: Int = 14, vectors: Int = 2, unroll: Int = 1) -> Program {
        let columns = vectors * 16
        func accumulator(_ row: Dim, _ vector: Dim) -> Access {
            Access(.local(0), row * .constant(columns) + vector * 16 + .index(9))
        }
        func lanes(_ body: [Statement]) -> Statement { .lanes(variable: 9, width: 16, count: 16, body: body) }
        func tileLoop(_ body: [Statement]) -> Statement {
            .loop(Loop(variable: 2, to: .constant(rows), kind: .unrolled, body: [
                .loop(Loop(variable: 3, to: .constant(vectors), kind: .unrolled, body: [lanes(body)])),
            ]))
        }
        let step = tileLoop([
            load(0, 0, .index(1) * .constant(rows) + .index(2)), load(1, 1, .index(1) * .constant(columns) + .index(3) * 16 + .index(9)),
            .define(2, .load(accumulator(.index(2), .index(3)), fill: .real(0))), apply(3, .fusedMultiplyAdd, [0, 1, 2], .f32),
            .store(accumulator(.index(2), .index(3)), 3, streaming: false),
        ])
        return program("tile", inputs: [TensorType(.f32, [k, .constant(rows)]), TensorType(.f32, [k, .constant(columns)])],
                       outputs: [TensorType(.f32, [.constant(rows), .constant(columns)])], symbols: k.symbols, body: [
            .local(Local(id: 0, dtype: .f32, count: .constant(rows * columns))),
            tileLoop([.define(5, .constant(.real(0), .f32)), .store(accumulator(.index(2), .index(3)), 5, streaming: false)]),
            .loop(Loop(variable: 1, to: k, body: [step])),
            tileLoop([.define(6, .load(accumulator(.index(2), .index(3)), fill: .real(0))),
                      store(2, .index(2) * .constant(columns) + .index(3) * 16 + .index(9), 6)]),
        ])
    }

    @Test func matchesTheSumsInOrder() throws {
        let k = 19
        let a = Literal(.f32, [k, 14], doubles: (0..<k * 14).map { Double(($0 * 37) % 11) / 3 })
        let b = Literal(.f32, [k, 32], doubles: (0..<k * 32).map { Double(($0 * 53) % 17) / 7 })
        let result = try run(Self.tile(k: "k"), [a, b], symbols: [Int64(k)])[0]
        for row in 0..<14 {
            for column in 0..<32 {
                var sum: Float = 0
                for i in 0..<k { sum.addProduct(Float(a[i * 14 + row].double), Float(b[i * 32 + column].double)) }
                #expect(result[row * 32 + column] == .real(Double(sum)))
            }
        }
    }

    @Test(.enabled(if: HostTarget.named("x86-64-v4") != nil))
    func staysInRegisters() throws {
        let assembly = try LLVMBackend.assembly(Self.tile(k: "k"), kernel: 0, target: HostTarget.named("x86-64-v4")!)
        let lines = assembly.split(separator: "\n")
        #expect(lines.count { $0.contains("vfmadd") && $0.contains("zmm") } == 28)
        #expect(!lines.contains { $0.contains("zmm") && $0.contains("(%rsp)") }, "an accumulator is spilled")
        #expect(lines.count { $0.contains("(%rsp)") || $0.contains("Spill") } == 0)
    }
}
