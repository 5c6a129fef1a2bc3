// Operators that make tensors from nothing but attributes and sizes.

import Foundation
import KilnIR
import KilnOps

extension Operators {
    static let constants: [Operator] = [
        Operator("Constant", items: { node in
            let (literal, element) = try node.constantAttribute()
            return [.tensor(ImportedTensor(node.literal(literal), element))]
        }),
        Operator("ConstantOfShape", items: { node in
            let value = try node.constant("value") ?? (Literal(.f32, [1], scalars: [.real(0)]), .float)
            guard value.literal.count == 1 else { throw node.mistake("fills with \(value.literal.count) elements, and takes one") }
            let shape = try node.sizes(0, "the shape")
            return [.tensor(ImportedTensor(node.full(value.literal[0], TensorType(value.literal.dtype, shape)), value.element))]
        }),
        Operator("EyeLike") { node in
            let x = try node.stored(0)
            guard x.value.rank == 2 else { throw node.mistake("takes a matrix, was given \(x.value.type)") }
            guard let dtype = try node.nativeDType(node.element("dtype") ?? x.element) else { throw Unsupported(reason: "the result is of type \(x.element)") }
            let row = x.value.iota(.i64, x.value.dims, axis: 0), column = x.value.iota(.i64, x.value.dims, axis: 1)
            return (row + node.integer("k", 0) .== column).cast(to: dtype)
        },
        Operator("Range") { node in
            let ends = try (0..<3).map { try node.tensor($0).reshape([]) }
            let what = ["where the range starts", "where the range ends", "the range's step"]
            let known = try ends.indices.map { number -> KnownElement in
                if let element = node.scope.contents.elements(of: ends[number])?.first { return element }
                throw node.importer.unknown(node, what[number], [ends[number]])
            }
            let dtype = ends[0].dtype, scalars = known.compactMap(\.scalar)
            if scalars.count == 3, dtype.isFloat {
                let (start, end, step) = (scalars[0].double, scalars[1].double, scalars[2].double)
                let count = ((end - start) / step).rounded(.up)
                guard count < 0x1p40 else { throw node.mistake("has \(count) elements") }
                return node.range(count > 0 ? .constant(Int(count)) : 0, from: ends[0], by: ends[2])
            }
            guard let start = known[0].integral, let end = known[1].integral, let step = known[2].integral?.constant, step != 0 else {
                throw Unsupported(reason: "the range from \(known[0]) to \(known[1]) by \(known[2]) has no size that can be said")
            }
            let distance = step > 0 ? end - start : start - end
            let count = distance.dividedUp(by: .constant(Int(clamping: step.magnitude)))
            return node.range(SizeFacts.isKnown(count, atLeast: 0) ? count : .maximum(0, count), from: ends[0], by: ends[2])
        },
        Operator("OneHot", items: { node in
            let indices = try node.tensor(0), values = try node.stored(2)
            let depth = try node.sizes(1, "how many positions there are")
            guard depth.count == 1, values.value.type.shape == [2] else { throw node.mistake("takes one depth and two values") }
            let axis = try node.axis(node.integer("axis", -1), rank: indices.rank, allowsEnd: true)
            var shape = indices.dims
            shape.insert(depth[0], at: axis)
            let axes = shape.indices.filter { $0 != axis }
            let wide = indices.cast(to: .i64).broadcasting(to: shape, axes: axes)
            let extent = node.sizes(depth).reshaping(to: []).broadcasting(to: shape, axes: [])
            let hit = wide.iota(.i64, shape, axis: axis) .== (wide .< 0).select(wide + extent, wide)
            let (off, on) = (values.value.select(axis: 0, index: 0), values.value.select(axis: 0, index: 1))
            return [.tensor(ImportedTensor(hit.select(on.broadcasting(to: shape, axes: []), off.broadcasting(to: shape, axes: [])), values.element))]
        }),
    ]
}

extension NodeContext {
    /// What a `Constant` holds, in the one of its attributes that it has.
    fileprivate func constantAttribute() throws -> (Literal, ElementType) {
        func texts(_ texts: [Data], _ shape: [Int]) -> (Literal, ElementType) {
            (Literal(utf8: texts.map { [UInt8]($0) }, shape), .string)
        }
        for given in node.attribute {
            guard let attribute = attribute(given.name) else { continue }
            switch given.name {
            case "value": return try importer.read(attribute.t)
            case "sparse_value": return try importer.readSparse(attribute.sparseTensor)
            case "value_int": return (Literal(.i64, [], scalars: [.integer(attribute.i)]), .int64)
            case "value_ints": return (Literal(.i64, [attribute.ints.count], scalars: attribute.ints.map { .integer($0) }), .int64)
            case "value_float": return (Literal(.f32, [], scalars: [.real(Double(attribute.f))]), .float)
            case "value_floats": return (Literal(.f32, [attribute.floats.count], scalars: attribute.floats.map { .real(Double($0)) }), .float)
            case "value_string": return texts([attribute.s], [])
            case "value_strings": return texts(attribute.strings, [attribute.strings.count])
            default: continue
            }
        }
        throw mistake("has no value")
    }

    /// The dtype that an element type is, where it is one.
    func nativeDType(_ element: ElementType) -> DType? { element.isNative ? element.dtype : nil }

    /// `count` numbers from one on by a step, both of rank 0. Narrow floats are computed in a wide one, so that each is rounded once.
    fileprivate func range(_ count: Dim, from start: Value, by step: Value) -> Value {
        let dtype = start.dtype, wide: DType = dtype.isFloat ? (dtype == .f64 ? .f64 : .f32) : dtype
        let positions = start.iota(.i64, [count], axis: 0).cast(to: wide)
        func spread(_ value: Value) -> Value { value.cast(to: wide).broadcasting(to: [count], axes: []) }
        return (positions * spread(step) + spread(start)).cast(to: dtype)
    }
}
