// Operators that quantize, that bring quantized numbers back, and that multiply and convolve quantized numbers.

import KilnIR
import KilnOps

extension Operators {
    static let quantization: [Operator] = quantizers.flatMap { [Operator($0.name, items: $0.translate), Operator($0.name, .microsoft, items: $0.translate)] }
        + quantizedProducts

    /// Those that ONNX Runtime has for more types under the same names.
    private static let quantizers: [Operator] = [
        Operator("QuantizeLinear", items: { node in
            let x = try node.tensor(0), block = node.integer("block_size", 0)
            let kind = try node.outputElement() ?? .uint8
            let quantization = try node.quantization(1, 2, kind) { try node.laid($0, along: x, axis: node.integer("axis", 1), block: block) }
            let scale = quantization.scale
            let dtype = try node.precision() ?? (scale.dtype.isFloat ? scale.dtype : .f64)
            let quotients = x.cast(to: dtype) / scale.cast(to: dtype)
            return [.tensor(ImportedTensor(try quantization.elements(ofQuotients: quotients, saturates: node.flag("saturate", true)), quantization.element))]
        }),
        Operator("DequantizeLinear", items: { node in
            let x = try node.stored(0), block = node.integer("block_size", 0)
            let quantization = try node.quantization(1, 2, x.element) { try node.laid($0, along: x.value, axis: node.integer("axis", 1), block: block) }
            return [.tensor(try quantization.reals(x.value, try node.outputElement()?.dtype))]
        }),
    ]

    private static let quantizedProducts: [Operator] = [
        Operator("DynamicQuantizeLinear", items: { node in
            let (elements, scale, zero) = try node.tensor(0).dynamicallyQuantized()
            return [.tensor(elements), .tensor(scale), .tensor(zero)]
        }),
        Operator("MatMulInteger") { node in
            let a = try node.centered(0, 2) { node.laidByRows($0) }, b = try node.centered(1, 3) { node.laidByColumns($0) }
            return a.matmul(b)
        },
        Operator("ConvInteger") { node in
            let x = try node.centered(0, 2) { $0.reshape([]) }, filters = try node.tensor(1)
            let weight = try node.centered(1, 3) { node.laidByFilters($0, of: filters) }
            return try node.convolution(x, weight)
        },
        Operator("QLinearMatMul", items: { try quantizedProduct($0) }),
        Operator("QLinearConv", items: { node in
            let x = try node.stored(0), weight = try node.stored(3)
            let from = try node.quantization(1, 2, x.element) { $0.reshape([]) }
            let by = try node.quantization(4, 5, weight.element) { node.laidByFilters($0, of: weight.value) }
            let to = try node.quantization(6, 7, x.element) { $0.reshape([]) }
            var sums = try node.convolution(try from.centered(x.value), try by.centered(weight.value))
            if let bias = try node.tensorIfPresent(8) { sums = sums + node.laidByChannels(bias, rank: sums.rank) }
            let channels = by.scale.rank == 0 ? by.scale : node.laidByChannels(by.scale.reshape([by.scale.type.elementCount]), rank: sums.rank)
            let factor = from.scale * channels / to.scale
            return [.tensor(ImportedTensor(try to.elements(ofQuotients: sums.cast(to: .f32) * factor), to.element))]
        }),
        // alpha · a · b + c, where c is in units of the products.
        Operator("QGemm", .microsoft, items: { node in
            let a = try node.stored(0), b = try node.stored(3)
            let left = try node.quantization(1, 2, a.element) { $0.reshape([]) }
            let right = try node.quantization(4, 5, b.element) { node.laidByColumns($0) }
            let x = try left.centered(node.flag("transA") ? a.value.t() : a.value)
            let y = try right.centered(node.flag("transB") ? b.value.t() : b.value)
            var sums = x.matmul(y)
            if let c = try node.tensorIfPresent(6) { sums = sums + c }
            let factor = left.scale * right.scale * node.real("alpha", 1)
            guard node.has(7) else { return [.tensor(sums.cast(to: .f32) * factor)] }
            let to = try node.quantization(7, 8, a.element) { $0.reshape([]) }
            return [.tensor(ImportedTensor(try to.elements(ofQuotients: sums.cast(to: .f32) * (factor / to.scale)), to.element))]
        }),
        Operator("MatMulIntegerToFloat", .microsoft) { node in
            let a = try node.centered(0, 4) { node.laidByRows($0) }, b = try node.centered(1, 5) { node.laidByColumns($0) }
            let factor = node.laidByRows(try node.tensor(2)) * node.laidByColumns(try node.tensor(3))
            let product = a.matmul(b).cast(to: .f32) * factor
            return try node.tensorIfPresent(6).map { product + $0 } ?? product
        },
    ]

    private static func quantizedProduct(_ node: NodeContext) throws -> [Item] {
        let a = try node.stored(0), b = try node.stored(3)
        let left = try node.quantization(1, 2, a.element) { node.laidByRows($0) }
        let right = try node.quantization(4, 5, b.element) { node.laidByColumns($0) }
        let to = try node.quantization(6, 7, a.element) { node.laidByRows($0) }
        let factor = left.scale.cast(to: .f32) * right.scale.cast(to: .f32) / to.scale.cast(to: .f32)
        let (x, y) = (try left.centered(a.value), try right.centered(b.value))
        let product = x.dtype == y.dtype ? x.matmul(y) : x.cast(to: .f32).matmul(y.cast(to: .f32))
        return [.tensor(ImportedTensor(try to.elements(ofQuotients: product.cast(to: .f32) * factor), to.element))]
    }
}

extension NodeContext {
    /// The type that `output_dtype` names; 0 stands for none.
    fileprivate func outputElement() throws -> ElementType? { integer("output_dtype", 0) == 0 ? nil : try element("output_dtype") }

    /// The dtype that `precision` names; 0 stands for none.
    fileprivate func precision() throws -> DType? { integer("precision", 0) == 0 ? nil : try element("precision")?.dtype }

    /// Input `number` in i32 less the zero point at input `zero`.
    fileprivate func centered(_ number: Int, _ zero: Int, laid: (Value) throws -> Value) throws -> Value {
        let wide = try tensor(number).cast(to: .i32)
        return try tensorIfPresent(zero).map { wide - (try laid($0)).cast(to: .i32) } ?? wide
    }

    /// A convolution of what the node's inputs became, with its attributes.
    fileprivate func convolution(_ x: Value, _ weight: Value) throws -> Value {
        guard x.rank >= 3, weight.rank == x.rank else { throw mistake("has images of \(x.rank) axes and weights of \(weight.rank)") }
        return x.convolving(weight, try window(try kernelShape(of: weight), over: Array(x.dims.dropFirst(2))), groups: integer("group", 1))
    }

    /// A weights' scale or zero point: one number, or one for each output channel.
    fileprivate func laidByFilters(_ value: Value, of weight: Value) -> Value {
        value.type.elementCount == 1 ? value.reshape([]) : value.appendingAxes(weight.rank - 1)
    }

    /// One number for each channel of an image of so many axes.
    fileprivate func laidByChannels(_ value: Value, rank: Int) -> Value { value.appendingAxes(rank - 2) }
}
