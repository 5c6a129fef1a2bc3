// What a reduction keeps while it runs, how two states combine, and what it gives in the end.

import KilnIR

/// The code of one kind of reduction. A state is the value so far and, for argmax and argmin, its position.
struct ReductionCode {
    struct State {
        var value: ValueNumber
        var position: ValueNumber?
    }

    let kind: ReductionKind
    /// The dtype of the value part of the state.
    let accumulator: DType
    let resultDType: DType

    init(_ kind: ReductionKind, operand: DType, result: DType) {
        self.kind = kind
        let isSum = kind == .sum || kind == .product
        accumulator = isSum && operand.isNarrowFloat ? .f32 : isSum ? result : operand
        resultDType = result
    }

    var hasPosition: Bool { kind == .argmax || kind == .argmin }

    var identityScalar: Scalar {
        switch kind {
        case .sum, .any: Scalar.integer(0).converted(to: accumulator)
        case .product, .all: Scalar.integer(1).converted(to: accumulator)
        case .maximum, .argmax: Self.extreme(accumulator, greatest: false)
        case .minimum, .argmin: Self.extreme(accumulator, greatest: true)
        }
    }

    static func extreme(_ dtype: DType, greatest: Bool) -> Scalar {
        // What a maximum or minimum begins with is beyond every number, also where a float's own format has no infinity.
        if dtype.isFloat { return .real(greatest ? .infinity : -.infinity) }
        return greatest ? dtype.greatest : dtype.least
    }

    func identity(_ writer: KernelWriter) -> State {
        State(value: writer.constant(identityScalar, accumulator), position: hasPosition ? writer.constant(.integer(.max), .i64) : nil)
    }

    /// The state of one element.
    func lift(_ value: ValueNumber, position: ValueNumber, _ writer: KernelWriter) -> State {
        State(value: writer.convert(value, to: accumulator), position: hasPosition ? position : nil)
    }

    /// The function that combines values, for reductions without a position.
    var function: ScalarFunction {
        switch kind {
        case .sum: .add
        case .product: .multiply
        case .maximum, .argmax: accumulator == .bool ? .or : .maximum
        case .minimum, .argmin: accumulator == .bool ? .and : .minimum
        case .any: .or
        case .all: .and
        }
    }

    /// The kind for `reduceLanes`, which knows no positions.
    var lanesKind: ReductionKind {
        switch kind {
        case .maximum where accumulator == .bool: .any
        case .minimum where accumulator == .bool: .all
        default: kind
        }
    }

    func combine(_ a: State, _ b: State, _ writer: KernelWriter) -> State {
        guard hasPosition else { return State(value: writer.apply(function, a.value, b.value)) }
        let takesB = isBetter(b, than: a, writer)
        return State(value: writer.apply(.select, takesB, b.value, a.value), position: writer.apply(.select, takesB, b.position!, a.position!))
    }

    /// Beyond, or as far and earlier; NaN is beyond all numbers.
    private func isBetter(_ b: State, than a: State, _ writer: KernelWriter) -> ValueNumber {
        let beyond = accumulator == .bool ? boolBeyond(b.value, a.value, writer)
            : writer.apply(kind == .argmax ? .greater : .less, b.value, a.value)
        let isEarlier = writer.apply(.less, b.position!, a.position!)
        let same = writer.apply(.and, writer.apply(.equal, b.value, a.value), isEarlier)
        let ordered = writer.apply(.or, beyond, same)
        guard accumulator.isFloat else { return ordered }
        let (aNaN, bNaN) = (writer.apply(.isNaN, a.value), writer.apply(.isNaN, b.value))
        let nanWins = writer.apply(.and, bNaN, writer.apply(.or, writer.apply(.not, aNaN), isEarlier))
        return writer.apply(.or, writer.apply(.and, ordered, writer.apply(.not, aNaN)), nanWins)
    }

    private func boolBeyond(_ b: ValueNumber, _ a: ValueNumber, _ writer: KernelWriter) -> ValueNumber {
        kind == .argmax ? writer.apply(.and, b, writer.apply(.not, a)) : writer.apply(.and, a, writer.apply(.not, b))
    }

    func result(_ state: State, _ writer: KernelWriter) -> ValueNumber { writer.convert(state.position ?? state.value, to: resultDType) }
}
