// ONNX Runtime's own operators on quantized tensors: each is the plain operator between the way to reals and the way back.

import KilnIR
import KilnOps

extension Operators {
    static let quantizedContributions: [Operator] = [
        Operator("QLinearAdd", .microsoft, items: { try combined($0) { $0 + $1 } }),
        Operator("QLinearMul", .microsoft, items: { try combined($0) { $0 * $1 } }),
        Operator("QLinearSigmoid", .microsoft, items: { try mapped($0) { $0.sigmoid() } }),
        Operator("QLinearLeakyRelu", .microsoft, items: { node in try mapped(node) { $0.leakyRelu(node.real("alpha", 0.01)) } }),
        Operator("QLinearSoftmax", .microsoft, items: { node in
            try mapped(node) { x in
                let axis = try node.axis(node.integer("axis", -1), rank: x.rank)
                guard node.integer("opset", 13) < 13 else { return x.softmax(axis) }
                // Older ones take the axes from this one on as one.
                let rows = x.reshape([x.dims.prefix(axis).reduce(1, *), x.dims.dropFirst(axis).reduce(1, *)])
                return rows.softmax(1).reshape(x.dims)
            }
        }),
        Operator("QLinearGlobalAveragePool", .microsoft, items: { node in
            try mapped(node) { x in
                x.mean(x.spatialAxes.map { node.flag("channels_last") ? $0 - 1 : $0 }, keepDims: true)
            }
        }),
        Operator("QLinearAveragePool", .microsoft, items: { node in
            try mapped(node) { x in
                let isLast = node.flag("channels_last")
                let image = isLast ? x.movingAxis(-1, to: 1) : x
                let window = try node.window(try node.kernelShape(), over: Array(image.dims.dropFirst(2)))
                let pooled = image.averagePooling(window, roundsUp: node.flag("ceil_mode"), countsPadding: node.flag("count_include_pad"))
                return isLast ? pooled.movingAxis(1, to: -1) : pooled
            }
        }),
        Operator("QLinearConcat", .microsoft, items: { node in
            let parts = try stride(from: 2, to: node.inputCount, by: 3).map { (try node.quantized($0), try node.stored($0).element) }
            guard let (first, element) = parts.first, let place = node.integer("axis") else { throw node.mistake("has no inputs or no axis") }
            let result = Value.concatenate(parts.map(\.0), axis: try node.axis(place, rank: first.rank))
            return [try node.requantized(result, 0, element)]
        }),
        Operator("QLinearWhere", .microsoft, items: { node in
            let result = try node.tensor(0).select(try node.quantized(1), try node.quantized(4))
            return [try node.requantized(result, 7, try node.stored(1).element)]
        }),

        // The left operand is quantized as DynamicQuantizeLinear does it; products of what it becomes are exact.
        Operator("DynamicQuantizeMatMul", .microsoft) { node in
            let x = try node.tensor(0), weight = try node.stored(1)
            let by = try node.quantization(2, 3, weight.element) { node.laidByColumns($0) }
            let (elements, scale, zero) = x.dynamicallyQuantized()
            let sums = (elements.cast(to: .i32) - zero.cast(to: .i32)).matmul(try by.centered(weight.value))
            let product = sums.cast(to: .f32) * (scale * by.scale)
            return try node.tensorIfPresent(4).map { product + $0 } ?? product
        },
    ]

    /// An operator of two quantized tensors.
    private static func combined(_ node: NodeContext, _ combine: (Value, Value) -> Value) throws -> [Item] {
        [try node.requantized(combine(try node.quantized(0), try node.quantized(3)), 6, try node.stored(0).element)]
    }

    /// An operator of one quantized tensor.
    private static func mapped(_ node: NodeContext, _ map: (Value) throws -> Value) throws -> [Item] {
        [try node.requantized(try map(try node.quantized(0)), 3, try node.stored(0).element)]
    }
}

extension NodeContext {
    /// The reals of the quantized tensor at input `number`, whose scale and zero point, each one number, follow it.
    fileprivate func quantized(_ number: Int) throws -> Value {
        let x = try stored(number)
        return try quantization(number + 1, number + 2, x.element) { $0.reshape([]) }.reals(x.value)
    }

    /// Reals as elements by the scale at input `number` and the zero point behind it.
    fileprivate func requantized(_ reals: Value, _ number: Int, _ element: ElementType) throws -> Item {
        let to = try quantization(number, number + 1, element) { $0.reshape([]) }
        return .tensor(ImportedTensor(try to.elements(reals), to.element))
    }
}
