// Convolutions, their transposes and pooling over random windows, with sizes that are numbers and sizes that are symbols, against
// plain loops over positions.

import KilnIR
import KilnOps
import Testing

struct SlidingWindowTests {
    /// Windows over images [2, channels, extents…]: all that a model file can ask for.
    private struct Example {
        var window: SlidingWindow
        var extents: [Int]
        var roundsUp: Bool

        init(_ random: inout Steps) {
            let axes = 1 + random.below(3)
            func numbers(_ least: Int, _ count: Int) -> [Int] { (0..<axes).map { _ in least + random.below(count) } }
            window = SlidingWindow(numbers(1, 3), strides: numbers(1, 4), dilations: numbers(1, 2))
            // Padding below the span, as a window of padding alone has no greatest element.
            let spans = window.spans.map { $0.constant! }
            window.low = spans.map { .constant(random.below($0)) }
            window.high = spans.map { .constant(random.below($0)) }
            extents = spans.map { $0 + random.below(axes == 3 ? 3 : 6) }
            roundsUp = random.below(2) == 0
        }

        var counts: [Int] {
            (roundsUp ? window.roundingUp(over: extents.map { .constant($0) }) : window).counts(over: extents.map { .constant($0) }).map { $0.constant! }
        }

        /// PyTorch's rule: as many as reach to the end, rounded up, and none that begins past the axis.
        var expectedCounts: [Int] {
            extents.indices.map { axis in
                let (low, high) = (window.low[axis].constant!, window.high[axis].constant!), stride = window.strides[axis]
                let rest = extents[axis] + low + high - window.spans[axis].constant!
                var count = (rest + (roundsUp ? stride - 1 : 0)) / stride + 1
                if roundsUp, (count - 1) * stride >= extents[axis] + low { count -= 1 }
                return count
            }
        }

        /// The positions of each window in the image, nil where they are not within it, and whether they are within its padding.
        func taps(at place: [Int]) -> [(position: [Int]?, isPadding: Bool)] {
            positions(window.sizes).map { tap in
                let at = tap.indices.map { place[$0] * window.strides[$0] + tap[$0] * window.dilations[$0] - window.low[$0].constant! }
                let isInside = zip(at, extents).allSatisfy { $0 >= 0 && $0 < $1 }
                let isKnown = at.indices.allSatisfy { at[$0] < extents[$0] + window.high[$0].constant! }
                return (isInside ? at : nil, !isInside && isKnown)
            }
        }

        /// A literal's image types: as it is, and with symbols for the spatial sizes.
        func types(_ literals: [Literal]) -> [[TensorType]] {
            [literals.map(\.type), [literals[0].type.with(shape: ["n"] + literals[0].type.shape[1..<2] + extents.indices.map { .symbol("s\($0)") })] + literals.dropFirst().map(\.type)]
        }
    }

