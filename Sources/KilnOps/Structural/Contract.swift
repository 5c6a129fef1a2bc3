// Contraction: sums of products over shared axes, the one op behind every matrix product. In come two operands and which of their
// axes go together; out goes a tensor of the batch axes, the left's free axes, the right's free axes.

import KilnIR

extension Structural {
    static let contractions = [contract, convolution]

    /// Pairs of axes in `left_batch`/`right_batch` stay; pairs in `left_reduce`/`right_reduce` are summed over. Products add up in f32
    /// for f32 and narrower floats, in f64 for f64, and wrap in the integers' own dtype; with the attribute `dtype`, in that, which is the result's.
    public static let contract = OpDefinition(
        "contract", operandCount: 2, attributes: ["left_batch", "right_batch", "left_reduce", "right_reduce", "dtype"],
        dtypes: DType.numbers + DType.floats8,
        rule: { rule in
            let axes = try ContractionAxes(&rule)
            let shape = axes.resultShape(rule.operands[0].shape, rule.operands[1].shape)
            return [TensorType(try contractedDType(&rule), shape)]
        },
        form: { context in .contract(ContractionAxes(context).contraction(context)) },
        pullback: { contractPullback($0) },
        samples: { contractSamples($0) })

    /// The result's dtype.
    static func contractedDType(_ rule: inout ShapeRule) throws -> DType {
        try rule.demandDType(in: DType.numbers + DType.floats8)
        let (left, right) = (rule.operands[0].dtype, rule.operands[1].dtype)
        try rule.demand(left == right, "the operands' dtypes differ: \(left) and \(right)", fix: "cast one of them")
        guard let wanted = rule.attributes.dtype("dtype") else { return left }
        try rule.demand(wanted != .bool && wanted.isFloat == left.isFloat && wanted.byteCount >= left.byteCount,
                        "can't give \(wanted) from \(left)", fix: "ask for the operands' dtype or a wider one of its kind")
        return wanted
    }

    /// The dtype that products of `operand` add up in.
    static func accumulator(_ operand: DType, result: DType) -> DType {
        if !operand.isFloat { return result }
        return operand == .f64 || result == .f64 ? .f64 : .f32
    }

    /// Each operand's gradient is the cotangent contracted with the other operand, its axes put back in place.
    private static func contractPullback(_ pull: PullbackContext) -> [Value?] {
        let axes = ContractionAxes(pull.context)
        let (left, right) = (pull.operands[0], pull.operands[1])
        let cotangent = pull.cotangent
        let batch = Array(axes.leftBatch.indices)
        let leftFree = axes.leftFree(left.rank), rightFree = axes.rightFree(right.rank)
        let leftPlaces = leftFree.indices.map { batch.count + $0 }
        let rightPlaces = rightFree.indices.map { batch.count + leftFree.count + $0 }
        // To the left: axes batch, left free, then the right's reduced axes in the right's order.
        let reducedByRight = axes.rightReduce.indices.sorted { axes.rightReduce[$0] < axes.rightReduce[$1] }.map { axes.leftReduce[$0] }
        let toLeft = cotangent.contracting(right.casting(to: cotangent.dtype), batch: (batch, axes.rightBatch), reduce: (rightPlaces, rightFree))
            .arranged(as: axes.leftBatch + leftFree + reducedByRight).casting(to: left.dtype)
        // To the right: axes batch, then the left's reduced axes in the left's order, then right free.
        let reducedByLeft = axes.leftReduce.indices.sorted { axes.leftReduce[$0] < axes.leftReduce[$1] }.map { axes.rightReduce[$0] }
        let toRight = left.casting(to: cotangent.dtype).contracting(cotangent, batch: (axes.leftBatch, batch), reduce: (leftFree, leftPlaces))
            .arranged(as: axes.rightBatch + reducedByLeft + rightFree).casting(to: right.dtype)
        return [toLeft, toRight]
    }

    private static func contractSamples(_ dtype: DType) -> [OpSample] {
        let sample = { (left: Shape, right: Shape, batch: ([Int], [Int]), reduce: ([Int], [Int])) in
            OpSample([TensorType(dtype, left), TensorType(dtype, right)],
                     ["left_batch": .ints(batch.0), "right_batch": .ints(batch.1), "left_reduce": .ints(reduce.0), "right_reduce": .ints(reduce.1)])
        }
        var samples = [sample([3, 5], [5, 7], ([], []), ([1], [0])),
                       sample(["n", 5], [7, 5], ([], []), ([1], [1])),
                       sample([2, 3, 5], [2, 5, 4], ([0], [0]), ([2], [1])),
                       sample([3, 2, 5, 4], [4, 7, 2, 3], ([1], [2]), ([3, 0], [0, 3])),
                       sample([5], [5], ([], []), ([0], [0])),
                       sample([3], [1], ([], []), ([], [])),
                       sample([3, 0], [0, 2], ([], []), ([1], [0])),
                       sample([0, 3], [3, 2], ([], []), ([1], [0]))]
        if let wide = [DType.i8: .i32, .u8: .i32, .f16: .f32, .bf16: .f32, .f8e4m3: .bf16, .f8e5m2: DType.f32][dtype] {
            var wider = samples[0]
            wider.attributes["dtype"] = .dtype(wide)
            samples.append(wider)
        }
        return samples
    }
}

