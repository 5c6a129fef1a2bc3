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
        guard let bins = node.integers("pooled_shape"), bins.count == 2, x.rank == 4, regions.rank == 2 else {
            throw node.mistake("pools regions \(regions.dims) of images \(x.dims) to \(node.integers("pooled_shape") ?? [])")
        }
        let count = regions.dims[0], scale = node.real("spatial_scale", 1)
        let column = { (number: Int) in regions.select(axis: 1, index: number) }
        var result = x.take(column(0).cast(to: .i64), axis: 0)
        let lowest = x.dtype == .f64 ? -Double.greatestFiniteMagnitude : -.infinity
        var isEmpty: Value?
        for axis in 0..<2 {
            let bin = Dim.constant(bins[axis]), size = x.dims[2 + axis]
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
            let none = (end .<= start).broadcasting(to: [count, x.dims[1]] + bins.map { .constant($0) }, axes: [0, 2 + axis])
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
    private var count: Dim { images.dims[0] }

    init(_ node: NodeContext) throws {
        self.node = node
        x = try node.tensor(0)
        let regions = Operators.computing(try node.tensor(1))
        images = try node.tensor(2).cast(to: .i64)
        guard x.rank == 4, regions.rank == 2, regions.dims[1] == 4, images.rank == 1 else {
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
    }

    func pooled() throws -> Value {
        guard ratio > 0 else { throw Unsupported(reason: "the number of samples in a bin depends on the regions (sampling_ratio 0)") }
        // regions, bins, samples
        let sampled = Dim.constant(ratio)
        let points = [count] + bins.map { .constant($0) } + [sampled, sampled]
        let sampling = PointSampling(Operators.computing(x), images: images.broadcasting(to: points, axes: [0]))
        let taps = (0..<2).map { axis -> [PointSampling.Tap] in
            let step = steps[axis]
            let bin = step.iota(step.dtype, points, axis: 1 + axis), sample = step.iota(step.dtype, points, axis: 3 + axis)
            let wide = step.broadcasting(to: points, axes: [0])
            return self.taps(first[axis].broadcasting(to: points, axes: [0]) + bin * wide + (sample + 0.5) * wide / Double(ratio), axis, sampling)
        }
        let result: Value
        if takesGreatest {
            let parts = PointSampling.choices(taps).map { sampling.weighted($0) }
            result = parts.dropFirst().reduce(parts[0]) { $0.maximum($1) }.max(4, 5)
        } else {
            result = sampling.sum(taps).sum([4, 5]) / Double(ratio * ratio)
        }
        return result.movingAxis(0, to: 1).cast(to: x.dtype)
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
