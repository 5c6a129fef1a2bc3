// Operators that give elements another type.

import KilnIR
import KilnOps

extension Operators {
    static let casts: [Operator] = [
        Operator("Cast", items: { node in
            guard let target = try node.targetElement() else { throw node.mistake("does not say which type to cast to") }
            return [.tensor(try node.cast(to: target))]
        }),
        Operator("CastLike", items: { [.tensor(try $0.cast(to: try $0.stored(1).element))] }),
        Operator("BitCast", items: { node in
            let x = try node.stored(0)
            guard let target = try node.targetElement() else { throw node.mistake("does not say which type the bits are of") }
            guard target.bitWidth == x.element.bitWidth else {
                throw node.mistake("takes elements of type \(x.element), of \(x.element.bitWidth) bits, for \(target), of \(target.bitWidth)")
            }
            return [.tensor(ImportedTensor(try x.element.reinterpreted(x.value, as: target), target))]
        }),
    ]
}

extension NodeContext {
    /// The type that `to` names; the first version has its name, later ones its code.
    fileprivate func targetElement() throws -> ElementType? {
        if let name = text("to") { return ElementType.allCases.first { "\($0)".uppercased() == name } }
        return try element("to")
    }

    fileprivate func cast(to target: ElementType) throws -> ImportedTensor {
        let x = try stored(0)
        guard let rounding = ExponentFloat.Rounding(rawValue: text("round_mode", "up")) else {
            throw mistake("rounds in the mode '\(text("round_mode", ""))'")
        }
        if x.element == .string || target == .string, x.element != target { return try textCast(x, to: target) }
        let conversion = Conversion(saturates: flag("saturate", true), rounding: rounding)
        return ImportedTensor(try x.element.converted(x.value, to: target, conversion), target)
    }

    /// Between texts and numbers, which must be known.
    private func textCast(_ x: ImportedTensor, to target: ElementType) throws -> ImportedTensor {
        let known = try literal(0, "the elements to cast between texts and numbers")
        guard target == .string else {
            guard let dtype = target.dtype, target.isNative else { throw Unsupported(reason: "texts as elements of type \(target)") }
            return ImportedTensor(literal(Literal(dtype, known.shape, scalars: try known.scalars.map { try number($0.int64).converted(to: dtype) })), target)
        }
        guard x.element.isNative, known.dtype != .bool else { throw Unsupported(reason: "elements of type \(x.element) as texts") }
        let numbers = known.scalars.map { scalar in
            let text = switch scalar {
            case .real(let value): known.dtype == .f64 ? "\(value)" : "\(Float(value))"
            case .integer(let value): "\(value)"
            case .unsigned(let value): "\(value)"
            case .bool(let value): "\(value)"
            }
            return Scalar.integer(StringPool.number(of: text))
        }
        return ImportedTensor(literal(Literal(.i64, known.shape, scalars: numbers)), .string)
    }

    /// The number that a text spells: an integer, a decimal, an infinity or NaN.
    private func number(_ text: Int64) throws -> Scalar {
        let text = StringPool.text(text) ?? ""
        if let integer = Int64(text) { return .integer(integer) }
        guard let real = Double(text) else { throw mistake("casts the text '\(text)' to a number") }
        return .real(real)
    }
}
