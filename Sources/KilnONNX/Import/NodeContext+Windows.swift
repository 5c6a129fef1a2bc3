// The attributes that convolutions and pools have in common, as windows that slide along the spatial axes.

import KilnIR
import KilnOps

extension NodeContext {
    /// The node's windows over spatial axes of the given sizes, padded as `pads` or `auto_pad` says.
    func window(_ kernel: [Int], over extents: [Dim]) throws -> SlidingWindow {
        let window = try unpaddedWindow(kernel)
        guard window.sizes.count == extents.count else { throw mistake("has windows of \(window.sizes.count) axes for \(extents.count) spatial axes") }
        switch text("auto_pad", "NOTSET") {
        case "NOTSET", "": return window
        case "VALID": return SlidingWindow(window.sizes, strides: window.strides, dilations: window.dilations)
        case "SAME_UPPER": return window.paddedToKeepSizes(extents)
        case "SAME_LOWER": return window.paddedToKeepSizes(extents, moreAtEnd: false)
        case let other: throw mistake("has the unknown auto_pad '\(other)'")
        }
    }

    /// The node's windows with the padding of the attribute `pads`, whatever `auto_pad` says.
    func unpaddedWindow(_ kernel: [Int]) throws -> SlidingWindow {
        let pads = (integers("pads") ?? Array(repeating: 0, count: 2 * kernel.count)).map { Dim.constant($0) }
        guard pads.count == 2 * kernel.count else { throw mistake("has \(pads.count) numbers in 'pads' for \(kernel.count) spatial axes") }
        let window = SlidingWindow(kernel, strides: integers("strides"), dilations: integers("dilations"),
                                   low: Array(pads[..<kernel.count]), high: Array(pads[kernel.count...]))
        guard window.isValid, pads.allSatisfy({ (-1 << 31..<1 << 31).contains($0.constant ?? 0) }) else { throw mistake("has windows \(kernel) with strides \(window.strides) and dilations \(window.dilations)") }
        return window
    }

    /// The attribute `kernel_shape`.
    func kernelShape() throws -> [Int] {
        guard let kernel = integers("kernel_shape") else { throw mistake("has no attribute 'kernel_shape'") }
        return kernel
    }

    /// The weights' spatial sizes, which must be numbers.
    func kernelShape(of weight: Value) throws -> [Int] {
        let sizes = weight.dims.dropFirst(2).compactMap(\.constant)
        guard sizes.count == weight.rank - 2 else { throw Unsupported(reason: "the weights' window \(weight.dims) is not fixed") }
        if let stated = integers("kernel_shape"), stated != sizes { throw mistake("has the kernel_shape \(stated) for weights of \(sizes)") }
        return sizes
    }
}
