// What stands between the brackets of a subscript: positions, ranges, all of an axis, a new axis, dots, tensors of positions.
import KilnIR

/// One entry of a subscript.
public enum AxisIndex: Sendable {
    /// A position; negative from the end. The axis goes away.
    case position(Int)
    /// Positions from `from` up to `to` by `step`; negative numbers count from the end, nil is the end; a negative step walks back.
    case span(from: Int? = nil, to: Int? = nil, step: Int = 1)
    /// A new axis of size 1.
    case fresh
    /// As many whole axes as are left.
    case dots
    /// Positions along the axis, or a mask over the axes from here on.
    case tensor(Tensor)
}

/// What can stand between the brackets: `Int`, ranges, strides, `Tensor`, `.all`, `.newAxis`, `.ellipsis`, `.range(from:to:step:)`.
public protocol TensorIndex {
    var axisIndex: AxisIndex { get }
}

extension AxisIndex: TensorIndex {
    public var axisIndex: AxisIndex { self }
}

extension TensorIndex where Self == AxisIndex {
    /// The whole axis.
    public static var all: AxisIndex { .span() }
    /// Positions from `from` up to `to` by `step`; negative numbers count from the end, nil is the end; a negative step walks back.
    public static func range(from: Int? = nil, to: Int? = nil, step: Int = 1) -> AxisIndex { .span(from: from, to: to, step: step) }
    /// A new axis of size 1.
    public static var newAxis: AxisIndex { .fresh }
    /// As many whole axes as are left.
    public static var ellipsis: AxisIndex { .dots }
}

extension Int: TensorIndex {
    public var axisIndex: AxisIndex { .position(self) }
}
extension Range: TensorIndex where Bound == Int {
    public var axisIndex: AxisIndex { .span(from: lowerBound, to: upperBound) }
}
extension ClosedRange: TensorIndex where Bound == Int {
    public var axisIndex: AxisIndex { .span(from: lowerBound, to: upperBound == -1 || upperBound == .max ? nil : upperBound + 1) }
}
extension PartialRangeFrom: TensorIndex where Bound == Int {
    public var axisIndex: AxisIndex { .span(from: lowerBound) }
}
extension PartialRangeUpTo: TensorIndex where Bound == Int {
    public var axisIndex: AxisIndex { .span(to: upperBound) }
}
extension PartialRangeThrough: TensorIndex where Bound == Int {
    public var axisIndex: AxisIndex { .span(to: upperBound == -1 || upperBound == .max ? nil : upperBound + 1) }
}
extension StrideTo: TensorIndex where Element == Int {
    public var axisIndex: AxisIndex { Self.axisIndex(Array(self)) }
    fileprivate static func axisIndex(_ positions: [Int]) -> AxisIndex {
        guard let first = positions.first, let last = positions.last else { return .span(from: 0, to: 0) }
        let step = positions.count > 1 ? positions[1] - first : 1
        let end = last + step.signum()
        return .span(from: first, to: end < 0 && step < 0 ? nil : end, step: step)
    }
}
extension StrideThrough: TensorIndex where Element == Int {
    public var axisIndex: AxisIndex { StrideTo<Int>.axisIndex(Array(self)) }
}
extension Tensor: TensorIndex {
    public var axisIndex: AxisIndex { .tensor(self) }
}

/// A subscript worked out for a shape: a slice of every axis, a shape for it, and at most one tensor of positions.
///
///     x[1, ..., .newAxis, 2..<4] of f32[5, 6, 7]:   slice 1..<2, 0..<6, 2..<4 → [1, 6, 2], reshaped to [6, 1, 2]
struct ResolvedIndex {
    var starts: [Dim] = []
    var ends: [Dim] = []
    var steps: [Int] = []
    /// Axes that are walked backwards.
    var flipped: [Int] = []
    /// The shape with positions' axes gone and new axes in.
    var shape: Shape = []
    /// A tensor of positions, and the axis of `shape` along which it picks.
    var picked: (tensor: Tensor, axis: Int)?

    private let location: SourceLocation

    private func mistake(_ problem: String, _ tensor: Tensor, fix: String) -> ShapeError {
        ShapeError(op: "subscript", problem, operands: [tensor.type], at: location, fix: fix)
    }

