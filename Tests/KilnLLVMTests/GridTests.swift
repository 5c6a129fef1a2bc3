// What threads of a GPU do together, on the emulated grid: the results against plain Swift, and nothing that the grid finds fault with.

import KilnIR
import KilnKernels
import KilnLLVM
import Testing

@Suite struct GridTests {
    private func run(_ program: Program, _ gpu: GPU, _ inputs: [Literal], symbols: [String: Int] = [:], seed: UInt64 = 1) throws -> [Literal] {
        let (outputs, findings) = try Grid(gpu, seed: seed).run(program, inputs, symbols: symbols)
        #expect(findings.isEmpty, "\(findings.joined(separator: "\n"))")
        return outputs
    }

    /// Numbers that sums of products are exact for.
    private func numbers(_ dtype: DType, _ shape: [Int], _ factor: Int) -> Literal {
        Literal(dtype, shape, doubles: (0..<shape.reduce(1, *)).map { Double(($0 * factor) % 7 - 3) })
    }

    private func product(_ a: Literal, _ b: Literal) -> [Double] {
        let (m, n, k) = (a.shape[0], b.shape[0], a.shape[1])
        let (x, y) = (a.doubles, b.doubles)
        return (0..<m * n).map { position in (0..<k).reduce(0) { $0 + x[position / n * k + $1] * y[position % n * k + $1] } }
    }

    @Test(arguments: [1, 4, 511, 512, 1027])
    func vectors(count: Int) throws {
        let result = try run(ThreadBlockPrograms.vectors(), .sm80, [ramp(.f32, count)], symbols: ["n": count])
        #expect(result[0].doubles == (0..<count).map { 2 * Double($0) })
    }

    @Test func rowSums() throws {
        let rows = numbers(.f32, [3, 256], 5)
        let result = try run(ThreadBlockPrograms.rowSums(), .sm80, [rows], symbols: ["m": 3])
        #expect(result[0].doubles == (0..<3).map { row in rows.doubles[row * 256..<(row + 1) * 256].reduce(0, +) })
    }

    @Test(arguments: 1...3 as ClosedRange<UInt64>)
    func atomicsAndVotes(seed: UInt64) throws {
        let values = (0..<128).map { ($0 * $0) % 11 % 4 }
        let result = try run(ThreadBlockPrograms.histogram(), .sm80, [Literal(.i32, [128], doubles: values.map(Double.init))], seed: seed)
        let ballot = values[..<32].enumerated().reduce(UInt32(0)) { $1.element == 3 ? $0 | 1 << UInt32($1.offset) : $0 }
        let counts = (0..<4).map { kind in Double(values.count { $0 == kind }) }
        #expect(result[0].doubles == counts + [3, Double(Int32(bitPattern: ballot))])
    }

    @Test(arguments: [4, 8, 16], [0, 50, 64])
    func copiesInFlight(bytes: Int, present: Int) throws {
        let count = bytes * 16
        let result = try run(ThreadBlockPrograms.copies(bytes: bytes, present: present), .sm80, [ramp(.f32, count, from: 1)])
        #expect(result[0].doubles == (0..<count).map { $0 < present * bytes / 4 ? Double($0 + 1) : 0 })
    }

    @Test(arguments: [MatrixKind.f16, .bf16])
    func matricesOfAWarp(kind: MatrixKind) throws {
        let dtype: DType = kind == .f16 ? .f16 : .bf16
        let (a, b) = (numbers(dtype, [16, 16], 5), numbers(dtype, [8, 16], 3))
        #expect(try run(ThreadBlockPrograms.multiplyAdd(kind), .sm80, [a, b])[0].doubles == product(a, b))
    }

    @Test func tmaAndFourWarps() throws {
        let (a, b) = (numbers(.bf16, [64, 64], 5), numbers(.bf16, [64, 64], 3))
        #expect(try run(ThreadBlockPrograms.groupMultiplyAdd(), .sm90a, [a, b])[0].doubles == product(a, b))
    }

    /// A race between threads is found, and the finding quotes the statement.
    @Test func findingsQuoteTheStatement() throws {
        let program = try ThreadBlockPrograms.program("input 0 @a: f32[32]\n output 0 @out: f32[32]", """
            local $0: f32[32] shared 0
            %0 = load @a[d1]
            store $0[d1] = %0
            %1 = load $0[31 - d1]
            store @out[d1] = %1
            %2 = load @a[d1 + 100000]
            """)
        let (_, findings) = try Grid(.sm80).run(program, [ramp(.f32, 32)])
        #expect(findings.contains { $0.contains("load $0[") })
        #expect(findings.contains { $0.contains("load @a[d1 + 100000]") })
    }
}
