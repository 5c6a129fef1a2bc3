// Operators that bring values to mean zero and variance one, or to a norm of one: over the batch, channels, groups or the last axes.

import KilnIR
import KilnOps

extension Operators {
    static let normalizations: [Operator] = [
        Operator("BatchNormalization", items: batchNormalization),
        Operator("InstanceNormalization") { node in
            let x = try node.tensor(0), wide = x.inSingle
            return try affine(wide.normalized(x.spatialAxes, node.epsilon).values, node).cast(to: x.dtype)
        },
        Operator("GroupNormalization") { node in
            let x = try node.tensor(0), groups = Dim.constant(try node.count("num_groups", 1))
            let parts = try node.stashed(x).reshaping(to: [x.size(axis: 0), groups, x.size(axis: 1) / groups] + x.dims.dropFirst(2))
            let normal = parts.normalized(parts.spatialAxes, node.epsilon).values
            // Before version 21, a scale and a shift were a group's.
            return try node.version >= 21 ? affine(normal.reshaping(to: x.dims).cast(to: x.dtype), node)
                : affine(normal.cast(to: x.dtype), node).reshaping(to: x.dims)
        },
        Operator("LayerNormalization", items: { node in
            let x = try node.tensor(0)
            let (normal, mean, inverse) = try node.stashed(x).normalized(try node.lastAxes(x), node.epsilon)
            var result = normal.cast(to: x.dtype) * (try node.tensor(1))
            if let bias = try node.tensorIfPresent(2) { result = result + bias }
            return [.tensor(result), .tensor(mean), .tensor(inverse)]
        }),
        Operator("RMSNormalization") { node in
            let x = try node.tensor(0), scale = try node.tensor(1)
            return try node.stashed(x).normalizedByRoot(try node.lastAxes(x), node.epsilon).values.cast(to: scale.dtype) * scale
        },
        simplifiedLayerNormalization(.onnx),
        simplifiedLayerNormalization(.microsoft),
        Operator("SkipLayerNormalization", .microsoft, items: { node in
            let sum = try skipSum(node, bias: 4), (normal, mean, inverse) = sum.inSingle.normalized([sum.rank - 1], node.real("epsilon", 1e-12))
            var result = normal * (try node.tensor(2).inSingle)
            if let beta = try node.tensorIfPresent(3) { result = result + beta.inSingle }
            return [.tensor(result.cast(to: sum.dtype)), .tensor(mean), .tensor(inverse), .tensor(sum)]
        }),
        Operator("SkipSimplifiedLayerNormalization", .microsoft, items: { node in
            let sum = try skipSum(node, bias: 3), (normal, inverse) = sum.inSingle.normalizedByRoot([sum.rank - 1], node.real("epsilon", 1e-12))
            let result = normal * (try node.tensor(2).inSingle)
            return [.tensor(result.cast(to: sum.dtype)), .absent, .tensor(inverse), .tensor(sum)]
        }),
        Operator("EmbedLayerNormalization", .microsoft, items: embedding),
        Operator("MeanVarianceNormalization") { node in
            let x = try node.tensor(0), wide = x.inSingle
            let axes = try (node.integers("axes") ?? [0, 2, 3]).map { try node.axis($0, rank: x.rank) }
            let centered = wide - wide.mean(axes, keepDims: true)
            return (centered / (centered.square().mean(axes, keepDims: true).sqrt() + 1e-9)).cast(to: x.dtype)
        },
        // Where all is zero, so is the result.
        Operator("LpNormalization") { node in
            let x = try node.tensor(0), wide = x.inSingle, axis = try node.axis(node.integer("axis", -1), rank: x.rank)
            let norm = node.integer("p", 2) == 1 ? wide.abs().sum(axis, keepDims: true) : wide.square().sum(axis, keepDims: true).sqrt()
            return (wide / (norm .== 0).select(1, norm)).cast(to: x.dtype)
        },
        Operator("LRN") { node in
            let x = try node.tensor(0), wide = x.inSingle, size = try node.count("size", 1)
            // The channels last, as one axis of windows.
            let window = SlidingWindow([size], low: [.constant((size - 1) / 2)], high: [.constant(size / 2)])
            let means = wide.square().movingAxis(1, to: x.rank - 1).averagePooling(window).movingAxis(x.rank - 1, to: 1)
            return (wide / (means * node.real("alpha", 1e-4) + node.real("bias", 1)).pow(node.real("beta", 0.75))).cast(to: x.dtype)
        },
    ]

    private static func simplifiedLayerNormalization(_ domain: Domain) -> Operator {
        Operator("SimplifiedLayerNormalization", domain, items: { node in
            let x = try node.tensor(0), scale = try node.tensor(1)
            let (normal, inverse) = try node.stashed(x).normalizedByRoot(try node.lastAxes(x), node.epsilon)
            return [.tensor(normal.cast(to: scale.dtype) * scale), .tensor(inverse)]
        })
    }