    init(_ indices: [AxisIndex], of tensor: Tensor, _ location: SourceLocation) throws {
        self.location = location
        let consuming = indices.filter { if case .fresh = $0 { false } else if case .dots = $0 { false } else { true } }.count
        let left = tensor.rank - consuming
        guard left >= 0 else {
            throw mistake("\(consuming) indices for \(tensor.rank) axes", tensor, fix: "give at most \(tensor.rank)")
        }
        var sawDots = false
        for index in indices {
            switch index {
            case .fresh: shape.append(1)
            case .dots:
                guard !sawDots else { throw mistake("more than one ellipsis", tensor, fix: "give one") }
                sawDots = true
                for _ in 0..<left { keepAxis(tensor) }
            case .position(let position): try take(position, tensor)
            case .span(let from, let to, let step): try take(from, to, step, tensor)
            case .tensor(let positions):
                if let error = positions.error { throw error }
                guard positions.dtype.isInteger else {
                    throw mistake(positions.dtype == .bool ? "a mask stands after other indices" : "positions are \(positions.dtype), and not integers", tensor,
                                  fix: positions.dtype == .bool ? "give the mask alone, over the leading axes" : "cast them to i64")
                }
                guard picked == nil else { throw mistake("more than one tensor of positions", tensor, fix: "index in two steps") }
                picked = (positions, shape.count)
                keepAxis(tensor)
            }
        }
        while starts.count < tensor.rank { keepAxis(tensor) }
    }

    private mutating func keepAxis(_ tensor: Tensor) {
        let size = tensor.dims[starts.count]
        append(0, size, 1)
        shape.append(size)
    }

    private mutating func append(_ start: Dim, _ end: Dim, _ step: Int) {
        starts.append(start)
        ends.append(end)
        steps.append(step)
    }

    private mutating func take(_ position: Int, _ tensor: Tensor) throws {
        let axis = starts.count
        let size = tensor.dims[axis]
        let start = position < 0 ? size + .constant(position) : .constant(position)
        if let length = size.constant, let place = start.constant, place < 0 || place >= length {
            throw mistake("position \(position) is outside axis \(axis) of size \(length)", tensor,
                               fix: "give a position from \(-length) to \(length - 1)")
        }
        append(start, start + 1, 1)
    }

    private mutating func take(_ from: Int?, _ to: Int?, _ step: Int, _ tensor: Tensor) throws {
        let axis = starts.count
        let size = tensor.dims[axis]
        guard step != 0 else { throw mistake("the step is 0", tensor, fix: "give another step") }
        guard let length = size.constant else { return try takeOpen(from, to, step, tensor) }
        // No number that is given takes sums out of range.
        let (from, to) = (from.map { Self.near($0, length) }, to.map { Self.near($0, length) })
        let step = Self.near(step, length + 1)
        func place(_ i: Int) -> Int { Swift.min(Swift.max(i < 0 ? i + length : i, step > 0 ? 0 : -1), step > 0 ? length : length - 1) }
        if step > 0 {
            let start = from.map(place) ?? 0
            let end = Swift.max(start, to.map(place) ?? length)
            append(.constant(start), .constant(end), step)
            shape.append(.constant((end - start + step - 1) / step))
        } else {
            // Positions high, high + step, … above low are taken forward and flipped.
            let high = from.map(place) ?? length - 1
            let low = to.map(place) ?? -1
            let count = Swift.max(0, (high - low - step - 1) / -step)
            let start = count == 0 ? 0 : high + (count - 1) * step
            append(.constant(start), .constant(count == 0 ? 0 : high + 1), -step)
            flipped.append(axis)
            shape.append(.constant(count))
        }
    }

    /// A number no further from zero than just past the axis.
    private static func near(_ index: Int, _ length: Int) -> Int { Swift.min(Swift.max(index, -length - 1), length + 1) }

    /// A span of an axis whose size is known in the call, and is cut to it there.
    private mutating func takeOpen(_ from: Int?, _ to: Int?, _ step: Int, _ tensor: Tensor) throws {
        guard step > 0 else { throw mistake("a symbolic axis is walked backwards", tensor, fix: "flip it first") }
        let size = tensor.dims[starts.count]
        // What is left out at an end is min(n, size) there, and the rest is written by it, so that x[1...] and x[..<(-1)] are seen to be equally long.
        func place(_ i: Int) -> Dim { i >= 0 ? .minimum(.constant(i), size) : size - .minimum(i == .min ? size : .constant(-i), size) }
        let start = from.map(place) ?? 0
        var end = to.map(place) ?? size
        if from != nil, from != 0, to != nil { end = .maximum(start, end) }
        append(start, end, step)
        shape.append((end - start).dividedUp(by: .constant(step)))
    }
}
