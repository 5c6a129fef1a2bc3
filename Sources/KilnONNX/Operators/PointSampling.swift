// Reading images at positions between their elements. In come images [n, c, …], for each point the number of its image, and its
// position along each spatial axis; out goes [c, points…].

import KilnIR
import KilnOps

/// Images under points of any shape.
struct PointSampling {
    /// What is read beyond an image's edges.
    enum Outside {
        case zeros
        case edge
        /// The image mirrored, again and again, at positions given for each axis.
        case mirrored([(low: Value, high: Value)])
    }

    /// An element along one axis that a point reads: its index, moved into the axis; its weight; whether it was there.
    struct Tap {
        var index: Value
        var weight: Value?
        var isInside: Value?
    }

    /// [c, n * elements].
    private let elements: Value
    /// i64, of the points' shape.
    private let images: Value
    let spatial: [Dim]

    init(_ x: Value, images: Value) {
        self.images = images
        spatial = Array(x.dims.dropFirst(2))
        elements = x.movingAxis(1, to: 0).reshape([x.size(axis: 1), x.size(axis: 0) * spatial.reduce(1, *)])
    }

    /// A size beside others of a dtype.
    func extent(_ size: Dim, _ dtype: DType) -> Value { images.builder.sizes([size]).reshape([]).cast(to: dtype) }

    // MARK: Elements

    /// The elements with these indices along each axis.
    func element(_ indices: [Value]) -> Value {
        let place = zip(spatial, indices).reduce(images) { $0 * extent($1.0, .i64) + $1.1 }
        return elements.take(place, axis: 1)
    }

    /// The sum over all choices of one tap of each axis.
    func sum(_ taps: [[Tap]]) -> Value {
        var total: Value?
        for choice in Self.choices(taps) {
            let part = weighted(choice)
            total = total.map { $0 + part } ?? part
        }
        return total ?? elements
    }

    /// The element of one tap of each axis, times its weights.
    func weighted(_ choice: [Tap]) -> Value {
        var value = element(choice.map(\.index))
        let inside = choice.compactMap(\.isInside)
        if let first = inside.first {
            let all = inside.dropFirst().reduce(first) { $0 & $1 }
            value = all.broadcasting(to: value.dims, axes: Array(1..<value.rank)).select(value, 0)
        }
        let weights = choice.compactMap(\.weight)
        guard let first = weights.first else { return value }
        return value * weights.dropFirst().reduce(first) { $0 * $1 }.cast(to: value.dtype)
    }

    static func choices(_ taps: [[Tap]]) -> [[Tap]] {
        taps.reduce([[]]) { choices, axis in choices.flatMap { choice in axis.map { choice + [$0] } } }
    }

    // MARK: Taps

    /// The two neighbours of a position, with linear weights.
    func linear(_ position: Value, axis: Int, _ outside: Outside) -> [Tap] {
        let base = position.floor(), ratio = position - base
        return [tap(base, 1.0 - ratio, axis: axis, outside), tap(base + 1.0, ratio, axis: axis, outside)]
    }

    /// Four neighbours, with the weights of the cubic convolution (R. Keys, 1981) for the coefficient -0.75.
    func cubic(_ position: Value, axis: Int, _ outside: Outside) -> [Tap] {
        let base = position.floor(), ratio = position - base, a = -0.75
        let near = { (d: Value) in ((d * (a + 2)) - (a + 3)) * d * d + 1.0 }
        let far = { (d: Value) in ((d * a - 5 * a) * d + 8 * a) * d - 4 * a }
        let weights = [far(ratio + 1.0), near(ratio), near(1.0 - ratio), far(2.0 - ratio)]
        return weights.enumerated().map { tap(base + Double($0.offset - 1), $0.element, axis: axis, outside) }
    }

    /// The tap at a position without a fraction.
    func tap(_ place: Value, _ weight: Value?, axis: Int, _ outside: Outside) -> Tap {
        let last = extent(spatial[axis] - 1, place.dtype)
        switch outside {
        case .zeros: return Tap(index: index(place, last), weight: weight, isInside: (place .>= 0.0) & (place .<= last))
        case .edge: return Tap(index: index(place, last), weight: weight, isInside: nil)
        case .mirrored(let edges): return Tap(index: index(Self.mirrored(place, edges[axis]), last), weight: weight, isInside: nil)
        }
    }

    private func index(_ place: Value, _ last: Value) -> Value { place.maximum(0.0).minimum(last).cast(to: .i64) }

    /// A position mirrored at both edges until it lies between them.
    static func mirrored(_ place: Value, _ edges: (low: Value, high: Value)) -> Value {
        let (low, high) = edges
        let span = high - low
        let isBelow = place .< low, isAbove = place .> high
        let beyond = isBelow.select(low - place, place - high)
        // An axis of one element has no span: all of its mirrors are that element.
        let count = (beyond / (span .== 0.0).select(1.0, span)).floor()
        let rest = (span .== 0.0).select(0.0, beyond - count * span)
        let isEven = count - (count / 2.0).floor() * 2.0 .== 0.0
        let inside = (isBelow .== isEven).select(low + rest, high - rest)
        return (isBelow | isAbove).select(inside, place)
    }
}