    /// Before version 14 a node trained where it gave statistics (before 7, where `is_test` was not set); until 9 they could be
    /// those of each position.
    private static func batchNormalization(_ node: NodeContext) throws -> [Item] {
        let x = try node.tensor(0), wide = x.inSingle
        let channels = node.version < 9 && !node.flag("spatial", true) ? Array(1..<max(x.rank, 1)) : [1]
        let spread = { (value: Value) in
            value.inSingle.reshaping(to: x.dims.indices.map { channels.contains($0) ? x.size(axis: $0) : 1 })
        }
        var (mean, variance) = (spread(try node.tensor(3)), spread(try node.tensor(4)))
        var running: [Item] = []
        let isTraining = node.version >= 14 ? node.flag("training_mode") : node.version >= 7 ? node.wants(1) : !node.flag("is_test")
        if isTraining {
            let axes = x.dims.indices.filter { !channels.contains($0) }, momentum = node.real("momentum", 0.9)
            let own = wide.mean(axes, keepDims: true)
            let ownVariance = (wide - own).square().mean(axes, keepDims: true)
            let input = try node.tensor(3)
            running = [(mean, own), (variance, ownVariance)].map { old, new in
                .tensor((old * momentum + new * (1 - momentum)).reshaping(to: input.dims).cast(to: input.dtype))
            }
            (mean, variance) = (own, ownVariance)
            // Versions before 14 also give the statistics by themselves.
            running += [own, ownVariance].map { .tensor($0.reshaping(to: input.dims).cast(to: input.dtype)) }
        }
        let scale = spread(try node.tensor(1)) * (variance + node.epsilon).rsqrt(), shift = spread(try node.tensor(2))
        if !isTraining, try isNearZero(node, in: wide.dtype) {
            return [.tensor((wide * scale + (shift - mean * scale)).cast(to: x.dtype))]
        }
        return [.tensor(((wide - mean) * scale + shift).cast(to: x.dtype))] + running
    }

    /// Whether a batch normalization's means are constants that are small beside the deviations, so that little is lost where the mean is
    /// taken away after the scale, as part of the shift. Then the scale can become part of a convolution's weights.
    private static func isNearZero(_ node: NodeContext, in dtype: DType) throws -> Bool {
        guard let means = node.literalIfKnown(try node.tensor(3)), let variances = node.literalIfKnown(try node.tensor(4)), means.count == variances.count else { return false }
        // So many times the rounding of a result of 1 is what may be lost: 1e-5 in f32.
        let bound = 128.0 * (dtype == .f64 ? 0x1p29 : 1), epsilon = node.epsilon
        return (0..<means.count).allSatisfy { abs(means[$0].double) <= bound * (variances[$0].double + epsilon).squareRoot() }
    }

    /// Times a scale plus a shift (inputs 1 and 2) for each position of axis 1.
    private static func affine(_ x: Value, _ node: NodeContext) throws -> Value {
        func spread(_ number: Int) throws -> Value {
            try node.tensor(number).cast(to: x.dtype).appendingAxes(x.rank - 2)
        }
        return x * (try spread(1)) + (try spread(2))
    }

    /// The sum of inputs 0 and 1 and a bias, in the inputs' type.
    private static func skipSum(_ node: NodeContext, bias: Int) throws -> Value {
        let x = try node.tensor(0)
        let sum = x + (try node.tensor(1))
        return try node.tensorIfPresent(bias).map { sum + $0 } ?? sum
    }

    /// Words', positions' and segments' rows of three tables, added up and normalized.
    private static func embedding(_ node: NodeContext) throws -> [Item] {
        let words = try node.tensor(0)
        func rows(_ table: Value, _ numbers: Value) -> Value {
            table.embedding(node.checked(numbers, below: table.size(axis: 0), axis: 0, countsFromEnd: false))
        }
        var sum = rows(try node.tensor(2), words)
        let positions = try node.tensor(3)
        sum = sum + (try node.tensorIfPresent(8).map { rows(positions, $0) } ?? positions.narrow(0, start: 0, length: words.size(axis: 1)))
        if let segments = try node.tensorIfPresent(1), let table = try node.tensorIfPresent(4) { sum = sum + rows(table, segments) }
        let normal = sum.inSingle.normalized([sum.rank - 1], node.real("epsilon", 1e-12)).values
        let result = normal * (try node.tensor(5).inSingle) + (try node.tensor(6).inSingle)
        let counts = try node.tensorIfPresent(7).map { ($0 .== 1).cast(to: .i32).sum(1) } ?? node.full(0, TensorType(.i32, [words.size(axis: 0)]))
        return [.tensor(result.cast(to: sum.dtype)), .tensor(counts), .tensor(sum)]
    }
}

extension NodeContext {
    fileprivate var epsilon: Double { real("epsilon", 1e-5) }

    /// The axes from the attribute `axis` on.
    fileprivate func lastAxes(_ x: Value) throws -> [Int] { Array(try axis(integer("axis", -1), rank: x.rank)..<x.rank) }

    /// In the type that statistics are computed in.
    fileprivate func stashed(_ x: Value) throws -> Value {
        guard let dtype = try (element("stash_type") ?? .float).dtype, dtype.isFloat else { throw mistake("can't compute statistics in that type") }
        return x.cast(to: dtype)
    }
}

extension Value {
    /// Narrow floats in f32.
    var inSingle: Value { dtype.isFloat && dtype.byteCount < 4 ? cast(to: .f32) : self }

    /// With mean zero and variance one over the axes; and the mean, and one over the deviation, with the axes of size 1.
    fileprivate func normalized(_ axes: [Int], _ epsilon: Double) -> (values: Value, mean: Value, inverse: Value) {
        let mean = mean(axes, keepDims: true), centered = self - mean
        let inverse = (centered.square().mean(axes, keepDims: true) + epsilon).rsqrt()
        return (centered * inverse, mean, inverse)
    }

    /// With a mean square of one over the axes; and one over its root.
    fileprivate func normalizedByRoot(_ axes: [Int], _ epsilon: Double) -> (values: Value, inverse: Value) {
        let inverse = (square().mean(axes, keepDims: true) + epsilon).rsqrt()
        return (self * inverse, inverse)
    }
}
