// Resize and Upsample: which axes change, to what size and by what scale. Each axis is resampled by itself.

import KilnIR
import KilnOps

extension Operators {
    static let resizing: [Operator] = [
        Operator("Resize", items: { try ResizePlan($0).resized() }),
        Operator("Upsample", items: { try ResizePlan(upsample: $0).resized() }),
    ]
}

/// What a node resizes.
private struct ResizePlan {
    let node: NodeContext
    let x: Value
    let element: ElementType
    var axes: [AxisResampling] = []

    init(_ node: NodeContext) throws {
        self.node = node
        (x, element) = try Self.operand(node)
        if node.version < 11 {
            try scale(by: try node.literal(1, "the scales"), of: Array(0..<x.rank), .old(node))
            return
        }
        let numbers = try (node.integers("axes") ?? Array(0..<x.rank)).map { try node.axis($0, rank: x.rank) }
        let rule = try ResamplingRule(node)
        if try Self.isGiven(2, node) {
            try scale(by: try node.literal(2, "the scales"), of: numbers, rule)
        } else {
            guard node.has(3) else { throw node.mistake("gives neither scales nor sizes") }
            try resize(to: try node.sizes(3, "the new sizes"), numbers, rule)
        }
        guard rule.position == .cropped else { return }
        let bounds = try node.tensor(1).cast(to: .f64)
        for (number, axis) in numbers.enumerated() {
            let end = number + numbers.count
            axes[axis].crop = (bounds.slice(axis: 0, from: number, to: number + 1).reshape([]), bounds.slice(axis: 0, from: end, to: end + 1).reshape([]))
        }
    }

    init(upsample node: NodeContext) throws {
        self.node = node
        (x, element) = try Self.operand(node)
        let rule = ResamplingRule.old(node)
        if node.version >= 9 {
            try scale(by: try node.literal(1, "the scales"), of: Array(0..<x.rank), rule)
        } else if let scales = node.reals("scales") {
            try scale(by: scales, of: Array(0..<x.rank), rule)
        } else {
            try scale(by: [1, 1, node.real("height_scale", 1), node.real("width_scale", 1)], of: Array(0..<x.rank), rule)
        }
    }

    private static func operand(_ node: NodeContext) throws -> (Value, ElementType) {
        let tensor = try node.stored(0)
        return (tensor.value, tensor.element)
    }

    /// Exporters give an empty tensor for what they leave out.
    private static func isGiven(_ number: Int, _ node: NodeContext) throws -> Bool {
        try node.storedIfPresent(number).map { $0.value.dims != [0] } ?? false
    }

    private mutating func scale(by literal: Literal, of numbers: [Int], _ rule: ResamplingRule) throws {
        try scale(by: (0..<literal.count).map { literal[$0].double }, of: numbers, rule)
    }

    private mutating func scale(by scales: [Double], of numbers: [Int], _ rule: ResamplingRule) throws {
        guard scales.count == numbers.count else { throw node.mistake("has \(scales.count) scales for \(numbers.count) axes") }
        guard scales.allSatisfy({ $0 > 0x1p-31 && $0 < 0x1p31 }) else { throw node.mistake("has the scales \(scales), which are not positive or absurd") }
        axes = x.dims.map { AxisResampling(input: $0, output: $0, rule: rule) }
        for (axis, scale) in zip(numbers, scales) {
            let scale = ResamplingScale(scale)
            axes[axis].scale = scale
            axes[axis].output = scale.scaled(x.size(axis: axis))
        }
    }

    private mutating func resize(to sizes: [Dim], _ numbers: [Int], _ rule: ResamplingRule) throws {
        guard sizes.count == numbers.count else { throw node.mistake("has \(sizes.count) sizes for \(numbers.count) axes") }
        axes = x.dims.map { AxisResampling(input: $0, output: $0, rule: rule) }
        for (axis, size) in zip(numbers, sizes) { axes[axis].output = size }
        let policy = node.text("keep_aspect_ratio_policy", "stretch")
        guard policy != "stretch" else { return }
        let scales = numbers.compactMap { axis -> ResamplingScale? in
            guard let input = x.size(axis: axis).constant, let output = axes[axis].output.constant, input > 0, output > 0 else { return nil }
            return ResamplingScale(output, over: input)
        }
        guard scales.count == numbers.count else { throw Unsupported(reason: "the aspect ratio is to be kept, and sizes are not fixed") }
        let isLess = { (a: ResamplingScale, b: ResamplingScale) in a.value < b.value }
        guard let scale = policy == "not_larger" ? scales.min(by: isLess) : scales.max(by: isLess) else { return }
        guard scale.value < 0x1p31 else { throw node.mistake("has absurd sizes \(sizes) for \(x.dims)") }
        for axis in numbers {
            axes[axis].scale = scale
            axes[axis].output = scale.scaled(x.size(axis: axis), roundsHalfUp: true)
        }
    }

    func resized() throws -> [Item] { [.tensor(ImportedTensor(try result(), element))] }

    private func result() throws -> Value {
        let changed = axes.indices.filter { axes[$0].changes }
        guard !changed.isEmpty else { return x }
        if axes[changed[0]].rule.mode == .nearest {
            return try changed.reduce(x) { try axes[$1].nearest($0, axis: $1, node) }
        }
        guard element.isNative else { throw Unsupported(reason: "elements of type \(element) can't be interpolated") }
        let wide: DType = x.dtype.isFloat ? x.dtype == .f64 ? .f64 : .f32 : x.dtype.byteCount >= 4 ? .f64 : .f32
        let result = try changed.reduce(x.cast(to: wide)) { try axes[$1].interpolated($0, axis: $1, node) }
        return x.dtype.isFloat ? result.cast(to: x.dtype) : result.round().cast(to: x.dtype)
    }
}
