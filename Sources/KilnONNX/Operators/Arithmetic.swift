// Operators of arithmetic and functions of single numbers. In: nodes' inputs, which broadcast. Out: one value of their type.

import KilnIR
import KilnOps

extension Operators {
    static let arithmetic: [Operator] = [
        Operator("Add") { let (a, b) = try $0.pair(); return a + b },
        Operator("Sub") { let (a, b) = try $0.pair(); return a - b },
        Operator("Mul") { let (a, b) = try $0.pair(); return a * b },
        Operator("Div") { let (a, b) = try $0.pair(); return a / b },
        Operator("Mod") { node in
            let (a, b) = try node.pair()
            return node.flag("fmod") ? a % b : a.modulus(b)
        },
        Operator("Pow") { let (a, b) = try $0.pair(); return a.power(b) },
        Operator("Max") { try $0.folded { $0.maximum($1) } },
        Operator("Min") { try $0.folded { $0.minimum($1) } },
        Operator("Sum") { try $0.folded { $0 + $1 } },
        Operator("Mean") { node in try node.folded { $0 + $1 } / node.inputCount },

        Operator("Neg") { -(try $0.tensor(0)) },
        Operator("Abs") { try $0.tensor(0).abs() },
        Operator("Sign") { try $0.tensor(0).sign() },
        Operator("Reciprocal") { try $0.tensor(0).reciprocal() },
        Operator("Sqrt") { try $0.tensor(0).sqrt() },
        Operator("Exp") { try $0.tensor(0).exp() },
        Operator("Log") { try $0.tensor(0).log() },
        Operator("Floor") { try $0.tensor(0).floor() },
        Operator("Ceil") { try $0.tensor(0).ceil() },
        Operator("Round") { try $0.tensor(0).round() },
        Operator("Erf") { try $0.tensor(0).erf() },

        Operator("Sin") { try $0.tensor(0).sin() },
        Operator("Cos") { try $0.tensor(0).cos() },
        Operator("Tan") { try $0.tensor(0).tan() },
        Operator("Asin") { try $0.tensor(0).asin() },
        Operator("Acos") { try $0.tensor(0).acos() },
        Operator("Atan") { try $0.tensor(0).atan() },
        Operator("Sinh") { try $0.tensor(0).sinh() },
        Operator("Cosh") { try $0.tensor(0).cosh() },
        Operator("Tanh") { try $0.tensor(0).tanh() },
        Operator("Asinh") { try $0.tensor(0).asinh() },
        Operator("Acosh") { try $0.tensor(0).acosh() },
        Operator("Atanh") { try $0.tensor(0).atanh() },
    ]
}

extension Operand {
    /// The remainder with the divisor's sign, as Python's `%`.
    fileprivate func modulus(_ other: Self) -> Self {
        let rest = self % other
        if dtype.isUnsigned { return rest }
        let differs = (rest .< 0) .!= (other .< 0)
        if dtype.isFloat { return (rest .== 0).select((other .< 0).select(rest.copied(-0.0), rest.copied(0.0)), differs.select(rest + other, rest)) }
        // Where the signs differ the sum is in range; its remainder leaves 0 as it is.
        return differs.select((rest + other) % other, rest)
    }

    /// A number everywhere.
    private func copied(_ number: Double) -> Self { full(.real(number), type, at: .unknown) }

    /// The power in this type, whatever the exponent's.
    fileprivate func power(_ exponent: Self) -> Self {
        if dtype == exponent.dtype { return pow(exponent) }
        if dtype.isFloat { return pow(exponent.cast(to: dtype)) }
        let common: DType = exponent.dtype.isFloat ? .f64 : .i64
        return cast(to: common).pow(exponent.cast(to: common)).cast(to: dtype)
    }
}
