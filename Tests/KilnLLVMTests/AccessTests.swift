// Loads and stores in every way that an address can depend on the lane, with conditions and tails.

import KilnIR
import KilnKernels
import KilnLLVM
import KilnRuntime
import Testing

@Suite struct AccessTests {
    /// `out[i] = in0[f(i)]` over `count` positions, in lanes of `width`.
    private func copy(_ count: Int, of source: Literal, width: Int = 16, where conditions: (Dim) -> [IndexCondition] = { _ in [] },
                      fill: Scalar = .real(-1), target: Target = host, _ address: (Dim) -> Dim) throws -> [Double] {
        let body = lanesLoop(.constant(count), width: width) { position in
            [load(0, 0, address(position), where: conditions(position), fill: fill), store(1, position, 0)]
        }
        let made = program("copy", inputs: [source.type], outputs: [TensorType(source.dtype, [.constant(count)])], body: [body])
        return try run(made, [source], target: target)[0].doubles
    }

    @Test(arguments: [1, 7, 16, 17, 64, 100])
    func vectorAddWithTail(count: Int) throws {
        let type = TensorType(.f32, ["n"])
        let body = lanesLoop("n", width: 16) { position in
            [load(0, 0, position), load(1, 1, position), apply(2, .add, [0, 1], .f32), store(2, position, 2)]
        }
        let made = program("add", inputs: [type, type], outputs: [type], symbols: ["n"], body: [body])
        let result = try run(made, [ramp(.f32, count), ramp(.f32, count, from: 100, step: 2)], symbols: [Int64(count)])
        #expect(result[0].doubles == (0..<count).map { (i: Int) -> Double in 100 + 3 * Double(i) })
    }

    @Test(arguments: DType.all)
    func contiguousOfEveryDType(dtype: DType) throws {
        let source = Literal(dtype, [45], scalars: (0..<45).map { .integer(Int64($0 % 3)) })
        let expected = source.doubles
        for target in [host, try #require(HostTarget.named("x86-64-v3"))] {
            for width in [1, 4, 16, 64] {
                let result = try copy(45, of: source, width: width, target: target) { $0 }
                #expect(result == expected, "\(width) lanes on \(target.processor)")
            }
            let even = try copy(15, of: source, target: target) { $0 * 3 }
            #expect(even == (0..<15).map { expected[3 * $0] })
        }
    }

    @Test(arguments: [DType.f32, .f64, .i8, .bool], [1, 2, 4, 8, 16])
    func transposes(dtype: DType, width: Int) throws {
        let (sourcePitch, targetPitch) = (width + 3, width + 1)
        let source = Literal(dtype, [width * sourcePitch + 1], scalars: (0...width * sourcePitch).map { .integer(Int64($0 * 7 % 5 - $0 % 2)) })
        for target in [host, try #require(HostTarget.named("x86-64-v3"))] {
            for rows in Set([1, (width + 1) / 2, width]) {
                let body = Statement.transpose(Transposition(rows, by: width, from: Access(.buffer(0), 1), pitch: sourcePitch,
                                                             to: Access(.buffer(1), 0), pitch: targetPitch))
                let made = program("transpose", inputs: [source.type], outputs: [TensorType(dtype, [.constant(width * targetPitch)])],
                                   body: [.prefetch(Access(.buffer(0), 1_000_000)), body])
                let result = try run(made, [source], target: target)[0].doubles
                for row in 0..<rows {
                    for column in 0..<width {
                        #expect(result[column * targetPitch + row] == source.doubles[1 + row * sourcePitch + column], "\(row), \(column) of \(rows)")
                    }
                }
            }
        }
    }

    @Test(arguments: [-1, 0, 2, 3, -2, 5])
    func strided(stride: Int) throws {
        let source = ramp(.f32, 400)
        let start = stride < 0 ? 399 : 3
        let result = try copy(70, of: source) { $0 * .constant(stride) + .constant(start) }
        let expected: [Int] = (0..<70).map { (i: Int) -> Int in start + i * stride }
        #expect(result == expected.map { Double($0) })
    }

    @Test(arguments: [2, 3, 4, 6], [2, 4, 16, 32])
    func stridedWithoutAMask(stride: Int, width: Int) throws {
        // The source ends with the last element that is read: nothing beyond it may be touched.
        let source = ramp(.i16, (width * 3 - 1) * stride + 1)
        let made = program("strided", inputs: [source.type], outputs: [TensorType(.i16, [.constant(width * 3)])], body: [
            .loop(Loop(variable: 1, to: .constant(width * 3), step: width, body: [
                .lanes(variable: 2, width: width, count: .constant(width), body: [
                    load(0, 0, (.index(1) + .index(2)) * .constant(stride)), store(1, .index(1) + .index(2), 0),
                ]),
            ])),
        ])
        let expected: [Double] = (0..<width * 3).map { (i: Int) -> Double in Double(i * stride) }
        #expect(try run(made, [source])[0].doubles == expected)
        let gathers = try LLVMBackend.llvmText(made, kernel: 0, target: host).contains("gather")
        #expect(gathers == (stride > 4 || stride >= width))
    }

