// Convolutions, their transposes, and columns of windows summed back to an image.

import KilnIR
import KilnOps

extension Operators {
    static let convolutions: [Operator] = [
        Operator("Conv") { node in
            try convolution(node, try node.tensor(0), bias: try node.tensorIfPresent(2))
        },
        Operator("FusedConv", .microsoft) { node in
            var result = try convolution(node, try node.tensor(0), bias: try node.tensorIfPresent(2))
            if let added = try node.tensorIfPresent(3) { result = result + added }
            return try node.fusedActivation(result)
        },
        Operator("NhwcConv", .microsoft, channelsLast),
        Operator("NhwcFusedConv", .microsoft, channelsLast),
        Operator("ConvTranspose") { node in
            let x = try node.tensor(0), weight = try node.tensor(1)
            let kernel = try node.kernelShape(of: weight)
            guard x.rank >= 3, weight.rank == x.rank else { throw node.mistake("has images of \(x.rank) axes and weights of \(weight.rank)") }
            let extents = Array(x.dims.dropFirst(2)), mode = node.text("auto_pad", "NOTSET")
            let extra = node.integers("output_padding")?.map { Dim.constant($0) }
            guard extra.map({ $0.count == kernel.count }) ?? true, node.integers("output_shape").map({ $0.count >= kernel.count }) ?? true else {
                throw node.mistake("has an output_shape or output_padding for other than \(kernel.count) spatial axes")
            }
            var window = try node.unpaddedWindow(kernel)
            if let shape = node.integers("output_shape") {
                window = window.padded(toReach: shape.suffix(kernel.count).map { .constant($0) }, from: extents, outputPadding: extra,
                                       moreAtEnd: mode == "SAME_UPPER")
            } else if mode.hasPrefix("SAME") {
                let outputs = zip(extents, window.strides).map { $0 * .constant($1) }
                window = window.padded(toReach: outputs, from: extents, outputPadding: extra, moreAtEnd: mode == "SAME_UPPER")
            } else if mode == "VALID" {
                window = SlidingWindow(kernel, strides: window.strides, dilations: window.dilations)
            }
            return x.convolvingTransposed(weight, window, bias: try node.tensorIfPresent(2), outputPadding: extra, groups: node.integer("group", 1))
        },
        // [n, c * block, windows] becomes [n, c, image…]: overlapping elements are added.
        Operator("Col2Im") { node in
            let x = try node.tensor(0)
            let image = try node.sizes(1, "the image's shape"), block = try node.integers(2, "the block's shape")
            guard x.rank == 3, image.count == block.count else { throw node.mistake("makes an image \(image) of blocks \(block) in \(x.dims)") }
            let window = try node.unpaddedWindow(block)
            let counts = window.counts(over: image), axes = Array(2..<2 + block.count)
            let channels = x.size(axis: 1) / block.map { Dim.constant($0) }.reduce(1, *)
            let columns = x.reshape([x.size(axis: 0), channels] + block.map { .constant($0) } + counts)
                .permuting([0, 1] + axes.map { $0 + block.count } + axes)
            let padded = zip(image, zip(window.low, window.high)).map { $0 + $1.0 + $1.1 }
            return columns.unwindowing(to: [x.size(axis: 0), channels] + padded, axes: axes, strides: window.strides, dilations: window.dilations)
                .slicing(starts: [0, 0] + window.low, ends: [x.size(axis: 0), channels] + zip(window.low, image).map { $0 + $1 })
        },
    ]

    /// Images [n, …, c]; the weights are [o, c / groups, …] all the same.
    private static func channelsLast(_ node: NodeContext) throws -> Value {
        var result = try convolution(node, try node.tensor(0).movingAxis(-1, to: 1), bias: try node.tensorIfPresent(2))
        if let added = try node.tensorIfPresent(3) { result = result + added.movingAxis(-1, to: 1) }
        return try node.fusedActivation(result).movingAxis(1, to: -1)
    }

    private static func convolution(_ node: NodeContext, _ x: Value, bias: Value?) throws -> Value {
        let weight = try node.tensor(1)
        guard x.rank >= 3, weight.rank == x.rank else { throw node.mistake("has images of \(x.rank) axes and weights of \(weight.rank)") }
        let window = try node.window(try node.kernelShape(of: weight), over: Array(x.dims.dropFirst(2)))
        return x.convolving(weight, window, bias: bias, groups: node.integer("group", 1))
    }
}

extension NodeContext {
    /// The attribute `activation` with its `activation_params`, of ONNX Runtime's fused operators.
    fileprivate func fusedActivation(_ x: Value) throws -> Value {
        let numbers = reals("activation_params") ?? []
        let number = { (index: Int, otherwise: Double) in index < numbers.count ? numbers[index] : otherwise }
        switch text("activation", "") {
        case "": return x
        case "Relu": return x.relu()
        case "Tanh": return x.tanh()
        case "Sigmoid": return x.sigmoid()
        case "LeakyRelu": return x.leakyRelu(number(0, 0.01))
        case "Clip": return x.clamp(number(0, -.infinity), number(1, .infinity))
        case "HardSigmoid": return (x * number(0, 0.2) + number(1, 0.5)).clamp(0.0, 1.0)
        case let other: throw Unsupported(reason: "there is no fused activation '\(other)'")
        }
    }
}
