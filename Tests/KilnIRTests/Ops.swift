// A few ops that stand in for the catalogue, which these tests do not know, and random numbers with a seed.

import KilnIR

/// Ops with rules just strict enough to be told apart.
enum Ops {
    static let neg = op("neg") { [$0.operands[0]] }
    static let add = op("add", operandCount: 2) { context in
        guard context.operands[0] == context.operands[1] else {
            throw context.error("the operands differ", fix: "broadcast one of them")
        }
        return [context.operands[0]]
    }
    static let reshape = op("reshape", attributes: ["shape"]) { [$0.operands[0].with(shape: $0.attributes.dims("shape"))] }
    static let literal = op("literal", operandCount: 0, attributes: ["value"]) { context in
        guard let literal = context.attributes.literal("value") else { throw context.error("there is no value", fix: "give one") }
        return [literal.type]
    }
    static let pair = op("pair", operandCount: nil) { [$0.operands[0], TensorType(.bool, [])] }
    static let sink = op("sink", operandCount: nil) { _ in [] }
    static let call = op("while", operandCount: nil, attributes: ["carried"]) { Array($0.operands.prefix($0.attributes.int("carried"))) }
    /// An op that takes any attribute of these names.
    static let any = op("any thing", attributes: (0..<16).map { "a\($0)" } + ["odd name", "é"]) { [$0.operands[0]] }
    static let result = op("return") { [$0.operands[0]] }

    /// The first of a pair as long as the second says.
    static let measure = OpDefinition(
        "measure", operandCount: 2, attributes: ["symbol"],
        infer: { context in
            guard let symbol = context.attributes.string("symbol") else { throw context.error("there is no symbol", fix: "give one") }
            return [context.operands[0].with(shape: [.symbol(symbol)] + context.operands[0].shape.dropFirst())]
        },
        form: { .prefix(symbol: $0.attributes.string("symbol") ?? "") },
        measures: { context in
            context.attributes.string("symbol").map { Measurement(symbol: $0, count: 1, bound: context.operands[0].shape[0]) }
        },
        samples: { _ in [] })

    static let all = [measure, neg, add, reshape, literal, pair, sink, call, any, result]
    static func named(_ name: String) -> OpDefinition? { all.first { $0.name == name } }

    private static func op(_ name: String, operandCount: Int? = 1, attributes: [String] = [], infer: @escaping OpDefinition.Infer) -> OpDefinition {
        OpDefinition(name, operandCount: operandCount, attributes: attributes, infer: infer, form: { _ in .opaque(name) }, samples: { _ in [] })
    }
}

/// A SplitMix64 generator.
struct SeededGenerator: RandomNumberGenerator {
    var state: UInt64
    init(_ seed: UInt64) { state = seed }

    mutating func next() -> UInt64 {
        state &+= 0x9E37_79B9_7F4A_7C15
        var z = state
        z = (z ^ (z >> 30)) &* 0xBF58_476D_1CE4_E5B9
        z = (z ^ (z >> 27)) &* 0x94D0_49BB_1331_11EB
        return z ^ (z >> 31)
    }
}
