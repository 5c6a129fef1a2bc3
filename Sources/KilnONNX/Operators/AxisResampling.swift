// Resampling along one axis: where each result lies between the axis's elements, and the elements and weights that it is made of.
// Positions are computed in the graph from the sizes, in f64; where the sizes are numbers, they become tables at import.

import KilnIR
import KilnOps

/// What a node says of how it resamples, the same for all its axes.
struct ResamplingRule {
    enum Mode { case nearest, linear, cubic }
    /// Where result `y` lies among the elements.
    enum Position { case alignedCorners, asymmetric, halfPixel, halfPixelSymmetric, halfPixelForNearest, halfPixelOfPyTorch, cropped }
    enum Rounding { case preferFloor, preferCeil, floor, ceil, ceilWhenSmaller }

    var mode: Mode
    var position: Position
    var rounding: Rounding
    var cubic = -0.75
    var excludesOutside = false
    var antialias = false
    var extrapolation = 0.0

    /// Upsample, and Resize before version 11: they had no attributes but the mode.
    static func old(_ node: NodeContext) -> ResamplingRule {
        ResamplingRule(mode: node.text("mode", "nearest") == "nearest" ? .nearest : .linear, position: .asymmetric, rounding: .ceilWhenSmaller)
    }

    init(mode: Mode, position: Position, rounding: Rounding) {
        (self.mode, self.position, self.rounding) = (mode, position, rounding)
    }

    init(_ node: NodeContext) throws {
        switch node.text("mode", "nearest") {
        case "nearest": mode = .nearest
        case "linear": mode = .linear
        case "cubic": mode = .cubic
        case let other: throw node.mistake("has the unknown mode '\(other)'")
        }
        switch node.text("coordinate_transformation_mode", "half_pixel") {
        case "half_pixel": position = .halfPixel
        case "half_pixel_symmetric": position = .halfPixelSymmetric
        case "tf_half_pixel_for_nn": position = .halfPixelForNearest
        case "pytorch_half_pixel": position = .halfPixelOfPyTorch
        case "align_corners": position = .alignedCorners
        case "asymmetric": position = .asymmetric
        case "tf_crop_and_resize": position = .cropped
        case let other: throw node.mistake("has the unknown coordinate_transformation_mode '\(other)'")
        }
        switch node.text("nearest_mode", "round_prefer_floor") {
        case "round_prefer_floor": rounding = .preferFloor
        case "round_prefer_ceil": rounding = .preferCeil
        case "floor": rounding = .floor
        case "ceil": rounding = .ceil
        case let other: throw node.mistake("has the unknown nearest_mode '\(other)'")
        }
        cubic = node.real("cubic_coeff_a", -0.75)
        excludesOutside = node.flag("exclude_outside")
        antialias = node.flag("antialias")
        extrapolation = node.real("extrapolation_value", 0)
    }
}

/// An axis that is resampled.
struct AxisResampling {
    var input: Dim
    var output: Dim
    var rule: ResamplingRule
    /// Results for each element, where the node says so; the sizes' ratio otherwise.
    var scale: ResamplingScale?
    /// The part of the axis that is read, from 0 to 1, as f64 of rank 0.
    var crop: (start: Value, end: Value)?

    init(input: Dim, output: Dim, rule: ResamplingRule) {
        (self.input, self.output, self.rule) = (input, output, rule)
    }

    var changes: Bool { crop != nil || input != output || scale.map { $0.value != 1 } ?? false }

    // MARK: Positions

    private func number(_ value: Double, _ node: NodeContext) -> Value { node.full(.real(value), TensorType(.f64, [])) }
    private func extent(_ size: Dim, _ node: NodeContext) -> Value { node.sizes([size]).reshape([]).cast(to: .f64) }

