// Sizes that depend on data: an operand with room for all, and how much of it there is, come in; what there is goes out.
// The number of rows becomes a symbol that the operations after it use like any size.

import KilnIR

extension Structural {
    static let measuring = [prefix]

    /// The first `count` rows of operand 0 along its first axis; `count` is operand 1, an i64 of rank 0, and is taken to lie between none
    /// and all. The attribute `symbol` names that size from here on. Two prefixes may have one symbol if count and capacity are the same.
    public static let prefix = OpDefinition(
        "prefix", operandCount: 2, attributes: ["symbol"],
        infer: { context in
            let (data, count) = (context.operands[0], context.operands[1])
            guard data.rank > 0 else { throw context.error("an operand of rank 0 has no rows", fix: "pass one with an axis") }
            guard count == TensorType(.i64, []) else { throw context.error("the count is \(count)", fix: "pass one number of dtype i64") }
            guard let symbol = context.attributes.string("symbol"), !symbol.isEmpty else {
                throw context.error("needs the attribute `symbol`, the name of the size", fix: "give `symbol`")
            }
            guard !data.shape.contains(where: { $0.symbols.contains(symbol) }) else {
                throw context.error("the size `\(symbol)` can't be measured with what has it already", fix: "choose another name")
            }
            return [data.with(shape: [.symbol(symbol)] + data.shape.dropFirst())]
        },
        form: { .prefix(symbol: $0.attributes.string("symbol") ?? "") },
        measures: { context in
            guard context.operands.count == 2, let bound = context.operands[0].shape.first, let symbol = context.attributes.string("symbol") else { return nil }
            return Measurement(symbol: symbol, count: 1, bound: bound)
        },
        pullback: { pull in
            let zeros = pull.operand.dims.map { _ in Dim.constant(0) }
            let rest = pull.operand.dims[0] - pull.result.dims[0]
            return [pull.cotangent.padding(low: zeros, high: [rest] + zeros.dropFirst()), nil]
        },
        samples: { dtype in
            func sample(_ shape: Shape, _ symbol: String, _ count: ClosedRange<Int>) -> OpSample {
                OpSample([TensorType(dtype, shape), TensorType(.i64, [])], ["symbol": .string(symbol)], integerRanges: [1: count])
            }
            return [sample([5, 3], "some", 1...4), sample([7], "none", -2...0), sample([4, 2, 3], "all", 4...9),
                    sample(["n", 5], "rows", 0...5), sample([0, 2], "empty", 0...1)]
        })
}

extension Value {
    /// The first `count` rows, an i64 of rank 0, along the first axis, of which there may be none and are at most all.
    ///
    /// - Parameter symbol: what the size is called in the types of what follows; nil for a name that is free.
    public func prefix(_ count: Value, symbol: String? = nil, file: StaticString = #fileID, line: UInt = #line) -> Value {
        prefix(count, symbol: symbol ?? builder.freshSymbol("count"), at: SourceLocation(file, line))
    }

    func prefix(_ count: Value, symbol: String, at location: SourceLocation) -> Value {
        .apply(Structural.prefix, self, count, attributes: ["symbol": .string(symbol)], at: location)
    }
}
