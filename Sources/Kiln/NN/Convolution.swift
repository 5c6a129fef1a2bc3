// Convolutions and pooling as layers: [batch, channels, sizes…] → [batch, channels, sizes…].
import KilnIR
import KilnOps

/// One number for each spatial axis, or one for all: `3`, `[3, 5]`.
public struct Extent: ExpressibleByIntegerLiteral, ExpressibleByArrayLiteral, Sendable {
    private let values: [Int]
    public init(_ value: Int) { values = [value] }
    public init(integerLiteral value: Int) { values = [value] }
    public init(arrayLiteral elements: Int...) { values = elements }

    /// For a number of axes; a wrong number of numbers is left for the op to refuse.
    func sizes(_ count: Int) -> [Int] { values.count == 1 ? Array(repeating: values[0], count: count) : values }
}

/// What convolutions of all ranks have in common.
public class ConvolutionLayer: LocatedLayer {
    /// [outputs, channels / groups, kernel…]
    public let weight: Parameter
    public let bias: Parameter?
    private let stride: [Int]
    private let padding: [Int]
    private let dilation: [Int]
    private let groups: Int

    init(_ inputs: Int, _ outputs: Int, _ kernel: [Int], _ stride: Extent, _ padding: Extent, _ dilation: Extent, _ groups: Int, bias: Bool,
         _ dtype: DType) {
        let channels = inputs / max(groups, 1)
        weight = Parameter(Initialization.layerWeight([outputs, channels] + kernel, dtype))
        self.bias = bias ? Parameter(Initialization.layerBias(outputs, inputs: channels * kernel.reduce(1, *), dtype)) : nil
        self.stride = stride.sizes(kernel.count)
        self.padding = padding.sizes(kernel.count)
        self.dilation = dilation.sizes(kernel.count)
        self.groups = groups
    }

    public func callAsFunction(_ input: Tensor, file: StaticString = #fileID, line: UInt = #line) -> Tensor {
        named(input, file, line) {
            input.convolution(weight.value, bias: bias?.value, strides: stride, padding: padding, dilations: dilation, groups: groups)
        }
    }
}

/// [batch, inputs, length] → [batch, outputs, length'].
public final class Conv1d: ConvolutionLayer {
    public init(_ inputs: Int, _ outputs: Int, kernel: Int, stride: Int = 1, padding: Int = 0, dilation: Int = 1, groups: Int = 1,
                bias: Bool = true, dtype: DType = .f32) {
        super.init(inputs, outputs, [kernel], Extent(stride), Extent(padding), Extent(dilation), groups, bias: bias, dtype)
    }
}

/// [batch, inputs, height, width] → [batch, outputs, height', width'].
public final class Conv2d: ConvolutionLayer {
    public init(_ inputs: Int, _ outputs: Int, kernel: Extent, stride: Extent = 1, padding: Extent = 0, dilation: Extent = 1, groups: Int = 1,
                bias: Bool = true, dtype: DType = .f32) {
        super.init(inputs, outputs, kernel.sizes(2), stride, padding, dilation, groups, bias: bias, dtype)
    }
}

/// The greatest element of each window: [batch, channels, height, width] → [batch, channels, height', width'].
public final class MaxPool2d: LocatedLayer {
    private let kernel: Extent
    private let stride: Extent
    private let padding: Extent
    private let dilation: Extent

    public init(_ kernel: Extent, stride: Extent? = nil, padding: Extent = 0, dilation: Extent = 1) {
        self.kernel = kernel
        self.stride = stride ?? kernel
        self.padding = padding
        self.dilation = dilation
    }

    public func callAsFunction(_ input: Tensor, file: StaticString = #fileID, line: UInt = #line) -> Tensor {
        named(input, file, line) {
            input.maxPool(kernel.sizes(2), strides: stride.sizes(2), padding: padding.sizes(2), dilations: dilation.sizes(2))
        }
    }
}

/// The mean of each window: [batch, channels, height, width] → [batch, channels, height', width'].
public final class AvgPool2d: LocatedLayer {
    private let kernel: Extent
    private let stride: Extent
    private let padding: Extent

    public init(_ kernel: Extent, stride: Extent? = nil, padding: Extent = 0) {
        self.kernel = kernel
        self.stride = stride ?? kernel
        self.padding = padding
    }

    public func callAsFunction(_ input: Tensor, file: StaticString = #fileID, line: UInt = #line) -> Tensor {
        named(input, file, line) { input.avgPool(kernel.sizes(2), strides: stride.sizes(2), padding: padding.sizes(2)) }
    }
}
