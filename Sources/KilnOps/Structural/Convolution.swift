// Convolution over spatial axes, as one sum of products over the iteration space. In come images [n, c, …] and
// weights [o, c / groups, …]; out go images [n, o, …]. Padding is read as zeros and never stored.

import KilnIR

extension Structural {
    /// What PyTorch calls convolution (no flip). `low` and `high` may be negative, and take away then.
    public static let convolution = OpDefinition(
        "convolution", operandCount: 2, attributes: ["strides", "low", "high", "dilations", "groups"], dtypes: DType.numbers,
        rule: { rule in
            let window = try ConvolutionWindow(&rule)
            let shape = [rule.operands[0].shape[0], rule.operands[1].shape[0]] + window.extents(rule.operands[0].shape)
            return [TensorType(try contractedDType(&rule), shape)]
        },
        form: { context in .contract(ConvolutionWindow(context).contraction(context)) },
        pullback: { [inputGradient($0), weightGradient($0)] },
        samples: { convolutionSamples($0) })

    /// The cotangent, with zeros between for the strides, convolved with the weights flipped and with their channels exchanged.
    private static func inputGradient(_ pull: PullbackContext) -> Value {
        let window = ConvolutionWindow(pull.context)
        let (input, weight) = (pull.operands[0], pull.operands[1])
        let groups = Dim.constant(window.groups), kernel = Array(weight.dims[2...])
        let (outputs, channels) = (weight.dims[0] / groups, weight.dims[1])
        let spatial = Array(2..<weight.rank)
        let turned = weight.reshaping(to: [groups, outputs, channels] + kernel)
            .permuting([0, 2, 1] + spatial.map { $0 + 1 })
            .reshaping(to: [groups * channels, outputs] + kernel)
            .flipping(spatial)
        let spaced = pull.cotangent.dilating(spatial, by: window.strides)
        let low = window.low.indices.map { window.spans[$0] - 1 - window.low[$0] }
        let high = window.low.indices.map { input.dims[2 + $0] - spaced.dims[2 + $0] + window.low[$0] }
        return spaced.convolving(turned, strides: spatial.map { _ in 1 }, low: low, high: high, dilations: window.dilations, groups: window.groups)
    }

    /// The cotangent contracted with the windows that the forward pass saw.
    private static func weightGradient(_ pull: PullbackContext) -> Value {
        let window = ConvolutionWindow(pull.context)
        let (input, weight, cotangent) = (pull.operands[0], pull.operands[1], pull.cotangent)
        let count = window.low.count
        let sizes = weight.dims[2...].map { $0.constant ?? 1 }
        let padded = input.padding(low: [0, 0] + window.low, high: [0, 0] + window.high)
        if window.groups == 1 {
            let seen = padded.windowing(Array(2..<2 + count), sizes: sizes, strides: window.strides, dilations: window.dilations)
            let summed = [0] + Array(2..<2 + count)
            return cotangent.contracting(seen, reduce: (summed, summed))
        }
        let groups = Dim.constant(window.groups)
        let split = { (value: Value) in
            value.reshaping(to: [value.dims[0], groups, value.dims[1] / groups] + Array(value.dims[2...]))
        }
        let seen = split(padded).windowing(Array(3..<3 + count), sizes: sizes, strides: window.strides, dilations: window.dilations)
        let summed = [0] + Array(3..<3 + count)
        return split(cotangent).contracting(seen, batch: ([1], [1]), reduce: (summed, summed)).reshaping(to: weight.dims)
    }

    private static func convolutionSamples(_ dtype: DType) -> [OpSample] {
        let sample = { (input: Shape, weight: Shape, strides: [Int], low: [Dim], high: [Dim], dilations: [Int], groups: Int) in
            OpSample([TensorType(dtype, input), TensorType(dtype, weight)],
                     ["strides": .ints(strides), "low": .dims(low), "high": .dims(high), "dilations": .ints(dilations), "groups": .int(groups)])
        }
        return [sample([2, 3, 7], [4, 3, 3], [1], [0], [0], [1], 1),
                sample(["n", 2, 5, 5], [3, 2, 3, 3], [1, 1], [1, 1], [1, 1], [1, 1], 1),
                sample([1, 4, 7, 6], [6, 2, 3, 2], [2, 1], [1, 0], [0, 2], [1, 2], 2),
                sample([2, 3, 5, 5], [3, 1, 2, 2], [2, 2], [0, 0], [0, 0], [1, 1], 3),
                sample([1, 1, 6], [1, 1, 2], [3], [-1], [2], [2], 1),
                sample([1, 2, 3, 4, 3], [2, 2, 2, 2, 2], [1, 2, 1], [0, 1, 0], [1, 0, 0], [1, 1, 2], 1),
                sample([0, 2, 5], [3, 2, 3], [1], [0], [0], [1], 1)]
    }
}

