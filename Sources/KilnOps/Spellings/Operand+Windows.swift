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
