// Work large enough to be shared: the same bits on one thread and on two, from run to run, and right.

import KilnExecution
import KilnIR
import KilnOps
import Testing

@Suite(.serialized) struct ThreadTests {
    private static let dtypes: [DType] = [.f32, .f64, .bf16, .f16, .i32, .u8]

    private static func sample(_ dtype: DType, _ shapes: [[Int]], _ attributes: Attributes) -> OpSample {
        OpSample(shapes.map { TensorType(dtype, $0.map { .constant($0) }) }, attributes)
    }

    /// Reductions that are cut into parts, and products that are cut into tiles.
    private static func cases(_ dtype: DType) -> [Case] {
        var cases: [Case] = []
        for name in ["reduce_sum", "reduce_max", "reduce_min", "reduce_argmax", "reduce_argmin"] {
            guard let op = Catalogue.op(named: name) else { continue }
            for (shape, axis) in [([1 << 17 | 5], 0), ([3, 65_539], 1), ([40_009, 5], 0), ([513, 257], 1), ([513, 257], 0)] {
                cases.append(Case(op, sample(dtype, [shape], ["axes": .ints([axis])])))
            }
        }
        if let op = Catalogue.op(named: "scan_sum") {
            cases.append(Case(op, sample(dtype, [[257, 513]], ["axis": .int(1), "reverse": .bool(false), "exclusive": .bool(false)])))
        }
        // Scans cut into parts, in both directions, and scatters whose updates have owners; some go nowhere.
        for (number, (shape, axis)) in [([1 << 16 | 5], 0), ([3, 20_011], 1), ([20_009, 3], 0), ([1001, 70], 0), ([2, 8200, 5], 1)].enumerated() {
            for (name, isReverse) in [("scan_sum", number % 2 == 1), ("scan_max", number % 2 == 0)] {
                guard let op = Catalogue.op(named: name) else { continue }
                cases.append(Case(op, sample(dtype, [shape], ["axis": .int(axis), "reverse": .bool(isReverse), "exclusive": .bool(number > 1)])))
            }
        }
        for name in ["scatter_add", "scatter_set", "scatter_max"] {
            guard let op = Catalogue.op(named: name) else { continue }
            for (base, count, axis) in [([700], 9000, 0), ([700, 33], 2100, 0), ([3, 700, 5], 5000, 1), ([2, 301], 5001, 1), ([40, 300], 20, 0)] {
                var updates = base
                updates[axis] = count
                let types = [TensorType(dtype, base.map { .constant($0) }), TensorType(dtype, updates.map { .constant($0) }), TensorType(.i64, [.constant(count)])]
                cases.append(Case(op, OpSample(types, ["axis": .int(axis)], integerRanges: [2: -base[axis] - 3...base[axis] + 3])))
            }
        }
        if let op = Catalogue.op(named: "contract") {
            for (m, k, n) in [(129, 257, 65), (3, 4099, 17), (20, 2100, 20), (257, 33, 130), (1, 513, 513)] {
                cases.append(Case(op, sample(dtype, [[m, k], [k, n]], ["left_batch": .ints([]), "right_batch": .ints([]), "left_reduce": .ints([1]),
                                                                      "right_reduce": .ints([0])])))
            }
            // Few rows by columns that lie either way.
            for (m, k, n) in [(1, 517, 261), (2, 133, 67), (5, 129, 77), (16, 65, 64), (20, 67, 101)] {
                for shape in [[k, n], [n, k]] {
                    cases.append(Case(op, sample(dtype, [[m, k], shape], ["left_batch": .ints([]), "right_batch": .ints([]), "left_reduce": .ints([1]),
                                                                          "right_reduce": .ints([shape == [k, n] ? 0 : 1])])))
                }
            }
            cases.append(Case(op, sample(dtype, [[3, 1, 131], [3, 131, 67]], ["left_batch": .ints([0]), "right_batch": .ints([0]),
                                                                              "left_reduce": .ints([2]), "right_reduce": .ints([1])])))
            cases.append(Case(op, sample(dtype, [[131, 67], [131, 2]], ["left_batch": .ints([]), "right_batch": .ints([]), "left_reduce": .ints([0]),
                                                                        "right_reduce": .ints([0])])))
            cases.append(Case(op, sample(dtype, [[9, 33, 65], [9, 65, 33]], ["left_batch": .ints([0]), "right_batch": .ints([0]),
                                                                              "left_reduce": .ints([2]), "right_reduce": .ints([1])])))
        }
        if let op = Catalogue.op(named: "convolution") {
            cases.append(Case(op, sample(dtype, [[4, 7, 19, 19], [33, 7, 3, 3]], ["strides": .ints([1, 1]), "low": .dims([1, 1]), "high": .dims([1, 1]),
                                                                                  "dilations": .ints([1, 1]), "groups": .int(1)])))
        }
        return cases
    }

    @Test(arguments: dtypes) func theSameBitsOnEveryThreadCount(_ dtype: DType) throws {
        let before = Threads.count
        defer { try? Threads.set(before) }
        let cases = Self.cases(dtype)
        try Threads.set(2)
        // Every case against the interpreter, on two threads.
        #expect(checkKernels(cases) == cases.count)
        let batch = try Batch(cases)
        let compiled = try Compiled(batch.graph)
        let inputs = try batch.draw(seed: 11, symbols: [:]).flatMap { $0 }
        let two = try compiled.run(inputs)
        for threads in [2, 1, 0, 2] {
            try Threads.set(threads)
            let again = try compiled.run(inputs)
            for (number, (a, b)) in zip(again, two).enumerated() {
                #expect(a.bytes == b.bytes, "\(cases[number].label) on \(threads) threads")
            }
        }
        // A second compilation is the same program.
        let other = try Compiled(batch.graph).run(inputs)
        #expect(zip(other, two).allSatisfy { $0.bytes == $1.bytes })
        print("threads: \(cases.count) cases of \(dtype), 6 runs each")
    }
}