    @Test(arguments: [2, 3, 4, 5], [DType.f32, .f64, .i8, .u16, .bf16, .bool])
    func stridedWithConditions(stride: Int, dtype: DType) throws {
        // Elements before the first and past the last that the conditions allow are not there at all.
        let count = 45, size = (count - 7) * stride + 1
        let source = Literal(dtype, [size], scalars: (0..<size).map { .integer(Int64($0 % 3)) })
        for target in [host, try #require(HostTarget.named("x86-64-v3"))] {
            for (width, fill) in [(4, Scalar.integer(0)), (16, .integer(1)), (32, .integer(0)), (32, .integer(1))] {
                let result = try copy(count, of: source, width: width, where: { [.isNonNegative($0 - 3), .isNonNegative(.constant(count - 4) - $0)] },
                                      fill: fill.converted(to: dtype), target: target) { ($0 - 3) * .constant(stride) }
                let expected = (0..<count).map { 3...count - 4 ~= $0 ? source.doubles[($0 - 3) * stride] : fill == .integer(1) ? 1 : 0 }
                #expect(result == expected, "\(width) lanes on \(target.processor)")
            }
        }
    }

    @Test func boundPositionsKeepTheirStrides() throws {
        let source = ramp(.f32, 64)
        let made = program("bound", inputs: [source.type], outputs: [source.type], body: [
            .loop(Loop(variable: 1, to: 64, step: 16, body: [
                .define(0, .position(.index(1) * 1)), .bind(variable: 3, 0),
                .lanes(variable: 2, width: 16, count: 16, body: [
                    .define(1, .position(.index(3) + .index(2))), .bind(variable: 4, 1), load(2, 0, .index(4)), store(1, .index(4), 2),
                ]),
            ])),
        ])
        #expect(try run(made, [source])[0].doubles == source.doubles)
        let text = try LLVMBackend.llvmText(made, kernel: 0, target: host)
        #expect(!text.contains("gather") && !text.contains("scatter"))
    }

    @Test(arguments: [1, 3, 7, 16, 40, 300])
    func floorOfTheLane(divisor: Int) throws {
        let source = ramp(.i32, 300)
        let quotient = try copy(290, of: source) { ($0 + 5) / .constant(divisor) }
        let quotients: [Int] = (0..<290).map { (i: Int) -> Int in (i + 5) / divisor }
        #expect(quotient == quotients.map { Double($0) })
        let transposed = try copy(divisor * 5, of: ramp(.i32, divisor * 5)) { position in
            (position % .constant(divisor)) * 5 + position / .constant(divisor)
        }
        let expected: [Int] = (0..<divisor * 5).map { (i: Int) -> Int in (i % divisor) * 5 + i / divisor }
        #expect(transposed == expected.map { Double($0) })
    }

    @Test func floorOfNegativeNumbers() throws {
        let result = try copy(40, of: ramp(.f32, 30)) { ($0 - 20) / 3 + 10 }
        let expected: [Int] = (0..<40).map { (i: Int) -> Int in Int.floorDivide(i - 20, 3) + 10 }
        #expect(result == expected.map { Double($0) })
    }

    @Test func conditionsThatDependOnTheLane() throws {
        let source = ramp(.f32, 50, from: 1)
        func expected(_ element: (Int) -> Int) -> [Double] { (0..<60).map { Double(element($0)) } }
        let padded = try copy(60, of: source, where: { [.isNonNegative($0 - 4), .isNonNegative(53 - $0)] }) { $0 - 4 }
        #expect(padded == expected { $0 >= 4 && $0 <= 53 ? $0 - 3 : -1 })
        let dilated = try copy(60, of: source, where: { [.isZero($0 % 3)] }) { $0 / 3 }
        #expect(dilated == expected { $0 % 3 == 0 ? $0 / 3 + 1 : -1 })
        let single = try copy(60, of: source, where: { [.isZero($0 - 21)] }) { $0 }
        #expect(single == expected { $0 == 21 ? 22 : -1 })
        let flipped = try copy(60, of: source, where: { [.isNonNegative(40 - $0)] }) { 40 - $0 }
        #expect(flipped == expected { $0 <= 40 ? 41 - $0 : -1 })
    }

