// Scans: each element combined with those before it along an axis. In comes a tensor, out goes one of its type.
// Sums and products of f16 and bf16 are kept in f32, each element rounded once; integers wrap.

import KilnIR

extension Structural {
    static let scans = [scanSum, scanProduct, scanMax, scanMin]

    public static let scanSum: OpDefinition = scan("scan_sum", .sum) { pull in
        pull.cotangent.scanning(scanSum, axis: pull.attributes.int("axis"), reverse: !pull.attributes.bool("reverse"),
                                exclusive: pull.attributes.bool("exclusive"))
    }

    public static let scanProduct: OpDefinition = scan("scan_product", .product) { pull in
        forward(pull) { operand, cotangent, axis in
            let before = operand.scanning(scanProduct, axis: axis, exclusive: true)
            return before.multiplied(by: suffixSums(of: cotangent, by: operand, axis: axis))
        }
    }

    /// The gradient goes to the latest of equal greatest elements, as `torch.cummax`.
    public static let scanMax: OpDefinition = scan("scan_max", .maximum) { pull in
        forward(pull) { operand, cotangent, axis in recordGradient(operand, cotangent, axis, scanMax) }
    }

    /// The gradient goes to the latest of equal least elements, as `torch.cummin`.
    public static let scanMin: OpDefinition = scan("scan_min", .minimum) { pull in
        forward(pull) { operand, cotangent, axis in recordGradient(operand, cotangent, axis, scanMin) }
    }

    /// An exclusive scan leaves the element itself out and begins with the identity: 0, 1, or the least or greatest number.
    private static func scan(_ name: String, _ kind: ReductionKind,
                             pullback: @escaping @Sendable (PullbackContext) throws -> Value) -> OpDefinition {
        OpDefinition(name, attributes: ["axis", "reverse", "exclusive"], dtypes: DType.numbers,
                     rule: { rule in
                         try rule.demandDType(in: DType.numbers)
                         _ = try rule.axis()
                         return [rule.operand]
                     },
                     form: { context in
                         let attributes = context.attributes
                         return .scan(kind, axis: attributes.int("axis"), reverse: attributes.bool("reverse"), exclusive: attributes.bool("exclusive"))
                     },
                     pullback: { [try pullback($0)] },
                     samples: scanSamples)
    }

    /// The reverse rule of an inclusive forward scan made into that of any: reversed along the axis, and moved by one.
    private static func forward(_ pull: PullbackContext, _ rule: (Value, Value, Int) throws -> Value) rethrows -> Value {
        let axis = pull.attributes.int("axis")
        let flipped = pull.attributes.bool("reverse") ? [axis] : []
        var cotangent = pull.cotangent.flipping(flipped)
        if pull.attributes.bool("exclusive") {
            var (low, high) = (cotangent.dims.map { _ in Dim.constant(0) }, cotangent.dims.map { _ in Dim.constant(0) })
            (low[axis], high[axis]) = (-1, 1)
            if cotangent.dims[axis] != 0 { cotangent = cotangent.padding(low: low, high: high) }
        }
        return try rule(pull.operand.flipping(flipped), cotangent, axis).flipping(flipped)
    }

    /// At `j` the sum over `i >= j` of `terms[i]` times the factors after `j` up to `i`; no division, so zeros are no trouble.
    ///
    /// The recurrence `s[j] = terms[j] + factors[j + 1] * s[j + 1]` by doubling, in as many rounds as the size has bits. An axis
    /// whose size is a symbol takes all pairs instead.
    private static func suffixSums(of terms: Value, by factors: Value, axis: Int) -> Value {
        guard let size = terms.dims[axis].constant else { return pairwiseSuffixSums(of: terms, by: factors, axis: axis) }
        let shifted = { (value: Value, count: Int) -> Value in
            var (low, high) = (value.dims.map { _ in Dim.constant(0) }, value.dims.map { _ in Dim.constant(0) })
            (low[axis], high[axis]) = (.constant(-count), .constant(count))
            return value.padding(low: low, high: high)
        }
        if size <= 1 { return terms }
        var (sums, products) = (terms, shifted(factors, 1))
        var reach = 1
        while reach < size {
            sums = sums.added(products.multiplied(by: shifted(sums, reach)))
            reach *= 2
            if reach < size { products = products.multiplied(by: shifted(products, reach / 2)) }
        }
        return sums
    }

