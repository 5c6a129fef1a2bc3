// The views with all their attributes spelled out, as reverse rules, passes and other spellings write them.
// What changes nothing gives the operand itself; without a location, a graph builder's own counts.

import KilnIR

extension Operand {
    /// The same elements under another shape.
    public func reshaping(to shape: Shape, at location: SourceLocation = .unknown) -> Self {
        shape == dims ? self : .apply(Structural.reshape, self, attributes: ["shape": .dims(shape)], at: location)
    }

    /// Result axis `k` is axis `axes[k]`.
    public func permuting(_ axes: [Int], at location: SourceLocation = .unknown) -> Self {
        axes == Array(0..<rank) ? self : .apply(Structural.permute, self, attributes: ["axes": .ints(axes)], at: location)
    }

    /// Axis `k`, of the result's size or of size 1, becomes axis `axes[k]` of the shape.
    public func broadcasting(to shape: Shape, axes: [Int], at location: SourceLocation = .unknown) -> Self {
        shape == dims && axes == Array(0..<rank)
            ? self : .apply(Structural.broadcast, self, attributes: ["shape": .dims(shape), "axes": .ints(axes)], at: location)
    }

    /// The positions `starts[k]..<ends[k]` of each axis, by steps.
    public func slicing(starts: [Dim], ends: [Dim], steps: [Int]? = nil, at location: SourceLocation = .unknown) -> Self {
        let steps = steps ?? starts.map { _ in 1 }
        if starts.allSatisfy({ $0 == 0 }), ends == dims, steps.allSatisfy({ $0 == 1 }) { return self }
        return .apply(Structural.slice, self, attributes: ["starts": .dims(starts), "ends": .dims(ends), "steps": .ints(steps)], at: location)
    }

    /// Adds positions before and after each axis; negative numbers take away.
    public func padding(low: [Dim], high: [Dim], value: Scalar = 0, at location: SourceLocation = .unknown) -> Self {
        if low.count == rank, (low + high).allSatisfy({ $0 == 0 }) { return self }
        return .apply(Structural.pad, self, attributes: ["low": .dims(low), "high": .dims(high), "value": .scalar(value.converted(to: dtype))],
                      at: location)
    }

    /// Reverses axes.
    public func flipping(_ axes: [Int], at location: SourceLocation = .unknown) -> Self {
        axes.isEmpty ? self : .apply(Structural.flip, self, attributes: ["axes": .ints(axes)], at: location)
    }

    /// Puts `factors[k] - 1` zeros between neighbours along `axes[k]`.
    public func dilating(_ axes: [Int], by factors: [Int], at location: SourceLocation = .unknown) -> Self {
        factors.allSatisfy { $0 == 1 }
            ? self : .apply(Structural.dilate, self, attributes: ["axes": .ints(axes), "factors": .ints(factors)], at: location)
    }

    /// A tensor of the positions along an axis of the shape, beside `self`.
    public func iota(_ dtype: DType, _ shape: Shape, axis: Int, at location: SourceLocation = .unknown) -> Self {
        source(Elementwise.iota, ["dtype": .dtype(dtype), "shape": .dims(shape), "axis": .int(axis)], at: location)
    }

    /// This result of a reduction with the reduced axes put back with size 1.
    func restoring(_ axes: [Int], of shape: Shape, at location: SourceLocation = .unknown) -> Self {
        reshaping(to: shape.indices.map { axes.contains($0) ? 1 : shape[$0] }, at: location)
    }

    /// This result of a reduction repeated along the axes that were reduced.
    func repeating(over axes: [Int], of shape: Shape, at location: SourceLocation = .unknown) -> Self {
        broadcasting(to: shape, axes: shape.indices.filter { !axes.contains($0) }, at: location)
    }
}
