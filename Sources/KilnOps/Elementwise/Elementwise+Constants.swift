// Values that come from no operand: literals, one number everywhere, positions along an axis.

import KilnIR

extension Elementwise {
    static let constants = [literal, full, iota]

    /// A value of the graph itself.
    public static let literal = OpDefinition(
        "literal", operandCount: 0, attributes: ["value"],
        infer: { context in
            guard let value = context.attributes.literal("value") else {
                throw context.error("needs the attribute `value`, a literal", fix: "give `value`")
            }
            return [value.type]
        },
        form: { context in
            guard let value = context.attributes.literal("value") else { throw InternalError("literal", "has no value") }
            return .constant(value)
        },
        pullback: { _ in [] },
        samples: { dtype in
            [OpSample([], ["value": .literal(Literal(dtype, [2, 3], doubles: [0, 1, 1, 0, 1, 0]))]),
             OpSample([], ["value": .literal(Literal(dtype, [], doubles: [1]))])]
        })

    /// One number everywhere; the shape may hold symbols.
    public static let full = OpDefinition(
        "full", operandCount: 0, attributes: ["value", "dtype", "shape"],
        infer: { context in
            guard context.attributes.scalar("value") != nil, let dtype = context.attributes.dtype("dtype"),
                case .dims(let shape)? = context.attributes["shape"] else {
                let missing = ["value", "dtype", "shape"].filter { context.attributes[$0] == nil }
                if !missing.isEmpty { throw context.error("has no \(missing.map { "`\($0)`" }.joined(separator: " and no "))", fix: "give `value`, `dtype` and `shape`") }
                throw context.error("needs a number or a truth value as `value`, a type as `dtype` and a list of sizes as `shape`",
                                    fix: "write them as in `full {value = 1.0, dtype = f32, shape = [2, 3]}`")
            }
            return [TensorType(dtype, shape)]
        },
        form: { context in
            guard let value = context.attributes.scalar("value"), let dtype = context.attributes.dtype("dtype") else {
                throw InternalError("full", "has no value or no dtype")
            }
            return .elementwise(ScalarExpr([]) { _ in ScalarArena().constant(value, dtype) })
        },
        pullback: { _ in [] },
        samples: { dtype in
            [OpSample([], ["value": .scalar(Scalar.integer(1).converted(to: dtype)), "dtype": .dtype(dtype), "shape": .dims([2, 3])])]
        })

    /// The position along an axis.
    public static let iota = OpDefinition(
        "iota", operandCount: 0, attributes: ["dtype", "shape", "axis"], dtypes: DType.numbers,
        infer: { context in
            guard let dtype = context.attributes.dtype("dtype"), dtype != .bool, case .dims(let shape)? = context.attributes["shape"],
                case .int(let axis)? = context.attributes["axis"] else {
                throw context.error("needs the attributes `dtype` (a number's), `shape` and `axis`", fix: "give all three")
            }
            guard shape.indices.contains(axis) else {
                throw context.error("axis \(axis) is not one of the \(shape.count) axes of the shape", fix: "give an axis from 0 to \(shape.count - 1)")
            }
            return [TensorType(dtype, shape)]
        },
        form: { context in
            let dtype = context.attributes.dtype("dtype") ?? .i64
            let axis = context.attributes.int("axis")
            let isNarrow = dtype.isNarrowFloat
            return .elementwise(ScalarExpr([]) { _ in
                let position = ScalarArena().index(axis)
                return (isNarrow ? position.converted(to: .f32) : position).converted(to: dtype)
            })
        },
        pullback: { _ in [] },
        samples: { dtype in
            [OpSample([], ["dtype": .dtype(dtype), "shape": .dims([3, 4]), "axis": .int(1)]),
             OpSample([], ["dtype": .dtype(dtype), "shape": .dims([3, 4]), "axis": .int(0)])]
        })
}