    @Test func conditionsThatAreTheSameInAllLanes() throws {
        // Rows of 8 from a matrix of 4 rows, the first and the last two rows padded.
        let source = ramp(.f32, 32, from: 1)
        let body: [Statement] = [.loop(Loop(variable: 1, to: 7, body: [
            .lanes(variable: 2, width: 8, count: 8, body: [
                load(0, 0, (.index(1) - 1) * 8 + .index(2), where: [.isNonNegative(.index(1) - 1), .isNonNegative(4 - .index(1))], fill: .real(9)),
                store(1, .index(1) * 8 + .index(2), 0),
            ]),
        ]))]
        let made = program("rows", inputs: [source.type], outputs: [TensorType(.f32, [7, 8])], body: body)
        let expected: [Double] = (0..<56).map { (i: Int) -> Double in (8..<40).contains(i) ? Double(i - 7) : 9 }
        #expect(try run(made, [source])[0].doubles == expected)
    }

    @Test func scalarsWithConditions() throws {
        let source = ramp(.f64, 10, from: 1)
        let body: [Statement] = [.loop(Loop(variable: 1, to: 14, body: [
            load(0, 0, .index(1) - 2, where: [.isNonNegative(.index(1) - 2), .isNonNegative(11 - .index(1))], fill: .real(-0.0)),
            store(1, .index(1), 0, where: [.isNonNegative(12 - .index(1))]),
        ]))]
        let made = program("scalars", inputs: [source.type], outputs: [TensorType(.f64, [13])], body: body)
        let result = try run(made, [source])[0]
        let expected: [Scalar] = (0..<13).map { (i: Int) -> Scalar in .real(i >= 2 && i < 12 ? Double(i - 1) : -0.0) }
        #expect(result.scalars == expected)
    }

    @Test func lookedUpIndices() throws {
        let indices = Literal(.i32, [20], scalars: (0..<20).map { .integer(Int64(($0 * 7) % 20)) })
        let source = ramp(.f32, 20)
        let body = lanesLoop(20, width: 8) { position in
            [load(0, 0, position), apply(1, .convert, [0], .i64), .bind(variable: 5, 1), load(2, 1, .index(5) * 1),
             store(2, position, 2)]
        }
        let made = program("look", inputs: [indices.type, source.type], outputs: [TensorType(.f32, [20])], body: [body])
        #expect(try run(made, [indices, source])[0].doubles == (0..<20).map { (i: Int) -> Double in Double((i * 7) % 20) })
    }

    @Test(arguments: [DType.f32, .i8, .f16, .i64])
    func scatteredStores(dtype: DType) throws {
        let source = Literal(dtype, [24], doubles: (0..<24).map(Double.init))
        let body = lanesLoop(24, width: 16) { position in
            [load(0, 0, position), store(1, (position % 4) * 6 + position / 4, 0)]
        }
        let made = program("scatter", inputs: [source.type], outputs: [TensorType(dtype, [24])], body: [body])
        var expected = [Double](repeating: 0, count: 24)
        for i in 0..<24 { expected[(i % 4) * 6 + i / 4] = Double(i) }
        #expect(try run(made, [source])[0].doubles == expected)
    }

    @Test func streamingStoresOfAnyAlignment() throws {
        let type = TensorType(.f32, ["n"])
        let body = Statement.loop(Loop(variable: 1, to: Dim.symbol("n") / 16, body: [
            .lanes(variable: 2, width: 16, count: 16, body: [load(0, 0, .index(1) * 16 + .index(2)),
                                                             store(1, .index(1) * 16 + .index(2), 0, streaming: true)]),
        ]))
        let made = program("stream", inputs: [type], outputs: [type], symbols: ["n"], body: [body])
        #expect(try run(made, [ramp(.f32, 64)], symbols: [64])[0].doubles == (0..<64).map(Double.init))
        #expect(try LLVMBackend.assembly(made, kernel: 0, target: host).contains("vmovntps"))
        // An address 4 bytes off must take the other variant.
        let code = try JITCode(LLVMBackend.compile(made, target: host))
        let memory = UnsafeMutableRawPointer.allocate(byteCount: 1024, alignment: 64)
        defer { memory.deallocate() }
        let floats = memory.bindMemory(to: Float.self, capacity: 256)
        for i in 0..<256 { floats[i] = Float(i) }
        var symbols: [Int64] = [64]
        let status = withUnsafePointer(to: Optional(memory + 4)) { input in
            withUnsafePointer(to: Optional(memory + 516)) { output in
                kiln_invoke(code.infoPointer.assumingMemoryBound(to: kiln_program_info.self), input, output, &symbols)
            }
        }
        #expect(status == KILN_OK)
        #expect((0..<64).allSatisfy { floats[129 + $0] == Float($0 + 1) })
        withExtendedLifetime(code) {}
    }
}
