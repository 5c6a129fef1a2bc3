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
        let conversion = Conversion(saturates: flag("saturate", true), rounding: rounding)
        return ImportedTensor(try x.element.converted(x.value, to: target, conversion), target)
    }
}
