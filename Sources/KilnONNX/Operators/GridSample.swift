// Images read along grids of positions: GridSample, the grids of affine maps, and convolutions whose windows are bent.

import KilnIR
import KilnOps

extension Operators {
    static let grids: [Operator] = [
        Operator("GridSample") { try gridSample($0) },
        Operator("GridSample", .microsoft) { try gridSample($0) },
        Operator("AffineGrid") { try affineGrid($0) },
        Operator("DeformConv") { try deformedConvolution($0) },
    ]

    /// Numbers are computed in f32 at least.
    static func computing(_ x: Value) -> Value { x.cast(to: x.dtype == .f64 ? .f64 : .f32) }

    /// Each spatial axis more doubles the neighbours of a point, or makes them four times as many.
    private static let mostAxes = 5

    private static func gridSample(_ node: NodeContext) throws -> Value {
        let x = try node.tensor(0), grid = computing(try node.tensor(1))
        let count = x.rank - 2
        guard (1...Self.mostAxes).contains(count), grid.rank == x.rank, grid.dims.last == .constant(count), (grid.size(axis: 0) - x.size(axis: 0)).constant ?? 0 == 0 else {
            throw node.mistake("reads images \(x.dims) with a grid \(grid.dims)")
        }
        let points = Array(grid.dims.dropLast())
        let mode = node.text("mode", "linear"), padding = node.text("padding_mode", "zeros"), isAligned = node.flag("align_corners")
        let isNearest = mode == "nearest"
        let data = isNearest ? x : computing(x)
        let sampling = PointSampling(data, images: x.iota(.i64, points, axis: 0))
        let edges = sampling.spatial.map { size -> (low: Value, high: Value) in
            let extent = sampling.extent(size, grid.dtype)
            return isAligned ? (extent * 0.0, extent - 1.0) : (extent * 0.0 - 0.5, extent - 0.5)
        }
        let outside: PointSampling.Outside = padding == "zeros" ? .zeros : padding == "border" ? .edge : .mirrored(edges)
        guard ["zeros", "border", "reflection"].contains(padding) else { throw node.mistake("has the unknown padding_mode '\(padding)'") }
        let taps = try (0..<count).map { axis -> [PointSampling.Tap] in
            // The last number of a grid's point is the position along the first axis.
            let number = grid.select(axis: -1, index: count - 1 - axis), extent = sampling.extent(sampling.spatial[axis], grid.dtype)
            var place = isAligned ? (number + 1.0) / 2.0 * (extent - 1.0) : ((number + 1.0) * extent - 1.0) / 2.0
            if isNearest { place = place.round() }
            switch outside {
            case .zeros: break
            // A cubic's neighbours are moved to the edge, and its position is not, as in PyTorch.
            case .edge: place = mode.hasSuffix("cubic") ? place : place.maximum(0.0).minimum(extent - 1.0)
            case .mirrored: place = PointSampling.mirrored(place, edges[axis])
            }
            switch mode {
            case "nearest": return [sampling.tap(place, nil, axis: axis, outside)]
            case "linear", "bilinear": return sampling.linear(place, axis: axis, outside)
            case "cubic", "bicubic": return sampling.cubic(place, axis: axis, outside)
            default: throw node.mistake("has the unknown mode '\(mode)'")
            }
        }
        return sampling.sum(taps).movingAxis(0, to: 1).cast(to: x.dtype)
    }

    private static func affineGrid(_ node: NodeContext) throws -> Value {
        let theta = try node.tensor(0), spatial = Array(try node.sizes(1, "the images' shape").dropFirst(2))
        let count = spatial.count, isAligned = node.flag("align_corners")
        guard theta.rank == 3, theta.size(axis: 1) == .constant(count), theta.size(axis: 2) == .constant(count + 1) else {
            throw node.mistake("has maps \(theta.dims) for \(count) spatial axes")
        }
        let maps = computing(theta), shape = [theta.size(axis: 0)] + spatial + [.constant(count)]
        let part = { (column: Int) in maps.select(axis: 2, index: column).broadcasting(to: shape, axes: [0, count + 1]) }
        var result = part(count)
        for axis in 0..<count {
            let number = maps.iota(maps.dtype, [spatial[axis]], axis: 0)
            let extent = node.sizes([spatial[axis]]).reshape([]).cast(to: maps.dtype)
            let places = isAligned ? number * 2.0 / (extent - 1.0).maximum(1.0) - 1.0 : (number * 2.0 + 1.0) / extent - 1.0
            // The first column is for the last axis.
            result = result + part(count - 1 - axis) * places.broadcasting(to: shape, axes: [1 + axis])
        }
        return result.cast(to: theta.dtype)
    }

    private static func deformedConvolution(_ node: NodeContext) throws -> Value {
        let x = try node.tensor(0), weight = try node.tensor(1), offset = computing(try node.tensor(2))
        let count = x.rank - 2, kernel = try node.kernelShape(of: weight)
        guard (1...Self.mostAxes).contains(count), weight.rank == x.rank, offset.rank == x.rank else { throw node.mistake("has images of \(x.rank) axes and weights of \(weight.rank)") }
        let window = try node.unpaddedWindow(kernel)
        let groups = Dim.constant(try node.count("group", 1)), bends = Dim.constant(try node.count("offset_group", 1))
        let (images, channels) = (x.size(axis: 0), x.size(axis: 1)), outputs = Array(offset.dims.dropFirst(2))
        let taps = kernel.map { Dim.constant($0) }
        let points = [images, bends] + taps + outputs
        let bent = offset.reshape([images, bends] + taps + [.constant(count)] + outputs)
        // Each part of the channels that is bent alike is an image of its own.
        let parts = computing(x).reshape([images * bends, channels / bends] + Array(x.dims.dropFirst(2)))
        let number = x.iota(.i64, points, axis: 0) * node.sizes([bends]).reshape([]) + x.iota(.i64, points, axis: 1)
        let sampling = PointSampling(parts, images: number)
        let neighbours = (0..<count).map { axis -> [PointSampling.Tap] in
            let regular = x.iota(offset.dtype, points, axis: 2 + axis) * Double(window.dilations[axis])
                + x.iota(offset.dtype, points, axis: 2 + count + axis) * Double(window.strides[axis])
                - Double(window.low[axis].constant ?? 0)
            return sampling.linear(regular + bent.select(axis: 2 + count, index: axis), axis: axis, .zeros)
        }
        // [channels / bends, n, bends, taps…, outputs…]
        var seen = sampling.sum(neighbours)
        if let mask = try node.tensorIfPresent(4) { seen = seen * mask.reshape(points).cast(to: seen.dtype) }
        let columns = seen.movingAxis(0, to: 2).reshape([images, groups, channels / groups] + taps + outputs).cast(to: x.dtype)
        let split = weight.reshape([groups, weight.size(axis: 0) / groups] + Array(weight.dims.dropFirst(1)))
        let summed = Array(2..<3 + count)
        // [groups, n, outputs…, o / groups]
        let product = columns.contracting(split, batch: ([1], [0]), reduce: (summed, summed))
        let result = product.movingAxis(-1, to: 1).movingAxis(2, to: 0).reshape([images, weight.size(axis: 0)] + outputs)
        guard let bias = try node.tensorIfPresent(3) else { return result }
        return result + bias.broadcasting(to: result.dims, axes: [1])
    }
}