    @Test func pooling() throws {
        var random = Steps(state: 3)
        for _ in 0..<60 {
            let example = Example(&random), axes = example.extents.count
            #expect(example.counts == example.expectedCounts, "\(example)")
            let image = random.literal([2, 2] + example.extents)
            let strides = strides(image.shape)
            var (most, places, columns, means, uncounted, norms): ([Double], [Double], [Double], [Double], [Double], [Double]) = ([], [], [], [], [], [])
            for place in positions([2, 2] + example.expectedCounts) {
                let taps = example.taps(at: Array(place[2...]))
                let base = place[0] * strides[0] + place[1] * strides[1]
                let inside = taps.compactMap(\.position)
                let values = inside.map { image[base + zip($0, strides[2...]).reduce(0) { $0 + $1.0 * $1.1 }].double }
                let best = values.max()!
                let at = inside[values.firstIndex(of: best)!]
                most.append(best)
                places.append(Double(base + zip(at, strides[2...]).reduce(0) { $0 + $1.0 * $1.1 }))
                columns.append(Double(base + at.indices.reduce(0) { $0 + at[$1] * example.extents[..<$1].reduce(1, *) }))
                means.append(values.reduce(0, +) / Double(inside.count + taps.filter(\.isPadding).count))
                uncounted.append(values.reduce(0, +) / Double(inside.count))
                norms.append(values.reduce(0) { $0 + abs($1 * $1 * $1) })
            }
            let shape = [2, 2] + example.expectedCounts
            let (window, roundsUp) = (example.window, example.roundsUp)
            for types in example.types([image]) {
                func result(_ body: (Value) -> Value) throws -> Literal { try evaluate([image], symbolic: types) { body($0[0]) } }
                #expect(try result { $0.maxPooling(window, roundsUp: roundsUp) }.isNear(shape, most), "\(example)")
                #expect(try result { $0.maxPoolingPositions(window, roundsUp: roundsUp).values }.isNear(shape, most), "\(example)")
                #expect(try result { $0.maxPoolingPositions(window, roundsUp: roundsUp).positions }.isNear(shape, places), "\(example)")
                #expect(try result { $0.maxPoolingPositions(window, roundsUp: roundsUp, countsByColumns: true).positions }.isNear(shape, columns), "\(example)")
                #expect(try result { $0.averagePooling(window, roundsUp: roundsUp) }.isNear(shape, means), "\(example)")
                #expect(try result { $0.averagePooling(window, roundsUp: roundsUp, countsPadding: false) }.isNear(shape, uncounted), "\(example)")
                let cubes = try result { $0.normPooling(window, p: 3, roundsUp: roundsUp) }
                #expect(cubes.shape == shape && zip(cubes.doubles, norms).allSatisfy { abs($0 * $0 * $0 - $1) < 1e-9 * max(1, $1) }, "\(example) \(axes)")
            }
        }
    }

