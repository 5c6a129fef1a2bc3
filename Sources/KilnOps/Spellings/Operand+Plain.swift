// Elementwise ops on operands that have one shape already, with a location: what the structural ops' spellings and reverse rules
// are written with.

import KilnIR

extension Operand {
    func compared(_ op: OpDefinition, _ other: Self, at location: SourceLocation = .unknown) -> Self { .apply(op, self, other, at: location) }
    func multiplied(by other: Self, at location: SourceLocation = .unknown) -> Self { .apply(Elementwise.mul, self, other, at: location) }
    func divided(by other: Self, at location: SourceLocation = .unknown) -> Self { .apply(Elementwise.div, self, other, at: location) }
    func added(_ other: Self, at location: SourceLocation = .unknown) -> Self { .apply(Elementwise.add, self, other, at: location) }
    func subtracted(_ other: Self, at location: SourceLocation = .unknown) -> Self { .apply(Elementwise.sub, self, other, at: location) }

    func casting(to dtype: DType, at location: SourceLocation = .unknown) -> Self {
        dtype == self.dtype ? self : .apply(Elementwise.cast, self, attributes: ["dtype": .dtype(dtype)], at: location)
    }

    /// A number in this one's dtype and shape.
    func filled(_ value: Scalar, at location: SourceLocation = .unknown) -> Self { full(value.converted(to: dtype), type, at: location) }

    /// This where the condition holds, zero elsewhere.
    func kept(where condition: Self, at location: SourceLocation = .unknown) -> Self {
        .apply(Elementwise.select, condition, self, filled(0, at: location), at: location)
    }

    /// This where the condition holds, the other elsewhere.
    func chosen(where condition: Self, else other: Self, at location: SourceLocation = .unknown) -> Self {
        .apply(Elementwise.select, condition, self, other, at: location)
    }
}