    /// Where each result lies among the elements, f64 [output].
    private func positions(_ node: NodeContext) -> Value {
        let size = extent(input, node)
        // The output's size before it was rounded down.
        let width = scale.map { size * $0.value } ?? extent(output, node)
        let factor = scale.map { number($0.value, node) } ?? width / size
        let y = size.iota(.f64, [output], axis: 0)
        // What one result is divided by does not matter: its position is 0.
        let steps = (width .== 1.0).select(number(1, node), width - 1.0)
        switch rule.position {
        case .alignedCorners: return y * (size - 1.0) / steps
        case .asymmetric: return y / factor
        case .halfPixel: return (y + 0.5) / factor - 0.5
        case .halfPixelForNearest: return (y + 0.5) / factor
        case .halfPixelOfPyTorch: return output == 1 ? y : (extent(output, node) .> 1.0).select((y + 0.5) / factor - 0.5, number(0, node))
        case .halfPixelSymmetric: return size / 2.0 * (1.0 - extent(output, node) / width) + (y + 0.5) / factor - 0.5
        case .cropped:
            let (start, end) = crop ?? (number(0, node), number(1, node))
            let span = (end - start) * (size - 1.0), first = start * (size - 1.0)
            return (width .== 1.0).select(span / 2.0, y * span / steps) + first
        }
    }

    /// A table as a constant where it depends on no input.
    private func table(_ value: Value, _ node: NodeContext) -> Value { node.literalIfKnown(value).map { node.literal($0) } ?? value }

    // MARK: Nearest

    func nearest(_ x: Value, axis: Int, _ node: NodeContext) throws -> Value {
        if let view = wholeFactor(x, axis) { return view }
        if let exact = nearestIndices(node) {
            let indices = table(bounded(exact, node), node)
            return regular(x, axis, indices, node) ?? x.take(indices, axis: axis)
        }
        let positions = positions(node)
        let chosen = switch rule.rounding {
        case .preferFloor: (positions - 0.5).ceil()
        case .preferCeil: (positions + 0.5).floor()
        case .floor: positions.floor()
        case .ceil: positions.ceil()
        case .ceilWhenSmaller: scale.map { $0.value < 1 } ?? false ? positions.ceil() : positions.floor()
        }
        let indices = table(bounded(chosen.cast(to: .i64), node), node)
        if let view = regular(x, axis, indices, node) { return view }
        return extrapolated(x.take(indices, axis: axis), positions, axis: axis, node)
    }

    /// Indices moved into the axis.
    private func bounded(_ indices: Value, _ node: NodeContext) -> Value {
        let last = node.sizes([input - 1]).reshape([])
        return indices.maximum(0).minimum(last)
    }

    /// Each element a whole number of times, whatever the axis's size is.
    private func wholeFactor(_ x: Value, _ axis: Int) -> Value? {
        guard let factor = (output / input).constant, factor > 1, input * .constant(factor) == output, scale.map({ $0.value == Double(factor) }) ?? true else { return nil }
        switch (rule.position, rule.rounding) {
        case (.asymmetric, .floor), (.asymmetric, .ceilWhenSmaller), (.halfPixelForNearest, .floor): break
        case (.halfPixel, .preferFloor), (.halfPixel, .preferCeil), (.halfPixelSymmetric, .preferFloor), (.halfPixelSymmetric, .preferCeil): break
        case (.halfPixelOfPyTorch, .preferFloor), (.halfPixelOfPyTorch, .preferCeil): break
        default: return nil
        }
        return repeated(x, axis, factor)
    }

    private func repeated(_ x: Value, _ axis: Int, _ factor: Int) -> Value {
        var shape = x.dims
        shape.insert(.constant(factor), at: axis + 1)
        var result = x.dims
        result[axis] *= .constant(factor)
        return x.broadcasting(to: shape, axes: (0..<x.rank).map { $0 <= axis ? $0 : $0 + 1 }).reshape(result)
    }

