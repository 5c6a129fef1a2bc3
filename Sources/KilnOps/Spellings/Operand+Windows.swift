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
        return convolving(weight, strides: strides ?? ones, low: amounts, high: amounts, dilations: dilations ?? ones, groups: groups, at: location)
            .adding(bias: bias, "convolution", at: location)
    }

    /// The greatest of each window of the last `sizes.count` axes. Strides are the sizes where not given; padding never wins.
    /// The gradient goes to the first greatest element of a window.
    public func maxPool(_ sizes: [Int], strides: [Int]? = nil, padding: [Int]? = nil, dilations: [Int]? = nil, file: StaticString = #fileID,
                        line: UInt = #line) -> Self {
        maxPooling(SlidingWindow(sizes, strides: strides ?? sizes, padding: padding, dilations: dilations), at: SourceLocation(file, line))
    }

    public func maxPool2d(_ size: Int, stride: Int? = nil, padding: Int = 0, dilation: Int = 1, file: StaticString = #fileID,
                          line: UInt = #line) -> Self {
        maxPool([size, size], strides: [stride ?? size, stride ?? size], padding: [padding, padding], dilations: [dilation, dilation],
                file: file, line: line)
    }

    /// The mean of each window of the last `sizes.count` axes; padding counts as zeros, unless it is not to be counted.
    public func avgPool(_ sizes: [Int], strides: [Int]? = nil, padding: [Int]? = nil, countsPadding: Bool = true, file: StaticString = #fileID,
                        line: UInt = #line) -> Self {
        averagePooling(SlidingWindow(sizes, strides: strides ?? sizes, padding: padding, dilations: nil), countsPadding: countsPadding,
                       at: SourceLocation(file, line))
    }

    public func avgPool2d(_ size: Int, stride: Int? = nil, padding: Int = 0, countsPadding: Bool = true, file: StaticString = #fileID,
                          line: UInt = #line) -> Self {
        avgPool([size, size], strides: [stride ?? size, stride ?? size], padding: [padding, padding], countsPadding: countsPadding,
                file: file, line: line)
    }
}

extension SlidingWindow {
    /// Windows with as much padding before each axis as after it.
    fileprivate init(_ sizes: [Int], strides: [Int]?, padding: [Int]?, dilations: [Int]?) {
        let amounts = padding?.map { Dim.constant($0) }
        self.init(sizes, strides: strides, dilations: dilations, low: amounts, high: amounts)
    }
}

extension DType {
    /// What no element is less than.
    package var least: Scalar {
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

    /// What no element is greater than.
    package var greatest: Scalar {
        switch self {
        case .bool: .bool(true)
        case .f8e4m3: 448
        case .f16, .bf16, .f32, .f64, .f8e5m2: .real(.infinity)
        case .u8, .u16, .u32, .u64: .unsigned(bitWidth == 64 ? .max : 1 << UInt64(bitWidth) - 1)
        case .i8: .integer(Int64(Int8.max))
        case .i16: .integer(Int64(Int16.max))
        case .i32: .integer(Int64(Int32.max))
        case .i64: .integer(Int64.max)
        }
    }
}
