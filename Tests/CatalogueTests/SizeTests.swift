// Beyond the samples: sizes that are no multiple of any vector or tile, operands that are views, and the numbers at which kernels go wrong.

import KilnIR
import KilnOps
import Testing

struct SizeTests {
    // MARK: Elementwise

    private static let lengths = [0, 1, 7, 17, 33, 65, 129]

    /// Every elementwise op on special numbers at odd sizes, plain and through views that fuse into the kernel.
    @Test(arguments: Runner.all) func elementwiseKernels(_ runner: Runner) async {
        let cases = await countingOverOps { op in
            try op.dtypes.reduce(0) { sum, dtype in
                sum + checkKernels(try op.samples(dtype).flatMap { try Self.elementwise(op, dtype, $0) }, on: runner)
            }
        }
        print("elementwise at odd sizes on \(runner.testDescription): \(cases) cases")
        #expect(cases > 5000)
    }

    /// The cases that a sample gives: one for each length, one for each view; a long one in which all pairs of special numbers come up.
    private static func elementwise(_ op: OpDefinition, _ dtype: DType, _ sample: OpSample) throws -> [Case] {
        let context = OpContext(op: op, operands: sample.operands, attributes: sample.attributes, regions: sample.regions)
        guard case .elementwise = try op.form(context), let first = sample.operands.first, first.shape == [2, 3],
              sample.operands.allSatisfy({ $0.shape == first.shape }), !op.attributeNames.contains("shape") else { return [] }
        func make(_ shape: Shape, _ view: InputView = .plain, _ numbers: Case.Numbers = .special) -> Case {
            var changed = sample
            changed.operands = sample.operands.map { $0.with(shape: shape) }
            // The first operand is a view, the others are not: kernels then read at several strides.
            return Case(op, changed, views: sample.operands.indices.map { $0 == 0 || $0 == 2 ? view : .plain }, numbers: numbers)
        }
        let isMain = dtype == .f32 || dtype == .i32 || dtype == .bool
        let plain = (isMain ? lengths : [65]).map { make([.constant($0)]) }
        let views = InputView.allCases.filter { $0 != .plain }.map { make([5, 33], $0) }
        return plain + views + [make([31, 37]), make([3, 17], .permuted, .drawn)]
    }

    // MARK: Reductions and scans

    /// Every reduction along rows and columns of odd sizes.
    @Test(arguments: Runner.all) func reductions(_ runner: Runner) async {
        let cases = await countingOverOps { op in
            guard op.attributeNames.contains("axes"), try Self.isReduction(op) else { return 0 }
            return try op.dtypes.reduce(0) { sum, dtype in
                var cases: [Case] = []
                let shapes: [[Int]] = [[1, 1], [3, 17], [33, 65], [129, 7], [2, 129], [17, 1]]
                for shape in shapes {
                    for axis in [0, 1] { cases.append(Self.reduction(op, dtype, shape, [axis])) }
                }
                for view in InputView.allCases { for axis in [0, 1] { cases.append(Self.reduction(op, dtype, [9, 33], [axis], view)) } }
                cases += [Self.reduction(op, dtype, [5, 7, 9], [1]), Self.reduction(op, dtype, [0, 5], [1]), Self.reduction(op, dtype, [1031], [0])]
                if try Self.takesSeveralAxes(op, dtype) {
                    cases += [Self.reduction(op, dtype, [5, 7, 9], [0, 2]), Self.reduction(op, dtype, [5, 7, 9], [1, 2], .permuted),
                              Self.reduction(op, dtype, [17, 65], [0, 1])]
                }
                return sum + checkKernels(cases, on: runner)
            }
        }
        print("reductions at odd sizes on \(runner.testDescription): \(cases) cases")
        #expect(cases > 2000)
    }

    private static func form(_ op: OpDefinition) throws -> Form? {
        guard let dtype = op.dtypes.first, let sample = op.samples(dtype).first else { return nil }
        return try op.form(OpContext(op: op, operands: sample.operands, attributes: sample.attributes, regions: sample.regions))
    }

    private static func isReduction(_ op: OpDefinition) throws -> Bool {
        if case .reduce = try form(op) { true } else { false }
    }

    private static func takesSeveralAxes(_ op: OpDefinition, _ dtype: DType) throws -> Bool {
        op.samples(dtype).contains { $0.attributes.ints("axes").count > 1 }
    }

    /// Sums and products get terms whose roundings stay bounded; what only compares gets every special number.
    private static func numbers(_ op: OpDefinition) -> Case.Numbers {
        switch try? form(op) {
        case .reduce(.sum, _), .scan(.sum, _, _, _): .specialTerms
        case .reduce(.product, _), .scan(.product, _, _, _): .drawn
        default: .special
        }
    }

    private static func reduction(_ op: OpDefinition, _ dtype: DType, _ shape: [Int], _ axes: [Int], _ view: InputView = .plain) -> Case {
        // Factors near 1 keep a product of many within f16.
        let sample = OpSample([TensorType(dtype, shape.map { .constant($0) })], ["axes": .ints(axes)], domain: 0.97...1.03)
        return Case(op, sample, views: [view], numbers: numbers(op))
    }

