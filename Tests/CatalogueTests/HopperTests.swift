// Contractions by sm_90a's tensor cores and TMA, on the emulated grid against the interpreter: layouts, edges, outer axes, parts
// of the depth, epilogues. Elements are multiples of a quarter, so that sums are exact and every bit must agree.

import KilnIR
import KilnKernels
import KilnOps
import Testing

@Suite struct HopperTests {
    private static let runner = Runner.grid([.sm90a])

    /// A product with operands as they are or transposed.
    private struct Product {
        var m: Int
        var n: Int
        var k: Int
        var outer: [Int] = []
        var dtype = DType.bf16
        var result = DType.f32
        var leftTransposed = false
        var rightTransposed = false
        var hasEpilogue = false
        var isSymbolic = false
        /// What operands are given as, and cast from.
        var source: DType?

        func graph() throws -> Graph {
            let builder = GraphBuilder("product")
            let (m, n, k): (Dim, Dim, Dim) = (isSymbolic ? "m" : .constant(m), .constant(n), .constant(k))
            let outer = outer.map { Dim.constant($0) }, rank = outer.count
            let left = builder.input("left", TensorType(source ?? dtype, outer + (leftTransposed ? [k, m] : [m, k])))
            let right = builder.input("right", TensorType(source ?? dtype, outer + (rightTransposed ? [n, k] : [k, n])))
            var y = left.cast(to: dtype).contracting(right.cast(to: dtype), batch: (Array(0..<rank), Array(0..<rank)),
                                     reduce: ([leftTransposed ? rank : rank + 1], [rightTransposed ? rank + 1 : rank]), dtype: result)
            if hasEpilogue {
                let bias = builder.input("bias", TensorType(.f32, [n]))
                let residual = builder.input("residual", TensorType(result, outer + [m, n]))
                y = (y.cast(to: .f32) + bias).relu().cast(to: result) + residual
            }
            return try builder.finish([("y", y)])
        }
    }

    /// Runs a product in several orders of threads; all must give the interpreter's bits, by the tensor cores.
    private func check(_ product: Product, sourceLocation: Testing.SourceLocation = #_sourceLocation) throws {
        let graph = try product.graph()
        let symbols = product.isSymbolic ? ["m": product.m] : [:]
        var numbers = SampleNumbers(seed: 5)
        let inputs = graph.inputs.map { port -> Literal in
            let type = graph.type(of: port.value)
            let shape = type.shape.map { $0.evaluate(symbols: symbols)! }
            let count = shape.reduce(1, *)
            return Literal(type.dtype, shape, doubles: (0..<count).map { _ in
                type.dtype.isFloat ? Double(numbers.below(15) - 7) / 4 : Double(numbers.below(100) - (type.dtype.isSigned ? 50 : 0))
            })
        }
        for compiled in try Compiled.all(graph, Self.runner) {
            #expect(compiled.program.description.contains("group_multiply_add"), "\(product)", sourceLocation: sourceLocation)
            let found = try compiled.runInEveryOrder(inputs, Self.runner)
            let wanted = try Interpreter.run(graph, inputs: inputs, symbols: symbols)
            if let problem = Bound.exact.disagreement(found[0], wanted[0]) { Issue.record("\(product): \(problem)", sourceLocation: sourceLocation) }
        }
    }

    @Test(arguments: [DType.bf16, .f16]) func layouts(dtype: DType) throws {
        for (left, right) in [(false, false), (false, true), (true, false), (true, true)] {
            try check(Product(m: 72, n: 136, k: 200, dtype: dtype, leftTransposed: left, rightTransposed: right))
        }
    }

    @Test(arguments: [(DType.f8e4m3, DType.bf16), (.f8e5m2, .f32), (.f8e4m3, .f16), (.i8, .i32), (.u8, .u8)])
    func bytes(dtype: DType, result: DType) throws {
        try check(Product(m: 130, n: 72, k: 272, dtype: dtype, result: result, rightTransposed: true))
    }

    /// One column of tiles more than fits, rows that are no multiple of anything, and more tiles than stages of the ring.
    @Test func edges() throws {
        try check(Product(m: 131, n: 264, k: 40, result: .bf16, hasEpilogue: true))
        try check(Product(m: 2, n: 8, k: 8))
        try check(Product(m: 65, n: 257, k: 72, rightTransposed: true))
        try check(Product(m: 136, n: 8, k: 520, leftTransposed: true))
    }

    @Test func outerAxes() throws {
        try check(Product(m: 40, n: 72, k: 24, outer: [2, 3]))
        try check(Product(m: 70, n: 72, k: 24, outer: [3], rightTransposed: true, hasEpilogue: true, isSymbolic: true))
        // More tiles than work items: the ring goes on from one to the next.
        try check(Product(m: 8, n: 16, k: 136, outer: [300], result: .bf16))
    }

    @Test func computedOperands() throws {
        try check(Product(m: 72, n: 136, k: 80, rightTransposed: true, source: .f32))
        try check(Product(m: 70, n: 72, k: 40, outer: [2], hasEpilogue: true, isSymbolic: true, source: .f32))
    }

    @Test func partsOfTheDepth() throws {
        try check(Product(m: 33, n: 40, k: 1288, hasEpilogue: true))
        try check(Product(m: 20, n: 24, k: 2304, outer: [2], dtype: .f8e4m3, result: .f32, rightTransposed: true))
    }
}
