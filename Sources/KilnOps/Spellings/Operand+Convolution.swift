// Convolution and its transpose over windows with everything spelled out: asymmetric padding, which may hold symbols, dilations,
// groups. In come images [n, c, …]; out go images [n, o, …].

import KilnIR

extension Operand {
    /// A convolution of weights [o, c / groups, …] over the window, whose sizes are the weights', plus a bias [o].
    public func convolving(_ weight: Self, _ window: SlidingWindow, bias: Self? = nil, groups: Int = 1,
                           at location: SourceLocation = .unknown) -> Self {
        let sizes = weight.dims.dropFirst(2).map { $0.constant ?? 0 }
        guard sizes == window.sizes || sizes.contains(0) else {
            return mistaken("convolution", "has a window \(window.sizes) for weights of \(sizes)", with: [weight],
                            fix: "give the weights' spatial sizes as the window's", at: location)
        }
        return convolving(weight, strides: window.strides, low: window.low, high: window.high, dilations: window.dilations, groups: groups, at: location)
            .adding(bias: bias, "convolution", at: location)
    }

    /// The transpose of a convolution: each element adds the weights [c, o / groups, …] times itself to the window that the convolution
    /// would read for it. The result's sizes are `stride * (size - 1) + span - low - high + outputPadding`.
    public func convolvingTransposed(_ weight: Self, _ window: SlidingWindow, bias: Self? = nil, outputPadding: [Dim]? = nil, groups: Int = 1,
                                     at location: SourceLocation = .unknown) -> Self {
        let name = "transposed convolution"
        guard window.isValid, rank == window.sizes.count + 2, weight.rank == rank, weight.dims[2...].elementsEqual(window.sizes.map { .constant($0) }) else {
            return mistaken(name, "has a window \(window.sizes) with strides \(window.strides) and dilations \(window.dilations)", with: [weight],
                            fix: "give images [n, c, …], weights [c, o / groups, …], and the weights' spatial sizes as the window's", at: location)
        }
        let extra = outputPadding ?? window.sizes.map { _ in 0 }
        guard groups >= 1, weight.dims[0] == dims[1], weight.dims[0] == weight.dims[0] / .constant(groups) * .constant(groups) else {
            return mistaken(name, "has images of \(dims[1]) channels and weights for \(weight.dims[0]) in \(groups) groups", with: [weight],
                            fix: "give weights of shape [\(dims[1]), o / groups, …] and groups that divide \(dims[1])", at: location)
        }
        guard extra.count == window.sizes.count else {
            return mistaken(name, "has \(extra.count) numbers for the output's padding of \(window.sizes.count) axes",
                            fix: "give one for each spatial axis", at: location)
        }
        let parts = TransposedParts(window, extents: Array(dims[2...]), outputPadding: extra)
        // Strided and dilated at once: zeros stand between.
        let spaced = dilating(Array(2..<rank), by: parts.spacing, at: location)
        return spaced.convolving(weight.transposedForParts(parts, groups: groups, at: location), strides: window.strides.map { _ in 1 }, low: parts.low,
                                 high: parts.high, dilations: parts.dilations, groups: groups, at: location)
            .interleavingParts(parts, at: location)
            .adding(bias: bias, name, at: location)
    }

    /// The weights of an ordinary convolution that computes all parts: [o * parts, c / groups, …].
    private func transposedForParts(_ parts: TransposedParts, groups: Int, at location: SourceLocation) -> Self {
        let count = Dim.constant(groups), axes = Array(parts.strides.indices)
        let (channels, outputs) = (dims[0] / count, dims[1])
        let missing = axes.map { parts.counts[$0] * .constant(parts.strides[$0]) - dims[2 + $0] }
        let whole = padding(low: dims.map { _ in 0 }, high: [0, 0] + missing, at: location)
        let split = axes.flatMap { [parts.counts[$0], .constant(parts.strides[$0])] }
        let taps = axes.map { 3 + 2 * $0 }
        return whole.reshaping(to: [count, channels, outputs] + split, at: location)
            .permuting([0, 2] + taps.map { $0 + 1 } + [1] + taps, at: location)
            .flipping(axes.map { 3 + axes.count + $0 }, at: location)
            .reshaping(to: [count * outputs * parts.number, channels] + parts.counts, at: location)
    }

    /// The parts' images laid between each other, and cut to the result's sizes.
    private func interleavingParts(_ parts: TransposedParts, at location: SourceLocation) -> Self {
        guard rank == parts.strides.count + 2 else { return self }
        let axes = Array(parts.strides.indices), spatial = Array(dims[2...])
        let outputs = dims[1] / parts.number
        let strides = parts.strides.map { Dim.constant($0) }
        let merged = reshaping(to: [dims[0], outputs] + strides + spatial, at: location)
            .permuting([0, 1] + axes.flatMap { [2 + axes.count + $0, 2 + $0] }, at: location)
            .reshaping(to: [dims[0], outputs] + zip(spatial, strides).map { $0 * $1 }, at: location)
        return merged.slicing(starts: [0, 0] + parts.starts, ends: [dims[0], outputs] + zip(parts.starts, parts.extents).map { $0 + $1 }, at: location)
    }

    /// Plus a bias [o], if there is one.
    func adding(bias: Self?, _ name: String, at location: SourceLocation) -> Self {
        guard let bias else { return self }
        guard bias.rank == 1, rank > 1 else {
            return mistaken(name, "takes a bias [o]", with: [bias], fix: "give a bias of one axis", at: location)
        }
        return added(bias.broadcasting(to: dims, axes: [1], at: location), at: location)
    }
}

/// How the transpose of a strided convolution falls into convolutions without strides, one for each remainder of a position by the
/// stride: results at `stride * q + r` are sums over the taps `stride * j + r` of the image's elements at `q - j`.
///
///     stride 2:   result  0 1 2 3 4 5        part 0:  positions 0, 2, 4, from taps 0, 2, …
///                         └─q┘└─q┘└─q┘       part 1:  positions 1, 3, 5, from taps 1, 3, …
private struct TransposedParts {
    /// What the image is spaced by before; 1 unless an axis has both strides and dilations.
    var spacing: [Int] = []
    var strides: [Int] = []
    var dilations: [Int] = []
    /// Taps of each part.
    var counts: [Dim] = []
    /// The padding of the convolution of all parts.
    var low: [Dim] = []
    var high: [Dim] = []
    /// Where the result begins among the interleaved positions, and its sizes.
    var starts: [Dim] = []
    var extents: [Dim] = []

    /// The product of the strides.
    var number: Dim { .constant(strides.reduce(1, *)) }

    init(_ window: SlidingWindow, extents sizes: [Dim], outputPadding: [Dim]) {
        for axis in sizes.indices {
            let isSpaced = window.strides[axis] > 1 && window.dilations[axis] > 1
            let spacing = isSpaced ? window.strides[axis] : 1
            let stride = Dim.constant(isSpaced ? 1 : window.strides[axis])
            let size = .constant(spacing) * (sizes[axis] - 1) + 1
            let end = stride * (size - 1) + window.spans[axis] - window.high[axis] + outputPadding[axis]
            let first = window.low[axis] / stride
            let positions = end.dividedUp(by: stride) - first
            let count = Dim.constant(window.sizes[axis]).dividedUp(by: stride)
            self.spacing.append(spacing)
            strides.append(stride.constant ?? 1)
            dilations.append(window.dilations[axis])
            counts.append(count)
            low.append((count - 1) * .constant(window.dilations[axis]) - first)
            high.append(positions - size + first)
            starts.append(window.low[axis] - stride * first)
            extents.append(end - window.low[axis])
        }
    }
}
