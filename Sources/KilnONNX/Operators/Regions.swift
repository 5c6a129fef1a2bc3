// Pools over regions of images that another input names.

import KilnIR
import KilnOps

extension Operators {
    static let regions: [Operator] = [
        Operator("RoiAlign") { try RegionAlignment($0).pooled() },
        Operator("MaxRoiPool") { try maxPooledRegions($0) },
    ]

    /// The greatest elements of each bin of each region, whose corners are rounded; 0 for bins without elements.
    private static func maxPooledRegions(_ node: NodeContext) throws -> Value {
        let x = try node.tensor(0), regions = computing(try node.tensor(1))
        guard let bins = node.integers("pooled_shape"), bins.count == 2, bins.allSatisfy({ $0 > 0 && $0 < 1 << 31 }), x.rank == 4, regions.rank == 2,
            regions.size(axis: 1) == 5 else {
            throw node.mistake("pools regions \(regions.dims) of images \(x.dims) to \(node.integers("pooled_shape") ?? [])")
        }
        let count = regions.size(axis: 0), scale = node.real("spatial_scale", 1)
        let column = { (number: Int) in regions.select(axis: 1, index: number) }
        var result = x.take(column(0).cast(to: .i64), axis: 0)
        let lowest = x.dtype == .f64 ? -Double.greatestFiniteMagnitude : -.infinity
        var isEmpty: Value?
        for axis in 0..<2 {
            let bin = Dim.constant(bins[axis]), size = x.size(axis: 2 + axis)
            let first = (column(2 - axis) * scale + 0.5).floor(), last = (column(4 - axis) * scale + 0.5).floor()
            let step = ((last - first + 1.0).maximum(1.0) / Double(bins[axis])).broadcasting(to: [count, bin], axes: [0])
            let number = step.iota(step.dtype, [count, bin], axis: 1), origin = first.broadcasting(to: [count, bin], axes: [0])
            let extent = node.sizes([size]).reshape([]).cast(to: step.dtype)
            let start = ((number * step).floor() + origin).maximum(0.0).minimum(extent)
            let end = (((number + 1.0) * step).ceil() + origin).maximum(0.0).minimum(extent)
            // [regions, c, …, bins, size] from [regions, c, size, …], twice: the axis that was reduced goes behind the other.
            let moved = result.movingAxis(2, to: -1)
            let shape = Array(moved.dims.dropLast()) + [bin, size]
            let place = step.iota(step.dtype, [count, bin, size], axis: 2)
            let isIn = (place .>= start.unsqueezed(2)) & (place .< end.unsqueezed(2))
            let wide = moved.broadcasting(to: shape, axes: [0, 1, 2, 4])
            result = isIn.broadcasting(to: shape, axes: [0, 3, 4]).select(wide, lowest).max(4)
            let none = (end .<= start).broadcasting(to: [count, x.size(axis: 1)] + bins.map { .constant($0) }, axes: [0, 2 + axis])
            isEmpty = isEmpty.map { $0 | none } ?? none
        }
        return isEmpty.map { $0.select(0.0, result) } ?? result
    }
}

/// The means, or greatest, of points read between elements, in bins of regions that are not rounded.
private struct RegionAlignment {
    let node: NodeContext
    let x: Value
    let bins: [Int]
    let takesGreatest: Bool
    /// Each region's first position and its bins' sizes along both axes, [regions].
    let first: [Value]
    let steps: [Value]
    /// The image that each region is of.
    let images: Value
    let ratio: Int
    private var count: Dim { images.size(axis: 0) }

    init(_ node: NodeContext) throws {
        self.node = node
        x = try node.tensor(0)
        let regions = Operators.computing(try node.tensor(1))
        images = try node.tensor(2).cast(to: .i64)
        guard x.rank == 4, regions.rank == 2, regions.size(axis: 1) == 4, images.rank == 1 else {
            throw node.mistake("pools regions \(regions.dims), of images \(images.dims), from \(x.dims)")
        }
        bins = [node.integer("output_height", 1), node.integer("output_width", 1)]
        guard bins.allSatisfy({ $0 > 0 && $0 < 1 << 31 }) else { throw node.mistake("pools regions to \(bins)") }
        takesGreatest = node.text("mode", "avg") == "max"
        let isHalf = node.version >= 16 && node.text("coordinate_transformation_mode", "half_pixel") == "half_pixel"
        let scale = node.real("spatial_scale", 1)
        let bounds = regions * scale - (isHalf ? 0.5 : 0.0)
        // x0, y0, x1, y1
        first = [1, 0].map { bounds.select(axis: 1, index: $0) }
        let sizes = [1, 0].map { bounds.select(axis: 1, index: $0 + 2) - bounds.select(axis: 1, index: $0) }
        steps = zip(sizes, bins).map { (isHalf ? $0 : $0.maximum(1.0)) / Double($1) }
        ratio = node.integer("sampling_ratio", 0)
        guard ratio < 1 << 15 else { throw node.mistake("has the sampling_ratio \(ratio)") }
    }