/// How a convolution's windows lie.
struct ConvolutionWindow {
    var strides: [Int], low: [Dim], high: [Dim], dilations: [Int], groups: Int
    /// The positions from a window's first to its last.
    var spans: [Dim]

    /// - Precondition: the context was checked.
    init(_ context: OpContext) {
        strides = context.attributes.ints("strides")
        low = context.attributes.dims("low")
        high = context.attributes.dims("high")
        dilations = context.attributes.ints("dilations")
        groups = context.attributes.int("groups")
        spans = zip(context.operands[1].shape.dropFirst(2), dilations).map { Structural.windowSpan($0.constant ?? 1, $1) }
    }

    init(_ rule: inout ShapeRule) throws {
        let (input, weight) = (rule.operands[0], rule.operands[1])
        try rule.demand(input.rank >= 3 && input.rank == weight.rank,
                        "images of \(input.rank) axes and weights of \(weight.rank) do not go together",
                        fix: "pass images [n, c, …] and weights [o, c / groups, …] with the same spatial axes, at least one")
        let count = input.rank - 2
        _ = try rule.ints("strides", count: count, each: "spatial axis")
        _ = try rule.dims("low", count: count, each: "spatial axis")
        _ = try rule.dims("high", count: count, each: "spatial axis")
        _ = try rule.ints("dilations", count: count, each: "spatial axis")
        guard case .int(let groups)? = rule.attributes["groups"], groups >= 1, groups < 1 << 40 else {
            throw rule.error("needs the attribute `groups`, at least 1", fix: "give `groups`")
        }
        try rule.demand(weight.shape[2...].allSatisfy { $0.constant != nil && $0 != 0 }, "the weights' window \(Array(weight.shape[2...]).text) is not fixed",
                        fix: "give weights whose spatial sizes are numbers of at least 1")
        self.init(rule.context)
        try rule.requireEqual(input.shape[1], weight.shape[1] * .constant(groups),
                              "the images have \(input.shape[1]) channels, the weights take \(weight.shape[1] * .constant(groups)) in \(groups) group\(groups == 1 ? "" : "s")",
                              fix: "give weights of shape [o, \(input.shape[1] / .constant(groups)), …]")
        try rule.requireEqual(weight.shape[0], weight.shape[0] / .constant(groups) * .constant(groups),
                              "\(weight.shape[0]) output channels do not divide into \(groups) groups", fix: "make them a multiple of the groups")
        for axis in 0..<count {
            let padded = input.shape[2 + axis] + low[axis] + high[axis]
            try rule.require(.isNonNegative(padded - spans[axis]), "a window spans \(spans[axis]) positions, spatial axis \(axis) has \(padded) with its padding",
                             fix: "pad the axis, or make the window smaller")
        }
    }

    /// The result's spatial sizes.
    func extents(_ input: Shape) -> [Dim] {
        low.indices.map { (input[2 + $0] + low[$0] + high[$0] - spans[$0]) / .constant(strides[$0]) + 1 }
    }

    /// Index variables: n, o, spatial…, then channel of the group, position in the window….
    func contraction(_ context: OpContext) -> Contraction {
        let (input, weight) = (context.operands[0].shape, context.operands[1].shape)
        let count = low.count
        let channel = Dim.index(2 + count)
        let group = groups == 1 ? 0 : Dim.index(1) / (weight[0] / .constant(groups))
        var indices = [.index(0), group * weight[1] + channel]
        var conditions: [IndexCondition] = []
        for axis in 0..<count {
            let place = Dim.index(2 + axis) * .constant(strides[axis]) + .index(3 + count + axis) * .constant(dilations[axis]) - low[axis]
            indices.append(place)
            if !IndexRanges.isNonNegative(-low[axis]) { conditions.append(.isNonNegative(place)) }
            if !IndexRanges.isNonNegative(-high[axis]) { conditions.append(.isNonNegative(input[2 + axis] - 1 - place)) }
        }
        let window = (0..<count).map { Dim.index(3 + count + $0) }
        return Contraction(sizes: [input[0], weight[0]] + extents(input) + [weight[1]] + weight[2...], outputRank: 2 + count,
                           left: .init(operand: 0, indices: indices, conditions: conditions),
                           right: .init(operand: 1, indices: [.index(1), channel] + window),
                           accumulator: Structural.accumulator(context.operands[0].dtype, result: context.operands[0].dtype))
    }
}

extension Operand {
    /// A convolution with everything spelled out.
    public func convolving(_ weight: Self, strides: [Int], low: [Dim], high: [Dim], dilations: [Int], groups: Int,
                           at location: SourceLocation = .unknown) -> Self {
        .apply(Structural.convolution, self, weight,
               attributes: ["strides": .ints(strides), "low": .dims(low), "high": .dims(high), "dilations": .ints(dilations), "groups": .int(groups)],
               at: location)
    }
}