/// Which axes of a contraction go together.
struct ContractionAxes {
    var leftBatch: [Int], rightBatch: [Int], leftReduce: [Int], rightReduce: [Int]

    /// - Precondition: the context was checked.
    init(_ context: OpContext) {
        leftBatch = context.attributes.ints("left_batch")
        rightBatch = context.attributes.ints("right_batch")
        leftReduce = context.attributes.ints("left_reduce")
        rightReduce = context.attributes.ints("right_reduce")
    }

    /// Checks the axes and that those that go together are equally long.
    init(_ rule: inout ShapeRule) throws {
        leftBatch = try rule.axes("left_batch", of: 0)
        rightBatch = try rule.axes("right_batch", of: 1)
        leftReduce = try rule.axes("left_reduce", of: 0)
        rightReduce = try rule.axes("right_reduce", of: 1)
        try rule.demand(leftBatch.count == rightBatch.count && leftReduce.count == rightReduce.count, "the axes do not go together in pairs",
                        fix: "name as many axes of the left operand as of the right")
        try rule.demand(Set(leftBatch + leftReduce).count == leftBatch.count + leftReduce.count
                            && Set(rightBatch + rightReduce).count == rightBatch.count + rightReduce.count,
                        "an axis is both kept and summed over", fix: "name each axis once")
        let (left, right) = (rule.operands[0].shape, rule.operands[1].shape)
        for (a, b) in zip(leftBatch + leftReduce, rightBatch + rightReduce) {
            try rule.requireEqual(left[a], right[b], "axis \(a) of the left operand has size \(left[a]), axis \(b) of the right has \(right[b])",
                                  fix: "make the two sizes equal; a matrix product takes [m, k] and [k, n]")
        }
    }

    func leftFree(_ rank: Int) -> [Int] { (0..<rank).filter { !leftBatch.contains($0) && !leftReduce.contains($0) } }
    func rightFree(_ rank: Int) -> [Int] { (0..<rank).filter { !rightBatch.contains($0) && !rightReduce.contains($0) } }

    func resultShape(_ left: Shape, _ right: Shape) -> Shape {
        leftBatch.map { left[$0] } + leftFree(left.count).map { left[$0] } + rightFree(right.count).map { right[$0] }
    }

    func contraction(_ context: OpContext) -> Contraction {
        let (left, right) = (context.operands[0], context.operands[1])
        let shape = resultShape(left.shape, right.shape)
        var leftIndices = left.shape, rightIndices = right.shape
        for (number, axis) in leftBatch.enumerated() { leftIndices[axis] = .index(number) }
        for (number, axis) in rightBatch.enumerated() { rightIndices[axis] = .index(number) }
        let leftFree = leftFree(left.rank)
        for (number, axis) in leftFree.enumerated() { leftIndices[axis] = .index(leftBatch.count + number) }
        for (number, axis) in rightFree(right.rank).enumerated() { rightIndices[axis] = .index(leftBatch.count + leftFree.count + number) }
        for (number, axis) in leftReduce.enumerated() { leftIndices[axis] = .index(shape.count + number) }
        for (number, axis) in rightReduce.enumerated() { rightIndices[axis] = .index(shape.count + number) }
        return Contraction(sizes: shape + leftReduce.map { left.shape[$0] }, outputRank: shape.count,
                           left: .init(operand: 0, indices: leftIndices), right: .init(operand: 1, indices: rightIndices),
                           accumulator: Structural.accumulator(left.dtype, result: context.attributes.dtype("dtype") ?? left.dtype))
    }
}

extension Operand {
    /// A contraction with pairs of axes that stay and pairs that are summed over.
    public func contracting(_ other: Self, batch: ([Int], [Int]) = ([], []), reduce: ([Int], [Int]), dtype: DType? = nil,
                            at location: SourceLocation = .unknown) -> Self {
        var attributes: Attributes = ["left_batch": .ints(batch.0), "right_batch": .ints(batch.1), "left_reduce": .ints(reduce.0),
                                      "right_reduce": .ints(reduce.1)]
        if let dtype { attributes["dtype"] = .dtype(dtype) }
        return .apply(Structural.contract, self, other, attributes: attributes, at: location)
    }

    /// The axes put in order, where axis `k` is to become axis `places[k]`.
    func arranged(as places: [Int], at location: SourceLocation = .unknown) -> Self {
        var axes = places
        for (axis, place) in places.enumerated() { axes[place] = axis }
        return permuting(axes, at: location)
    }
}