    func pooled() throws -> Value {
        let result = try ratio > 0 ? sampled() : summed()
        return result.movingAxis(0, to: 1).cast(to: x.dtype)
    }

    /// As many points in each bin: [c, regions, bins…].
    private func sampled() -> Value {
        let samples = Dim.constant(ratio)
        let points = [count] + bins.map { .constant($0) } + [samples, samples]
        let sampling = PointSampling(Operators.computing(x), images: images.broadcasting(to: points, axes: [0]))
        let taps = (0..<2).map { axis -> [PointSampling.Tap] in
            let step = steps[axis].broadcasting(to: points, axes: [0])
            let bin = step.iota(step.dtype, points, axis: 1 + axis), sample = step.iota(step.dtype, points, axis: 3 + axis)
            return self.taps(first[axis].broadcasting(to: points, axes: [0]) + bin * step + (sample + 0.5) * step / Double(ratio), axis, sampling)
        }
        return takesGreatest ? greatest(taps, sampling).max(4, 5) : sampling.sum(taps).sum([4, 5]) / Double(ratio * ratio)
    }

    /// As many points as a bin has elements, which differs from region to region: one after the other, up to the most that any has.
    private func summed() throws -> Value {
        let data = Operators.computing(x)
        let points = [count] + bins.map { Dim.constant($0) }, shape = [x.size(axis: 1)] + points
        let counts = steps.map { $0.ceil().maximum(0.0) }
        let most = counts.map { $0.max().maximum(0.0).cast(to: .i64) }
        let start = node.full(.real(takesGreatest ? -.infinity : 0), TensorType(data.dtype, shape))
        let rounds = Repetition(node: node, count: most[0] * most[1], starts: nil, carried: [.tensor(start)], stacking: []) { scope, round, carried in
            let across = scope.using(most[1]).maximum(1)
            let numbers = [round / across, round % across].map { $0.cast(to: data.dtype) }
            let sampling = PointSampling(scope.using(data), images: scope.using(images).broadcasting(to: points, axes: [0]))
            let taps = (0..<2).map { axis -> [PointSampling.Tap] in
                let step = scope.using(steps[axis])
                let offset = ((numbers[axis] + 0.5) * step / scope.using(counts[axis]) + scope.using(first[axis])).broadcasting(to: points, axes: [0])
                let bin = step.iota(step.dtype, points, axis: 1 + axis)
                return self.taps(offset + bin * step.broadcasting(to: points, axes: [0]), axis, sampling)
            }
            let isHere = (scope.using(counts[0]) .> numbers[0]) & (scope.using(counts[1]) .> numbers[1])
            let old = carried[0].value ?? start
            let next = takesGreatest ? old.maximum(greatest(taps, sampling)) : old + sampling.sum(taps)
            return .init(goesOn: nil, carried: [.tensor(isHere.broadcasting(to: shape, axes: [1]).select(next, old))], stacked: [])
        }
        let result = try rounds.run()[0].value ?? start
        let total = (counts[0] * counts[1]).broadcasting(to: shape, axes: [1])
        return takesGreatest ? (total .> 0.0).select(result, 0.0) : result / total.maximum(1.0)
    }

    /// The greatest of the products of elements and weights.
    private func greatest(_ taps: [[PointSampling.Tap]], _ sampling: PointSampling) -> Value {
        let parts = PointSampling.choices(taps).map { sampling.weighted($0) }
        return parts.dropFirst().reduce(parts[0]) { $0.maximum($1) }
    }

    /// The two neighbours of a position: those up to one element outside are moved to the edge, others count as zeros.
    private func taps(_ place: Value, _ axis: Int, _ sampling: PointSampling) -> [PointSampling.Tap] {
        let extent = sampling.extent(sampling.spatial[axis], place.dtype)
        let isInside = (place .>= -1.0) & (place .<= extent)
        return sampling.linear(place.maximum(0.0).minimum(extent - 1.0), axis: axis, .edge).map {
            PointSampling.Tap(index: $0.index, weight: $0.weight, isInside: isInside)
        }
    }
}
