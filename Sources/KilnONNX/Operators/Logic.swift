// Operators of truth values, bits, comparisons and choices.

import KilnIR
import KilnOps

extension Operators {
    static let logic: [Operator] = [
        Operator("And") { let (a, b) = try $0.pair(); return a & b },
        Operator("Or") { let (a, b) = try $0.pair(); return a | b },
        Operator("Xor") { let (a, b) = try $0.pair(); return a ^ b },
        Operator("Not") { try $0.tensor(0).logicalNot() },
        Operator("BitwiseAnd") { let (a, b) = try $0.pair(); return a & b },
        Operator("BitwiseOr") { let (a, b) = try $0.pair(); return a | b },
        Operator("BitwiseXor") { let (a, b) = try $0.pair(); return a ^ b },
        Operator("BitwiseNot") { ~(try $0.tensor(0)) },
        Operator("BitShift") { node in
            let (a, b) = try node.pair()
            switch node.text("direction") {
            case "LEFT": return a << b
            case "RIGHT": return a >> b
            default: throw node.mistake("needs a direction, LEFT or RIGHT")
            }
        },

        Operator("Equal") { node in
            if try node.stored(0).element == .string { return try node.text(0).isText(try node.text(1)) }
            let (a, b) = try node.comparablePair()
            return a .== b
        },
        Operator("Greater") { let (a, b) = try $0.comparablePair(); return a .> b },
        Operator("GreaterOrEqual") { let (a, b) = try $0.comparablePair(); return a .>= b },
        Operator("Less") { let (a, b) = try $0.comparablePair(); return a .< b },
        Operator("LessOrEqual") { let (a, b) = try $0.comparablePair(); return a .<= b },

        Operator("IsNaN") { try $0.number(0).isNaN() },
        Operator("IsInf") { node in
            let x = try node.number(0)
            switch (node.flag("detect_positive", true), node.flag("detect_negative", true)) {
            case (true, true): return x.isInfinite()
            case (true, false): return x .== Double.infinity
            case (false, true): return x .== -Double.infinity
            case (false, false): return node.full(false, x.type.with(dtype: .bool))
            }
        },

        Operator("Where", items: { node in
            let (condition, a, b) = (try node.tensor(0), try node.stored(1), try node.stored(2))
            guard a.element == b.element else { throw node.mistake("chooses between elements of type \(a.element) and \(b.element)") }
            return [.tensor(ImportedTensor(condition.select(a.value, b.value), a.element))]
        }),
        Operator("Clip") { node in
            let x = try node.tensor(0)
            if node.version < 11 {
                let raised = node.real("min").map { x.maximum($0) } ?? x
                return node.real("max").map { raised.minimum($0) } ?? raised
            }
            let raised = try node.tensorIfPresent(1).map { x.maximum($0) } ?? x
            return try node.tensorIfPresent(2).map { raised.minimum($0) } ?? raised
        },

        Operator("Identity", items: { [try $0.item(0)] }),
        Operator("Dropout", items: { node in
            let x = try node.tensor(0)
            guard node.version >= 12, let training = try node.tensorIfPresent(2), node.literalIfKnown(training)?[0].isTrue != false else {
                return [.tensor(x), .tensor(node.full(true, x.type.with(dtype: node.version < 10 ? x.dtype : .bool)))]
            }
            let ratio = try node.tensorIfPresent(1)?.cast(to: x.dtype).reshape([]) ?? node.full(0.5, TensorType(x.dtype, []))
            let dropped = training.reshape([]).select(ratio, 0)
            let mask = Value.uniform(key: node.key, x.dims, dtype: .f32) .>= dropped.cast(to: .f32)
            return [.tensor(mask.select(x / (1 - dropped), 0)), .tensor(mask)]
        }),
    ]
}
