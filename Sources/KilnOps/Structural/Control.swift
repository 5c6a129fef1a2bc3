// Control flow and fused groups: ops whose meaning is in their regions. In come the regions' operands; out goes what they give.
// Their gradients need graphs to be differentiated, so the pass that differentiates makes them, and there is no pullback here.

import KilnIR

extension Structural {
    static let control: [OpDefinition] = [`if`, `while`, group]

    /// Operand 0, a bool of rank 0, chooses between region 0 and region 1, which take the other operands.
    public static let `if` = OpDefinition(
        "if", operandCount: nil, attributes: ["number"],
        rule: { rule in
            try rule.demand(rule.operands.first == TensorType(.bool, []), "the condition is no bool of rank 0", fix: "pass a comparison reduced to one bool")
            try rule.demand(rule.context.regions.count == 2, "needs two regions, has \(rule.context.regions.count)", fix: "give one for true and one for false")
            let (then, otherwise) = (rule.context.regions[0], rule.context.regions[1])
            try rule.demandTypes("the region for true takes", then.inputTypes, Array(rule.operands.dropFirst()))
            try rule.demandTypes("the region for false takes", otherwise.inputTypes, Array(rule.operands.dropFirst()))
            try rule.demandTypes("the region for false gives", otherwise.outputTypes, then.outputTypes)
            try rule.demandKnownSizes("the region for true", then)
            try rule.demandKnownSizes("the region for false", otherwise)
            return then.outputTypes
        },
        form: { _ in .control(.if) },
        samples: { dtype in
            let type = TensorType(dtype, [2, 3])
            return [OpSample([TensorType(.bool, []), type, type], regions: [choosing("then", 0, type), choosing("else", 1, type)], isSmooth: false)]
        })

    /// While region 0 gives true, the first `carried` operands become what region 1 gives; both regions take all operands.
    public static let `while` = OpDefinition(
        "while", operandCount: nil, attributes: ["carried", "number"],
        rule: { rule in
            guard case .int(let carried)? = rule.attributes["carried"], carried >= 0, carried <= rule.operands.count else {
                throw rule.error("needs the attribute `carried`, from 0 to the \(rule.operands.count) operands", fix: "say how many operands change")
            }
            try rule.demand(rule.context.regions.count == 2, "needs two regions, has \(rule.context.regions.count)", fix: "give a condition and a body")
            let (test, body) = (rule.context.regions[0], rule.context.regions[1])
            try rule.demandTypes("the condition takes", test.inputTypes, rule.operands)
            try rule.demandTypes("the condition gives", test.outputTypes, [TensorType(.bool, [])])
            try rule.demandTypes("the body takes", body.inputTypes, rule.operands)
            try rule.demandTypes("the body gives", body.outputTypes, Array(rule.operands[..<carried]))
            try rule.demandKnownSizes("the body", body)
            return body.outputTypes
        },
        form: { .control(.while(carried: $0.attributes.int("carried"))) },
        samples: { dtype in
            guard let regions = try? countingLoop(dtype) else { return [] }
            return [OpSample([TensorType(.i32, []), TensorType(dtype, [2, 3]), TensorType(dtype, [2, 3])], ["carried": .int(2)], regions: regions,
                             integerRanges: [0: 0...3], isSmooth: false)]
        })

    /// A fused kernel: region 0 applied to the operands. The attribute `kind` names how it is scheduled.
    public static let group = OpDefinition(
        "group", operandCount: nil, attributes: ["kind"],
        rule: { rule in
            try rule.demand(rule.context.regions.count == 1, "needs one region, has \(rule.context.regions.count)", fix: "give the fused ops")
            let kind = rule.context.attributes.string("kind") ?? ""
            try rule.demand(GroupKind(rawValue: kind) != nil, "has the unknown kind '\(kind)'",
                            fix: "use one of \(GroupKind.allCases.map(\.rawValue).joined(separator: ", "))")
            try rule.demandTypes("the region takes", rule.context.regions[0].inputTypes, rule.operands)
            return rule.context.regions[0].outputTypes
        },
        form: { context in .group(context.attributes.string("kind").flatMap { GroupKind(rawValue: $0) } ?? .pointwise) },
        samples: { dtype in
            let type = TensorType(dtype, [2, 3])
            return [OpSample([type, type], ["kind": .string("pointwise")], regions: [choosing("fused", 1, type)], isSmooth: false)]
        })

    /// A region of two inputs that gives one of them, reversed.
    private static func choosing(_ name: String, _ number: Int, _ type: TensorType) -> Graph {
        let builder = GraphBuilder(name)
        let inputs = [builder.input("a", type), builder.input("b", type)]
        let result = inputs[number].flipping([0])
        return (try? builder.finish([("y", result)])) ?? builder.graph
    }

    /// Until the count is 3, adds 1 to it and puts the captured operand's reverse in the place of the second.
    private static func countingLoop(_ dtype: DType) throws -> [Graph] {
        let count = TensorType(.i32, []), type = TensorType(dtype, [2, 3])
        let test = GraphBuilder("condition")
        let i = test.input("i", count)
        _ = (test.input("x", type), test.input("c", type))
        let goes = i.compared(Elementwise.lt, i.filled(3))
        let body = GraphBuilder("body")
        let j = body.input("i", count), x = body.input("x", type), c = body.input("c", type)
        let next = Value.concatenate([x.select(axis: 0, index: 1).unsqueezed(0), c.select(axis: 0, index: 0).unsqueezed(0)])
        return [try test.finish([("go", goes)]), try body.finish([("i", j.added(j.filled(1))), ("x", next)])]
    }
}

extension ShapeRule {
    /// A size that is measured inside a region is not known outside.
    func demandKnownSizes(_ what: String, _ region: Graph) throws {
        let measured = Set(region.measurements.map(\.symbol))
        guard !measured.isEmpty, let type = region.outputTypes.first(where: { !measured.isDisjoint(with: $0.shape.flatMap(\.symbols)) }) else { return }
        throw error("\(what) gives \(type), whose size it measures itself", fix: "give the whole tensor and the count, and take the prefix outside")
    }

    func demandTypes(_ what: String, _ found: [TensorType], _ expected: [TensorType]) throws {
        let list = { (types: [TensorType]) in "(\(types.map(\.description).joined(separator: ", ")))" }
        try demand(found == expected, "\(what) \(list(found)), and should be \(list(expected))", fix: "make the types equal")
    }
}
