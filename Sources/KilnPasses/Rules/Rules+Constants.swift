// Rules about numbers known at compile time: what is made of them alone is computed now, and those in commutative ops move to the right.

import KilnIR
import KilnOps

extension Rules {
    /// Operands and results of at most this many elements are computed at compile time.
    private static let greatestFold = 4096

    static let constants = rules {
        Rule("a literal of one number is full", roots: [Elementwise.literal], examples: {
            [try example([TensorType(.f32, ["n"])]) { builder, _ in builder.literal(Literal(.f32, [2, 3], repeating: 2.5)) },
             try example([TensorType(.f32, ["n"])]) { builder, _ in builder.literal(Literal(.i8, [], repeating: -3)) }]
        }, rewrite: { site in
            guard let literal = site.attributes.literal("value"), let number = literal.uniform else { return nil }
            return [site.builder.full(number, literal.type)]
        })
        Rule("numbers go right", roots: Array(mirrored.keys), made: [Elementwise.full], examples: {
            try mirrored.keys.sorted { $0.name < $1.name }.map { op in
                let dtype: DType = op.dtypes.contains(.i32) ? .i32 : .bool
                return try example([TensorType(dtype, [16])]) { $0.apply(op, [$0.full(1, TensorType(dtype, [16])), $1[0]]) }
            }
        }, rewrite: { site in
            guard let mirror = mirrored[site.operation.op], site.operation.operands.count == 2,
                site.uniform(site.operation.operands[0]) != nil, site.uniform(site.operation.operands[1]) == nil else { return nil }
            return [site.apply(mirror, site.operands.reversed())]
        })
        Rule("an elementwise op of numbers", roots: Catalogue.all.filter(\.mayFold), made: [Elementwise.full], examples: {
            [try example([TensorType(.f32, ["n"])]) { builder, _ in
                let type = TensorType(.f32, ["n", 3])
                return builder.full(1.5, type) * builder.full(0.1, type)
            }]
        }, rewrite: foldElementwise)
        Rule("a view of a number", roots: Catalogue.all.filter(\.mayFold), made: [Elementwise.full], examples: {
            [try example([TensorType(.f32, ["n"])]) { builder, _ in
                builder.apply(Structural.broadcast, [builder.full(2, TensorType(.f32, []))], ["shape": .dims(["n", 3]), "axes": .ints([])])
            }, try example([TensorType(.f32, ["n"])]) { builder, _ in
                builder.apply(Structural.pad, [builder.full(2, TensorType(.f32, ["n"]))],
                              ["low": .dims([1]), "high": .dims([0]), "value": .scalar(.real(2))])
            }]
        }, rewrite: foldView)
        Rule("an op of small literals", roots: Catalogue.all.filter(\.mayFold), examples: {
            [try example([TensorType(.f32, ["n"])]) { builder, _ in
                builder.literal(Literal(.f32, [2, 2], doubles: [1, 2, 3, 4])) + builder.full(0.5, TensorType(.f32, [2, 2]))
            }, try example([TensorType(.f32, ["n"])]) { builder, _ in
                builder.apply(Structural.permute, [builder.literal(Literal(.i32, [2, 2], doubles: [1, 2, 3, 4]))], ["axes": .ints([1, 0])])
            }]
        }, rewrite: foldLiterals)
    }

    /// The ops that have operands to exchange, with the op that takes them in the other order.
    private static let mirrored: [OpDefinition: OpDefinition] = [
        Elementwise.add: Elementwise.add, Elementwise.mul: Elementwise.mul, Elementwise.max: Elementwise.max, Elementwise.min: Elementwise.min,
        Elementwise.and: Elementwise.and, Elementwise.or: Elementwise.or, Elementwise.xor: Elementwise.xor,
        Elementwise.eq: Elementwise.eq, Elementwise.ne: Elementwise.ne, Elementwise.lt: Elementwise.gt, Elementwise.gt: Elementwise.lt,
        Elementwise.le: Elementwise.ge, Elementwise.ge: Elementwise.le,
    ]

    /// An op of numbers that are the same everywhere is computed on one element.
    @Sendable private static func foldElementwise(_ site: RewriteSite) throws -> [Value]? {
        var numbers: [Scalar] = []
        for operand in site.operation.operands {
            guard let number = site.uniform(operand) else { return nil }
            numbers.append(number)
        }
        guard !numbers.isEmpty, case .elementwise(let expression) = try site.operation.op.form(site.context),
            !expression.nodes.contains(where: { if case .index = $0 { true } else { false } }) else { return nil }
        let operands = zip(numbers, site.operands).map { Literal($1.dtype, [], scalars: [$0]) }
        guard let value = try compute(site, operands) else { return nil }
        return [site.builder.full(value[0], site.type)]
    }

    /// A view of operands that hold one number, which also fills.
    @Sendable private static func foldView(_ site: RewriteSite) throws -> [Value]? {
        guard let first = site.operation.operands.first, let number = site.uniform(first),
            site.operation.operands.dropFirst().allSatisfy({ site.uniform($0) == number }),
            case .view(let map) = try site.operation.op.form(site.context) else { return nil }
        let isTotal = map.pieces.contains { $0.conditions.isEmpty }
        guard isTotal || map.fill.converted(to: site.type.dtype) == number else { return nil }
        return [site.builder.full(number, site.type)]
    }

    @Sendable private static func foldLiterals(_ site: RewriteSite) throws -> [Value]? {
        var operands: [Literal] = []
        for operand in site.operation.operands {
            guard let made = site.definition(of: operand), let shape = site.type(of: operand).constantShape,
                shape.boundedProduct(greatestFold) != nil else { return nil }
            if made.op === Elementwise.literal, let literal = made.attributes.literal("value") { operands.append(literal) } else {
                guard let number = site.uniform(operand) else { return nil }
                operands.append(Literal(site.type(of: operand).dtype, shape, repeating: number))
            }
        }
        guard !operands.isEmpty, site.operation.results.count == 1, let shape = site.type.constantShape,
            shape.boundedProduct(greatestFold) != nil, isCheap(try site.operation.op.form(site.context)),
            let value = try compute(site, operands) else { return nil }
        return [site.builder.literal(value)]
    }

    /// Whether the work of an op is in proportion to its operands and result.
    private static func isCheap(_ form: Form) -> Bool {
        switch form {
        case .elementwise, .view, .reduce, .gather, .scatter, .scan, .sort: true
        default: false
        }
    }

    /// The result of the operation on other operands of constant shape; nil where it does not take those.
    private static func compute(_ site: RewriteSite, _ operands: [Literal]) throws -> Literal? {
        var graph = Graph(name: "fold")
        let inputs = operands.enumerated().map { graph.addInput("v\($0)", $1.type) }
        guard let results = try? graph.append(site.operation.op, inputs, site.attributes) else { return nil }
        graph.outputs = [Port("r", results[0])]
        return try Interpreter.run(graph, inputs: operands)[0]
    }
}

extension OpDefinition {
    /// Whether the op takes operands and computes at once: no source, no control flow.
    fileprivate var mayFold: Bool { operandCount != 0 && regionless }
    private var regionless: Bool { !["if", "while", "group", "call_with_gradient"].contains(name) }
}

extension [Int] {
    /// The product, where it is at most `limit`.
    fileprivate func boundedProduct(_ limit: Int) -> Int? {
        var product = 1
        for factor in self {
            let (next, overflow) = product.multipliedReportingOverflow(by: factor)
            if overflow || next > limit { return nil }
            product = next
        }
        return product
    }
}