    @Test(arguments: Runner.all) func scans(_ runner: Runner) async {
        let cases = await countingOverOps { op in
            guard case .scan = try Self.form(op) else { return 0 }
            return op.dtypes.reduce(0) { sum, dtype in
                var cases: [Case] = []
                for (number, (shape, axis)) in [([17], 0), ([3, 65], 1), ([129, 5], 0), ([2, 33, 7], 1), ([1, 1], 1), ([2, 0, 3], 1)].enumerated() {
                    for view in InputView.allCases {
                        let type = TensorType(dtype, shape.map { Dim.constant($0) })
                        guard view.input(type) != nil else { continue }
                        let sample = OpSample([type], ["axis": .int(axis), "reverse": .bool(number % 2 == 1), "exclusive": .bool(view == .permuted)],
                                              domain: 0.97...1.03)
                        cases.append(Case(op, sample, views: [view], numbers: Self.numbers(op)))
                    }
                }
                return sum + checkKernels(cases, on: runner)
            }
        }
        print("scans at odd sizes on \(runner.testDescription): \(cases) cases")
        #expect(cases > 1000)
    }

    // MARK: Contractions

    private static let products: [(m: Int, k: Int, n: Int)] = [
        (1, 1, 1), (17, 33, 65), (33, 129, 17), (65, 7, 33), (1, 65, 1), (129, 1, 3), (5, 0, 3), (0, 3, 4), (1, 17, 65), (65, 17, 1), (13, 3, 129),
    ]

    /// Matrix products of odd sizes, operands as they are, transposed and through views, with and without a batch.
    @Test(arguments: DType.numbers, Runner.all) func contractions(_ dtype: DType, _ runner: Runner) throws {
        let op = try #require(Catalogue.op(named: "contract"))
        var cases: [Case] = []
        for (number, size) in Self.products.enumerated() {
            let (m, k, n) = (Dim.constant(size.m), Dim.constant(size.k), Dim.constant(size.n))
            func add(_ left: Shape, _ right: Shape, _ reduce: ([Int], [Int]), _ batch: [Int] = [], _ views: [InputView] = [.plain, .plain]) {
                let types = [TensorType(dtype, left), TensorType(dtype, right)]
                guard zip(types, views).allSatisfy({ $1.input($0) != nil }) else { return }
                cases.append(Case(op, OpSample(types, ["left_batch": .ints(batch), "right_batch": .ints(batch), "left_reduce": .ints(reduce.0),
                                                       "right_reduce": .ints(reduce.1)]), views: views))
            }
            add([m, k], [k, n], ([1], [0]))
            add([m, k], [n, k], ([1], [1]))
            add([k, m], [k, n], ([0], [0]))
            add([m, k], [k, n], ([1], [0]), [], [.sliced, .broadcast])
            add([m, k], [k, n], ([1], [0]), [], [.padded, .reversed])
            if number < 4 { add([3, m, k], [3, k, n], ([2], [1]), [0], number == 1 ? [.permuted, .plain] : [.plain, .plain]) }
        }
        let count = checkKernels(cases, on: runner)
        print("contractions at odd sizes on \(runner.testDescription): \(count) cases of \(dtype)")
        #expect(count > 40)
    }

    /// Images and channels of odd sizes.
    @Test(arguments: [DType.f32, .f64, .bf16, .i32], Runner.all) func convolutions(_ dtype: DType, _ runner: Runner) throws {
        let op = try #require(Catalogue.op(named: "convolution"))
        var cases: [Case] = []
        func add(_ image: [Int], _ weight: [Int], _ stride: Int, _ pad: Int, _ dilation: Int, _ groups: Int, _ view: InputView = .plain) {
            let axes = image.count - 2
            let sample = OpSample([TensorType(dtype, image.map { .constant($0) }), TensorType(dtype, weight.map { .constant($0) })],
                                  ["strides": .ints(Array(repeating: stride, count: axes)), "low": .dims(Array(repeating: .constant(pad), count: axes)),
                                   "high": .dims(Array(repeating: .constant(pad), count: axes)), "dilations": .ints(Array(repeating: dilation, count: axes)),
                                   "groups": .int(groups)])
            cases.append(Case(op, sample, views: [view, .plain]))
        }
        add([2, 5, 9, 17], [17, 5, 3, 3], 1, 1, 1, 1)
        add([1, 1, 33, 7], [3, 1, 5, 5], 1, 2, 1, 1)
        add([3, 6, 11, 13], [9, 2, 3, 2], 2, 1, 1, 3)
        add([1, 7, 9, 9], [7, 1, 3, 3], 1, 1, 1, 7)
        add([2, 3, 17, 9], [5, 3, 3, 3], 1, 2, 2, 1, .permuted)
        add([2, 3, 9, 9], [5, 3, 1, 1], 1, 0, 1, 1, .sliced)
        add([2, 3, 65], [33, 3, 4], 3, 1, 2, 1)
        add([1, 2, 5, 6, 7], [3, 2, 2, 3, 2], 1, 1, 1, 1)
        let count = checkKernels(cases, on: runner)
        print("convolutions at odd sizes on \(runner.testDescription): \(count) cases of \(dtype)")
        #expect(count == cases.count)
    }
}
