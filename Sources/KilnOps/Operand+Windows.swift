// Convolutions and pooling as PyTorch spells them: images [n, c, …] with one to three spatial axes.

import KilnIR

extension Operand {
    /// A convolution over one spatial axis, of weights [o, c / groups, k].
    public func conv1d(_ weight: Self, bias: Self? = nil, stride: Int = 1, padding: Int = 0, dilation: Int = 1, groups: Int = 1,
                       file: StaticString = #fileID, line: UInt = #line) -> Self {
        convolution(weight, bias: bias, strides: [stride], padding: [padding], dilations: [dilation], groups: groups, file: file, line: line)
    }

    /// A convolution over two spatial axes, of weights [o, c / groups, h, w].
    public func conv2d(_ weight: Self, bias: Self? = nil, stride: Int = 1, padding: Int = 0, dilation: Int = 1, groups: Int = 1,
                       file: StaticString = #fileID, line: UInt = #line) -> Self {
        convolution(weight, bias: bias, strides: [stride, stride], padding: [padding, padding], dilations: [dilation, dilation], groups: groups,
                    file: file, line: line)
    }

    /// A convolution over three spatial axes, of weights [o, c / groups, d, h, w].
    public func conv3d(_ weight: Self, bias: Self? = nil, stride: Int = 1, padding: Int = 0, dilation: Int = 1, groups: Int = 1,
                       file: StaticString = #fileID, line: UInt = #line) -> Self {
        convolution(weight, bias: bias, strides: [stride, stride, stride], padding: [padding, padding, padding],
                    dilations: [dilation, dilation, dilation], groups: groups, file: file, line: line)
    }

    /// A convolution with numbers for each spatial axis; strides and dilations are 1 and padding 0 where not given.
    public func convolution(_ weight: Self, bias: Self? = nil, strides: [Int]? = nil, padding: [Int]? = nil, dilations: [Int]? = nil,
                            groups: Int = 1, file: StaticString = #fileID, line: UInt = #line) -> Self {
        let location = SourceLocation(file, line)
        let ones = Array(repeating: 1, count: Swift.max(rank - 2, 0))
        let amounts = (padding ?? ones.map { _ in 0 }).map { Dim.constant($0) }
        let images = convolving(weight, strides: strides ?? ones, low: amounts, high: amounts, dilations: dilations ?? ones, groups: groups, at: location)
        guard let bias else { return images }
        guard bias.rank == 1, images.rank == rank, rank > 1 else {
            return mistaken("convolution", "takes a bias [o]", with: [weight, bias], fix: "give a bias of one axis", at: location)
        }
        return images.added(bias.broadcasting(to: images.dims, axes: [1], at: location), at: location)
    }

    /// The greatest of each window of the last `sizes.count` axes. Strides are the sizes where not given; padding never wins.
    /// The gradient goes to the first greatest element of a window.
    public func maxPool(_ sizes: [Int], strides: [Int]? = nil, padding: [Int]? = nil, dilations: [Int]? = nil, file: StaticString = #fileID,
                        line: UInt = #line) -> Self {
        let location = SourceLocation(file, line)
        guard let seen = pooled("maxPool", sizes, strides, padding, dilations, fill: dtype.least, at: location) else {
            return mistaken("maxPool", "has windows of \(sizes.count) axes for an operand of \(rank)", fix: "give one number for each of the last axes",
                            at: location)
        }
        return .apply(Structural.reduceMax, seen, attributes: ["axes": .ints(Array(rank..<rank + sizes.count)), "ties": .string("first")], at: location)
    }

    public func maxPool2d(_ size: Int, stride: Int? = nil, padding: Int = 0, dilation: Int = 1, file: StaticString = #fileID,
                          line: UInt = #line) -> Self {
        maxPool([size, size], strides: [stride ?? size, stride ?? size], padding: [padding, padding], dilations: [dilation, dilation],
                file: file, line: line)
    }

    /// The mean of each window of the last `sizes.count` axes; padding counts as zeros, unless it is not to be counted.
    public func avgPool(_ sizes: [Int], strides: [Int]? = nil, padding: [Int]? = nil, countsPadding: Bool = true, file: StaticString = #fileID,
                        line: UInt = #line) -> Self {
        let location = SourceLocation(file, line)
        guard dtype.isFloat, let seen = pooled("avgPool", sizes, strides, padding, nil, fill: 0, at: location) else {
            return mistaken("avgPool", "has windows of \(sizes.count) axes for \(type)",
                            fix: "pass floats, and one number for each of the last axes", at: location)
        }
        let windowAxes = Array(rank..<rank + sizes.count)
        let single: DType = dtype.byteCount == 2 ? .f32 : dtype
        let total = seen.casting(to: single, at: location).reducing(Structural.reduceSum, windowAxes, at: location)
        let count = sizes.reduce(1) { $0 &* $1 }
        var divisor = total.filled(.real(Double(count)), at: location)
        if !countsPadding, padding?.contains(where: { $0 != 0 }) == true {
            let ones = full(1, type.with(dtype: single), at: location)
            guard let counted = ones.pooled("avgPool", sizes, strides, padding, nil, fill: 0, at: location) else { return total }
            divisor = counted.reducing(Structural.reduceSum, windowAxes, at: location)
        }
        return total.divided(by: divisor, at: location).casting(to: dtype, at: location)
    }

    public func avgPool2d(_ size: Int, stride: Int? = nil, padding: Int = 0, countsPadding: Bool = true, file: StaticString = #fileID,
                          line: UInt = #line) -> Self {
        avgPool([size, size], strides: [stride ?? size, stride ?? size], padding: [padding, padding], countsPadding: countsPadding,
                file: file, line: line)
    }

    /// The windows of the last axes of this, padded; nil where the numbers do not fit its rank.
    private func pooled(_ name: String, _ sizes: [Int], _ strides: [Int]?, _ padding: [Int]?, _ dilations: [Int]?, fill: Scalar,
                        at location: SourceLocation) -> Self? {
        let first = rank - sizes.count
        guard first >= 0, (strides ?? sizes).count == sizes.count, (padding ?? sizes).count == sizes.count,
            (dilations ?? sizes).count == sizes.count else { return nil }
        let amounts = Array(repeating: Dim.constant(0), count: first) + (padding ?? sizes.map { _ in 0 }).map { Dim.constant($0) }
        return self.padding(low: amounts, high: amounts, value: fill, at: location)
            .windowing(Array(first..<rank), sizes: sizes, strides: strides ?? sizes, dilations: dilations ?? sizes.map { _ in 1 }, at: location)
    }
}

extension DType {
    /// What no element is less than.
    var least: Scalar {
        switch self {
        case .bool: .bool(false)
        case .f8e4m3: -448
        case .f16, .bf16, .f32, .f64, .f8e5m2: .real(-.infinity)
        case .u8, .u16, .u32, .u64: .unsigned(0)
        case .i8: .integer(Int64(Int8.min))
        case .i16: .integer(Int64(Int16.min))
        case .i32: .integer(Int64(Int32.min))
        case .i64: .integer(Int64.min)
        }
    }
}
