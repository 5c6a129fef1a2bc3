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

    /// Between texts and numbers: of any kind where they are known, of integers while the model runs.
    private func textCast(_ x: ImportedTensor, to target: ElementType) throws -> ImportedTensor {
        guard target == .string else {
            guard let dtype = target.dtype, target.isNative else { throw Unsupported(reason: "texts as elements of type \(target)") }
            let texts = try text(0)
            guard let known = literalIfKnown(texts) else {
                guard dtype.isInteger else { throw importer.unknown(self, "the texts to cast to \(target)", [texts]) }
                return ImportedTensor(texts.decimals(as: dtype), target)
            }
            return ImportedTensor(literal(Literal(dtype, known.shape.dropLast(), scalars: try known.texts.map { try number($0).converted(to: dtype) })), target)
        }
        guard x.element.isNative, x.element != .bool else { throw Unsupported(reason: "elements of type \(x.element) as texts") }
        guard let known = literalIfKnown(x.value) else {
            guard x.value.dtype.isInteger else { throw importer.unknown(self, "the numbers to cast to texts", [x.value]) }
            return ImportedTensor(x.value.decimalTexts, .string)
        }
        let texts = known.scalars.map { scalar in
            switch scalar {
            case .real(let value): known.dtype == .f64 ? "\(value)" : "\(Float(value))"
            case .integer(let value): "\(value)"
            case .unsigned(let value): "\(value)"
            case .bool(let value): "\(value)"
            }
        }
        return ImportedTensor(literal(Literal(texts: texts, known.shape)), .string)
    }

    /// The number that a text spells: an integer, a decimal, an infinity or NaN.
    private func number(_ text: String) throws -> Scalar {
        if let integer = Int64(text) { return .integer(integer) }
        guard let real = Double(text) else { throw mistake("casts the text '\(text)' to a number") }
        return .real(real)
    }
}
