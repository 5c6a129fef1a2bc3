// What Loop and Scan have in common: a body is run again and again on what it carries, and some of its results are stacked.
// Few rounds whose number is known are unrolled; all others become one `while`.

import KilnIR
import KilnOps

/// Rounds of a body.
struct Repetition {
    /// What a round gives.
    struct Round {
        /// Whether there is another round; nil where nothing but the number of rounds decides.
        var goesOn: Value?
        var carried: [Item]
        var stacked: [Item]
    }
    /// Where the results of all rounds are put together.
    struct Stacking {
        var axis: Int
        var isReversed: Bool

        /// The same axis where texts have one more behind it.
        func axis(of tensor: ImportedTensor) -> Int { axis < 0 && tensor.element == .string ? axis - 1 : axis }
    }

    let node: NodeContext
    /// The number of rounds, or the most; nil where only the condition ends them.
    let count: Value?
    /// Whether there is a first round, where that is not for the count alone to say.
    let starts: Value?
    let carried: [Item]
    let stacking: [Stacking]
    /// Runs the body in a scope for the round with the given number, an i64 of rank 0.
    let body: (_ scope: Scope, _ round: Value, _ carried: [Item]) throws -> Round

    /// Rounds of up to so many are unrolled: shapes that depend on the round's number are known then.
    private static let unrolled = 8
    /// Where types change from round to round, rounds must be unrolled, however many.
    private static let mostUnrolled = 1024

    private struct ChangingTypes: Error {
        var reason: String
    }

    /// What is carried in the end, then what was stacked.
    func run() throws -> [Item] {
        do { return try asLoopOrUnrolled() } catch let changing as ChangingTypes { throw Unsupported(reason: changing.reason) }
    }

    private func asLoopOrUnrolled() throws -> [Item] {
        let rounds = count.flatMap { node.sizesIfKnown($0)?.first?.constant }
        if let rounds, rounds <= Self.unrolled, case .items(let items) = try writeOut(rounds) { return items }
        do { return try node.importer.attempt { try loop() } } catch let error where error is ChangingTypes || error is Unavailable {
            // What a round can't do while its number is open, it may do when it is unrolled.
            let changing = error as? ChangingTypes ?? ChangingTypes(reason: "a round has shapes that depend on its number")
            guard let count else { throw changing }
            guard let rounds else { throw node.importer.unknown(node, "the number of rounds", [count]) }
            guard rounds <= Self.mostUnrolled else { throw Unsupported(reason: "\(changing.reason), and \(rounds) rounds are too many to write out") }
            switch try writeOut(rounds) {
            case .items(let items): return items
            case .unknown(let condition): throw node.importer.unknown(node, "when the rounds end", [condition])
            }
        }
    }

    // MARK: Unrolled

    private enum Unrolled {
        case items([Item])
        /// It is not known whether a round takes place.
        case unknown(Value)
    }

    private func writeOut(_ rounds: Int) throws -> Unrolled {
        func isTrue(_ value: Value?) -> Bool? {
            guard let value else { return true }
            return node.scope.contents.elements(of: value)?.first?.scalar?.isTrue
        }
        var carried = carried
        var stacks = stacking.map { _ in [ImportedTensor]() }
        var goes = isTrue(starts), condition = starts
        for round in 0..<max(rounds, 0) {
            guard let known = goes else { return .unknown(condition!) }
            guard known else { break }
            let result = try body(Scope(in: node.scope), node.full(.integer(Int64(round)), TensorType(.i64, [])), carried)
            carried = result.carried
            for (number, item) in result.stacked.enumerated() { stacks[number].append(try tensor(item)) }
            (goes, condition) = (isTrue(result.goesOn), result.goesOn)
        }
        let types = stacks.contains(where: \.isEmpty) ? try typesOfStacked() : []
        return .items(try carried + zip(stacks, stacking).enumerated().map { number, pair in
            guard let first = pair.0.first else {
                var shape = types[number].value.dims
                shape.insert(0, at: try node.axis(pair.1.axis(of: types[number]), rank: shape.count, allowsEnd: true))
                return .tensor(ImportedTensor(node.full(0, TensorType(types[number].value.dtype, shape)), types[number].element))
            }
            let parts = pair.1.isReversed ? pair.0.reversed() : pair.0
            return .tensor(ImportedTensor(Value.stack(parts.map(\.value), axis: pair.1.axis(of: first)), first.element))
        })
    }

    /// What a round that never takes place would have given to stack.
    private func typesOfStacked() throws -> [ImportedTensor] {
        let region = Scope(in: node.scope, region: GraphBuilder("round"))
        let step = region.builder.input("round", TensorType(.i64, []))
        return try body(region, step, carried.map(region.capture)).stacked.map(tensor)
    }

    private func tensor(_ item: Item) throws -> ImportedTensor {
        switch item {
        case .tensor(let tensor): return tensor
        case .unavailable: throw Unavailable()
        case .sequence, .optional, .absent: throw ChangingTypes(reason: "what the rounds carry is no tensor")
        }
    }