    /// Known indices that are a slice of the axis, or each element a number of times.
    private func regular(_ x: Value, _ axis: Int, _ indices: Value, _ node: NodeContext) -> Value? {
        guard crop == nil, let known = node.literalIfKnown(indices), known.count > 0, let size = input.constant else { return nil }
        let list = (0..<known.count).map { Int(known[$0].int64) }
        let step = list.count > 1 ? list[1] - list[0] : 1
        if step > 0, list.indices.allSatisfy({ list[$0] == list[0] + step * $0 }) {
            return x.slice(axis: axis, from: list[0], to: list[list.count - 1] + 1, step: step)
        }
        guard size > 0, list.count % size == 0, list.indices.allSatisfy({ list[$0] == $0 / (list.count / size) }) else { return nil }
        return repeated(x, axis, list.count / size)
    }

    /// With the value for what lies outside, where a part of the axis is read.
    private func extrapolated(_ x: Value, _ positions: Value, axis: Int, _ node: NodeContext) -> Value {
        guard rule.position == .cropped else { return x }
        let isOutside = (positions .< 0.0) | (positions .> extent(input, node) - 1.0)
        let outside = node.full(Scalar.real(rule.extrapolation).converted(to: x.dtype), x.type)
        return isOutside.broadcasting(to: x.dims, axes: [axis]).select(outside, x)
    }

    // MARK: Interpolation

    /// Sums of a few elements by weights.
    func interpolated(_ x: Value, axis: Int, _ node: NodeContext) throws -> Value {
        let positions = positions(node)
        let reach = rule.mode == .linear ? 1 : 2
        // Where results are fewer, the filter is as much wider as they lie apart.
        let widening: Value? = rule.antialias ? shrinking(node) : nil
        let half = rule.antialias ? wideReach(reach) : .constant(reach)
        let shape = [output, half * 2]
        let base = positions.floor().broadcasting(to: shape, axes: [0])
        let places = base + (base.iota(.f64, shape, axis: 1) - (extent(half, node) - 1.0))
        let distance = (places - positions.broadcasting(to: shape, axes: [0])).abs()
        var weights = filter(widening.map { distance * $0 } ?? distance)
        if rule.antialias { weights = weights / weights.sum([1], keepDims: true) }
        if rule.excludesOutside {
            let isInside = (places .>= 0.0) & (places .< extent(input, node))
            weights = isInside.select(weights, number(0, node))
            let total = weights.sum([1], keepDims: true)
            weights = weights / (total .== 0.0).select(number(1, node), total)
        }
        let indices = table(bounded(places.cast(to: .i64), node), node)
        let factors = table(weights.cast(to: x.dtype), node)
        let result = weighted(x, indices, factors, axis: axis)
        return extrapolated(result, positions, axis: axis, node)
    }

    /// Results for each element, at most 1.
    private func shrinking(_ node: NodeContext) -> Value {
        if let scale { return number(min(scale.value, 1), node) }
        return (extent(output, node) / extent(input, node)).minimum(1.0)
    }

    /// The elements on each side that a widened filter reaches.
    private func wideReach(_ reach: Int) -> Dim {
        if let scale { return .constant(Int((Double(reach) / min(scale.value, 1)).rounded(.up))) }
        return .maximum((input * .constant(reach)).dividedUp(by: output), .constant(reach))
    }

    /// The weight of an element at a distance: a triangle, or the cubic convolution of R. Keys (1981) with the coefficient `a`.
    private func filter(_ distance: Value) -> Value {
        if rule.mode == .linear { return (1.0 - distance).maximum(0.0) }
        let a = rule.cubic
        let near = ((distance * (a + 2)) - (a + 3)) * distance * distance + 1.0
        let far = ((distance * a - 5 * a) * distance + 8 * a) * distance - 4 * a
        return (distance .<= 1.0).select(near, (distance .< 2.0).select(far, 0.0))
    }

    private func weighted(_ x: Value, _ indices: Value, _ weights: Value, axis: Int) -> Value {
        let taken = x.take(indices, axis: axis)
        return (taken * weights.broadcasting(to: taken.dims, axes: [axis, axis + 1])).sum([axis + 1])
    }
}
