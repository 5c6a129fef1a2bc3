// Operators of signal processing: Fourier transforms, windows and mel filters.

import Foundation
import KilnIR
import KilnOps

extension Operators {
    static let signals: [Operator] = [
        Operator("DFT") { node in
            let x = try node.tensor(0)
            let axis = try node.version >= 20 ? node.has(2) ? node.integers(2, "the axis").first ?? -2 : -2 : node.integer("axis", 1)
            let length = try node.has(1) ? node.sizes(1, "the length of the transform").first : nil
            let transform = FourierTransform(isInverse: node.flag("inverse"), isOneSided: node.flag("onesided"))
            return try transform(x, axis: try node.axis(axis, rank: x.rank), length: length)
        },
        Operator("STFT") { node in
            var x = try node.tensor(0)
            if x.rank == 2 { x = x.unsqueezed(2) }
            let window = try node.tensorIfPresent(2)
            guard let step = try node.integers(1, "the step").first else { throw node.mistake("needs a step") }
            guard let length = try (node.has(3) ? node.sizes(3, "the length of a frame").first : window?.dims.first ?? x.size(axis: 1))?.constant else {
                throw Unsupported(reason: "frames whose length is not fixed")
            }
            var frames = x.windowing([1], sizes: [length], strides: [step], dilations: [1])
            if let window { frames = frames * window.cast(to: x.dtype) }
            // From [batch, frames, parts, length].
            return try FourierTransform(isOneSided: node.flag("onesided", true))(frames.movingAxis(2, to: 3), axis: 2)
        },
        window("HannWindow") { 0.5 - 0.5 * cos($0) },
        window("HammingWindow") { 25.0 / 46 - 21.0 / 46 * cos($0) },
        window("BlackmanWindow") { 0.42 - 0.5 * cos($0) + 0.08 * cos(2 * $0) },
        Operator("MelWeightMatrix", items: { node in
            let numbers = try (0..<5).map { try node.literal($0, "the filters") }.map { $0.count == 1 ? $0[0].double : .nan }
            guard let count = Int(exactly: numbers[0]), let length = Int(exactly: numbers[1]) else { throw node.mistake("takes five numbers") }
            let element = try node.element("output_datatype") ?? .float
            guard element.isNative, let dtype = element.dtype else { throw Unsupported(reason: "filters of type \(element)") }
            let filters = try melFilters(node, count: count, length: length, rate: numbers[2], from: numbers[3], to: numbers[4])
            return [.tensor(node.literal(Literal(dtype, filters.shape, doubles: filters.values)))]
        }),
    ]

    /// Tables that are made when a model is imported are no larger than this.
    static let mostTableElements = 1 << 24

    /// A window by its value at an angle between 0 and 2π.
    private static func window(_ name: String, _ value: @escaping @Sendable (Double) -> Double) -> Operator {
        Operator(name) { node in
            guard let size = try node.integers(0, "the window's size").first, size >= 0, size < Operators.mostTableElements else { throw node.mistake("needs a size") }
            let element = try node.element("output_datatype") ?? .float
            guard element.isNative, let dtype = element.dtype else { throw Unsupported(reason: "a window of type \(element)") }
            let period = Double(max(node.flag("periodic", true) ? size : size - 1, 1))
            return node.literal(Literal(dtype, [size], doubles: (0..<size).map { value(2 * Double.pi * Double($0) / period) }))
        }
    }

    /// Triangles whose corners are equally far apart on the mel scale: [frequencies, filters].
    private static func melFilters(_ node: NodeContext, count: Int, length: Int, rate: Double, from low: Double, to high: Double) throws
        -> (shape: [Int], values: [Double]) {
        let mel = { (hertz: Double) in 2595 * log10(1 + hertz / 700) }
        let rows = length / 2 + 1
        guard count >= 0, length >= 0, count < 1 << 16, length < 1 << 20, count * length < Operators.mostTableElements, rate > 0, low >= 0, high >= low, high <= rate else { throw node.mistake("has no filters of \(length) frequencies at a rate of \(rate)") }
        let corners = (0..<count + 2).map { number in
            let place = mel(low) + Double(number) * (mel(high) - mel(low)) / Double(count + 2)
            return Int((Double(length + 1) * 700 * (pow(10, place / 2595) - 1) / rate).rounded(.down))
        }
        guard corners.allSatisfy({ (0...rows).contains($0) }) else { throw node.mistake("has filters beyond half the sampling rate") }
        var values = [Double](repeating: 0, count: rows * count)
        for filter in 0..<count {
            let (left, center, right) = (corners[filter], corners[filter + 1], corners[filter + 2])
            for row in left..<max(right, center + 1) where row < rows {
                values[row * count + filter] = row < center ? Double(row - left) / Double(center - left)
                    : row == center ? 1 : Double(right - row) / Double(right - center)
            }
        }
        return ([rows, count], values)
    }
}