    // MARK: As a loop

    private func loop() throws -> [Item] {
        let initial = try carried.map(tensor)
        // The body once to see its types, and what ends the loop.
        let probe = Scope(in: node.scope, region: GraphBuilder("probe"))
        let probed = try body(probe, probe.builder.input("round", TensorType(.i64, [])), initial.enumerated().map {
            .tensor(ImportedTensor(probe.builder.input("x\($0.offset)", $0.element.value.type), $0.element.element))
        })
        let endsEarly = probed.goesOn.map { probe.contents.elements(of: $0)?.first?.scalar?.isTrue != true } ?? false
        let stacked = try probed.stacked.map(tensor)
        var length: Dim = 0
        if !stacked.isEmpty {
            guard let count else { throw Unsupported(reason: "results are stacked, and nothing limits the rounds") }
            guard let size = node.sizesIfKnown(count)?.first else { throw node.importer.unknown(node, "the number of rounds", [count]) }
            if endsEarly { throw ChangingTypes(reason: "results are stacked until a condition fails") }
            length = IndexRanges.isNonNegative(size) ? size : .maximum(size, 0)
        }
        let buffers = stacked.map { node.full(0, TensorType($0.value.dtype, [length] + $0.value.dims)) }
        let zero = node.full(0, TensorType(.i64, []))
        let truth = starts?.reshaping(to: []) ?? node.full(.bool(true), TensorType(.bool, []))
        let state = [zero, truth] + initial.map(\.value) + buffers

        let region = Scope(in: node.scope, region: GraphBuilder("body"))
        let inputs = state.enumerated().map { region.builder.input("x\($0.offset)", $0.element.type) }
        let round = try body(region, inputs[0], zip(inputs[2...], initial).map { .tensor(ImportedTensor($0, $1.element)) })
        let results = try round.carried.map(tensor)
        for (result, start) in zip(results, initial) where result.value.type != start.value.type {
            throw ChangingTypes(reason: "a round turns \(start.value.type) into \(result.value.type)")
        }
        let written = try zip(round.stacked, inputs[(2 + initial.count)...]).map { item, buffer in
            buffer.put(inputs[0].reshaping(to: [1]), try tensor(item).value.unsqueezed(0), axis: 0)
        }
        let next = inputs[0] + 1
        let goesOn = endsEarly ? round.goesOn!.reshaping(to: []) : inputs[1]

        let test = Scope(in: node.scope, region: GraphBuilder("condition"))
        let tested = state.enumerated().map { test.builder.input("x\($0.offset)", $0.element.type) }
        var condition = tested[1]
        if let count, case .tensor(let limit) = test.capture(.tensor(count.reshaping(to: []))) {
            condition = Value.apply(Elementwise.and, condition, .apply(Elementwise.lt, tested[0], limit.value, at: .unknown), at: .unknown)
        }
        let regions = try Scope.regions([(test, "condition", [condition]), (region, "body", [next, goesOn] + results.map(\.value) + written)],
                                        taking: state.count)
        guard let op = Catalogue.op(named: "while") else { throw InternalError("onnx", "the catalogue has no `while`") }
        let final = Value.apply(op, state + regions.captured, ["carried": .int(state.count)], regions: regions.graphs, at: node.builder.location)
        if let error = node.builder.error { throw error }
        let carried: [Item] = zip(final[2...], initial).map { .tensor(ImportedTensor($0, $1.element)) }
        var items = carried
        for (number, value) in final[(2 + initial.count)...].enumerated() {
            let ordered = stacking[number].isReversed ? value.flipping([0]) : value
            let given = stacking[number].axis(of: stacked[number]), axis = given < 0 ? given + ordered.rank : given
            items.append(.tensor(ImportedTensor(axis == 0 ? ordered : ordered.movingAxis(0, to: axis), stacked[number].element)))
        }
        return items
    }
}

extension Scope {
    /// Regions of one op, which all take the same: first what the op gives each, `taking` values, then everything that one of them uses
    /// from outside.
    static func regions(_ regions: [(scope: Scope, name: String, results: [Value])], taking own: Int) throws -> (graphs: [Graph], captured: [Value]) {
        var outside: [Value] = []
        for region in regions { for (outer, _) in region.scope.captured where !outside.contains(where: { $0.id == outer.id }) { outside.append(outer) } }
        let graphs = try regions.map { scope, name, results in
            var graph = try scope.builder.finish(results.enumerated().map { ("y\($0.offset)", $0.element) })
            graph.name = name
            let captured = Dictionary(uniqueKeysWithValues: scope.captured.map { ($0.outer.id, $0.inner.id) })
            // Only what a region was given itself stands before what it captured.
            let given = graph.inputs.filter { port in !captured.values.contains(port.value) }
            graph.inputs = given.prefix(own) + outside.enumerated().map { number, outer in
                Port("c\(number)", captured[outer.id] ?? graph.makeValue(outer.type))
            }
            return graph
        }
        return (graphs, outside)
    }
}