    @Test func convolutionsAndTheirTransposes() throws {
        var random = Steps(state: 5)
        for _ in 0..<60 {
            let example = Example(&random), window = example.window
            let groups = 1 + random.below(2), channels = 2 * groups, outputs = 3 * groups
            let image = random.literal([2, channels] + example.extents), weight = random.literal([outputs, 2] + window.sizes), bias = random.literal([outputs])
            let counts = window.counts(over: example.extents.map { .constant($0) }).map { $0.constant! }
            let sums = convolved(image, weight, bias, window, counts, groups)
            // The transpose maps images of the results' sizes to images of at least these: what a stride left over is the output's padding.
            let back = random.literal([2, outputs] + counts), small = random.literal([channels])
            let rest = counts.indices.map { axis in
                Dim.constant(example.extents[axis] - (counts[axis] - 1) * window.strides[axis] - window.spans[axis].constant!) + window.low[axis] + window.high[axis]
            }
            let spread = transposed(back, weight, small, window, example.extents, groups)
            for types in example.types([image, weight, bias]) {
                #expect(try evaluate([image, weight, bias], symbolic: types) { $0[0].convolving($0[1], window, bias: $0[2], groups: groups) }
                    .isNear([2, outputs] + counts, sums), "\(example)")
            }
            for types in example.types([back, weight, small]) {
                #expect(try evaluate([back, weight, small], symbolic: types) {
                    $0[0].convolvingTransposed($0[1], window, bias: $0[2], outputPadding: rest, groups: groups)
                }.isNear([2, channels] + example.extents, spread), "\(example)")
            }
        }
    }

    private func convolved(_ image: Literal, _ weight: Literal, _ bias: Literal, _ window: SlidingWindow, _ counts: [Int], _ groups: Int) -> [Double] {
        let (outputs, channels) = (weight.shape[0], weight.shape[1])
        let (strides, steps) = (strides(image.shape), strides(weight.shape))
        return positions([2, outputs] + counts).map { place in
            let group = place[1] / (outputs / groups)
            var sum = bias[place[1]].double
            for tap in positions([channels] + window.sizes) {
                var at = place[0] * strides[0] + (group * channels + tap[0]) * strides[1], isInside = true
                for axis in counts.indices {
                    let x = place[2 + axis] * window.strides[axis] + tap[1 + axis] * window.dilations[axis] - window.low[axis].constant!
                    isInside = isInside && x >= 0 && x < image.shape[2 + axis]
                    at += x * strides[2 + axis]
                }
                if isInside { sum += image[at].double * weight[place[1] * steps[0] + zip(tap, steps[1...]).reduce(0) { $0 + $1.0 * $1.1 }].double }
            }
            return sum
        }
    }

    private func transposed(_ image: Literal, _ weight: Literal, _ bias: Literal, _ window: SlidingWindow, _ extents: [Int], _ groups: Int) -> [Double] {
        let channels = weight.shape[1], outputs = channels * groups
        let (strides, steps, results) = (strides(image.shape), strides(weight.shape), strides([2, outputs] + extents))
        var sums = positions([2, outputs] + extents).map { bias[$0[1]].double }
        for place in positions(image.shape) {
            let group = place[1] / (weight.shape[0] / groups)
            let value = image[zip(place, strides).reduce(0) { $0 + $1.0 * $1.1 }].double
            for tap in positions([channels] + window.sizes) {
                var at = place[0] * results[0] + (group * channels + tap[0]) * results[1], isInside = true
                for axis in extents.indices {
                    let x = place[2 + axis] * window.strides[axis] + tap[1 + axis] * window.dilations[axis] - window.low[axis].constant!
                    isInside = isInside && x >= 0 && x < extents[axis]
                    at += x * results[2 + axis]
                }
                if isInside { sums[at] += value * weight[place[1] * steps[0] + zip(tap, steps[1...]).reduce(0) { $0 + $1.0 * $1.1 }].double }
            }
        }
        return sums
    }

    // MARK: Padding

    /// The padding that keeps sizes gives one window for each stride begun, with the odd position at the end that was asked for.
    @Test func paddingThatKeepsSizes() throws {
        for size in 1...9 {
            for kernel in 1...4 {
                for stride in 1...5 {
                    for moreAtEnd in [true, false] {
                        let plain = SlidingWindow([kernel], strides: [stride])
                        let fixed = plain.paddedToKeepSizes([.constant(size)], moreAtEnd: moreAtEnd)
                        let symbolic = plain.paddedToKeepSizes(["n"], moreAtEnd: moreAtEnd)
                        let total = max(0, ((size + stride - 1) / stride - 1) * stride + kernel - size)
                        #expect(fixed.counts(over: [.constant(size)]) == [.constant((size + stride - 1) / stride)])
                        #expect(fixed.low == [.constant(moreAtEnd ? total / 2 : total - total / 2)])
                        #expect(symbolic.low[0].evaluate(symbols: ["n": size]) == fixed.low[0].constant)
                        #expect(symbolic.high[0].evaluate(symbols: ["n": size]) == fixed.high[0].constant)
                        // The result's size is what it is for the eye, too: an addition of the image finds it equal.
                        if kernel >= stride { #expect(symbolic.counts(over: ["n"]) == [Dim.symbol("n").dividedUp(by: .constant(stride))]) }
                    }
                }
            }
        }
        let image = pattern(1, 1, 7), weight = reals([1, 1, 3], [1, 2, 4])
        let window = SlidingWindow([3], strides: [2]).paddedToKeepSizes(["n"])
        #expect(try evaluate([image, weight], symbolic: [TensorType(.f64, [1, 1, "n"]), weight.type]) { $0[0].convolving($0[1], window) }
            == evaluate([image, weight]) { $0[0].convolution($0[1], strides: [2], padding: [1]) })
    }

    @Test func paddingThatReachesSizes() throws {
        let image = pattern(1, 1, 4), weight = reals([1, 1, 3], [1, 2, 4])
        for (outputs, low, high) in [(9, 0, 0), (8, 0, 1), (7, 1, 1), (6, 1, 2), (10, 0, -1)] {
            let window = SlidingWindow([3], strides: [2]).padded(toReach: [.constant(outputs)], from: [4], moreAtEnd: true)
            #expect((window.low, window.high) == ([.constant(low)], [.constant(high)]))
            #expect(try evaluate([image, weight]) { $0[0].convolvingTransposed($0[1], window) }.shape == [1, 1, outputs])
        }
        #expect(SlidingWindow([3], strides: [2]).padded(toReach: [8], from: [4], moreAtEnd: false).low == [1])
    }

    // MARK: Numbers

    /// Padding is no element: not where all are least, and NaN is greatest.
    @Test func positionsOfExtremes() throws {
        let window = SlidingWindow([2], strides: [2], low: [1], high: [1])
        func positions(_ literal: Literal) throws -> Literal { try evaluate(literal) { $0.maxPoolingPositions(window).positions } }
        #expect(try positions(integers([1, 4], [0, 0, 0, 0], .u8)) == integers([1, 3], [0, 1, 3]))
        #expect(try positions(integers([1, 4], [-128, -128, -128, 5], .i8)) == integers([1, 3], [0, 1, 3]))
        #expect(try positions(reals([1, 4], [-.infinity, 2, .nan, -.infinity])) == integers([1, 3], [0, 2, 3]))
    }

    /// Sums of narrow floats are taken in f32: in their own dtype, a 1 more would be lost.
    @Test(arguments: [(DType.f16, 2048.0), (.bf16, 256), (.f8e5m2, 8)]) func meansOfNarrowFloats(_ dtype: DType, _ great: Double) throws {
        let image = Literal(dtype, [1, 1, 4], doubles: [great, 1, 1, 2])
        #expect(try evaluate(image) { $0.averagePooling(SlidingWindow([4])) }.doubles == [great / 4 + 1])
    }

    // MARK: Mistakes

    @Test func mistakes() {
        func message(_ types: [TensorType], _ body: ([Value]) -> Value) -> String {
            do {
                _ = try graph(types, body)
                return "no error"
            } catch { return "\(error)" }
        }
        let image = TensorType(.f32, [1, 4, 8, 8]), weight = TensorType(.f32, [4, 2, 3, 3])
        let square = SlidingWindow([3, 3])
        #expect(message([image, weight]) { $0[0].convolving($0[1], SlidingWindow([3, 2]), groups: 2) }
            .hasPrefix("convolution: has a window [3, 2] for weights of [3, 3]"))
        #expect(message([image, weight]) { $0[0].convolvingTransposed($0[1], SlidingWindow([3]), groups: 2) }
            .hasPrefix("transposed convolution: has a window [3]"))
        #expect(message([image, weight]) { $0[0].convolvingTransposed($0[1], square, groups: 3) }
            .hasPrefix("transposed convolution: has images of 4 channels and weights for 4 in 3 groups"))
        #expect(message([image, weight]) { $0[0].convolvingTransposed($0[1], square, outputPadding: [1]) }
            .hasPrefix("transposed convolution: has 1 numbers for the output's padding of 2 axes"))
        #expect(message([image]) { $0[0].averagePooling(SlidingWindow([3, 3], strides: [1])) }
            .hasPrefix("avgPool: can't have windows of [3, 3] by strides of [1]"))
        #expect(message([image.with(dtype: .i32)]) { $0[0].averagePooling(square) }.hasPrefix("avgPool: has an operand of dtype i32"))
    }
}

/// Repeatable numbers.
private struct Steps {
    var state: UInt64

    mutating func below(_ count: Int) -> Int {
        state = state &* 6_364_136_223_846_793_005 &+ 1_442_695_040_888_963_407
        return Int(state >> 33) % count
    }

    /// Elements from -8 to 8, with many that are equal.
    mutating func literal(_ shape: [Int]) -> Literal {
        let count = shape.reduce(1, *)
        return Literal(.f64, shape, doubles: (0..<count).map { _ in Double(below(17) - 8) })
    }
}

/// All positions within the sizes, the last fastest.
private func positions(_ sizes: [Int]) -> [[Int]] {
    sizes.reduce([[]]) { found, size in found.flatMap { start in (0..<size).map { start + [$0] } } }
}

private func strides(_ shape: [Int]) -> [Int] { shape.indices.map { shape[($0 + 1)...].reduce(1, *) } }