    private static func pairwiseSuffixSums(of terms: Value, by factors: Value, axis: Int) -> Value {
        let shape = terms.dims
        var square = shape
        square.insert(shape[axis], at: axis)
        // Axis `axis` is j, the next one i.
        let spread = { (value: Value) in value.broadcasting(to: square, axes: shape.indices.map { $0 < axis ? $0 : $0 + 1 }) }
        let (j, i) = (terms.iota(.i64, square, axis: axis), terms.iota(.i64, square, axis: axis + 1))
        let factor = spread(factors)
        let products = factor.chosen(where: i.compared(Elementwise.gt, j), else: factor.filled(1)).scanning(scanProduct, axis: axis + 1)
        return spread(terms).multiplied(by: products).kept(where: i.compared(Elementwise.ge, j)).reducing(reduceSum, [axis + 1])
    }

    /// The gradient of a running extreme: each element's goes to the latest element that was the extreme.
    private static func recordGradient(_ operand: Value, _ cotangent: Value, _ axis: Int, _ op: OpDefinition) -> Value {
        let isRecord = operand.compared(Elementwise.eq, operand.scanning(op, axis: axis))
        let place = operand.iota(.i64, operand.dims, axis: axis).kept(where: isRecord).scanning(scanMax, axis: axis)
        return operand.filled(0).scattering(scatterAlongAdd, cotangent, place, axis: axis)
    }

    private static func scanSamples(_ dtype: DType) -> [OpSample] {
        let sample = { (shape: Shape, axis: Int, reverse: Bool, exclusive: Bool) in
            OpSample([TensorType(dtype, shape)], ["axis": .int(axis), "reverse": .bool(reverse), "exclusive": .bool(exclusive)])
        }
        return [sample([3, 7], 1, false, false), sample([5, 3], 0, true, false), sample([2, 5, 3], 1, false, true),
                sample([9], 0, true, true), sample(["n", 5], 1, false, false), sample([3, 1], 1, false, true), sample([0, 3], 1, false, false),
                sample([3, 0], 1, false, true)]
    }
}

extension Operand {
    /// A scan along an axis.
    public func scanning(_ op: OpDefinition, axis: Int, reverse: Bool = false, exclusive: Bool = false,
                         at location: SourceLocation = .unknown) -> Self {
        .apply(op, self, attributes: ["axis": .int(axis), "reverse": .bool(reverse), "exclusive": .bool(exclusive)], at: location)
    }

    /// The sums up to each element along an axis.
    public func cumsum(_ axis: Int, reverse: Bool = false, exclusive: Bool = false, file: StaticString = #fileID, line: UInt = #line) -> Self {
        scanning(Structural.scanSum, axis: counted(axis), reverse: reverse, exclusive: exclusive, at: SourceLocation(file, line))
    }

    /// The products up to each element along an axis.
    public func cumprod(_ axis: Int, reverse: Bool = false, exclusive: Bool = false, file: StaticString = #fileID, line: UInt = #line) -> Self {
        scanning(Structural.scanProduct, axis: counted(axis), reverse: reverse, exclusive: exclusive, at: SourceLocation(file, line))
    }

    /// The greatest element up to each along an axis.
    public func cummax(_ axis: Int, reverse: Bool = false, file: StaticString = #fileID, line: UInt = #line) -> Self {
        scanning(Structural.scanMax, axis: counted(axis), reverse: reverse, at: SourceLocation(file, line))
    }

    /// The least element up to each along an axis.
    public func cummin(_ axis: Int, reverse: Bool = false, file: StaticString = #fileID, line: UInt = #line) -> Self {
        scanning(Structural.scanMin, axis: counted(axis), reverse: reverse, at: SourceLocation(file, line))
    }
}
