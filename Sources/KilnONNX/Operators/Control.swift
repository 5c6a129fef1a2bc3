// Control flow: If, Loop, Scan and SequenceMap. What decides is known before the model runs, and the graphs are run in the place of
// the node, or it isn't, and they become regions.

import KilnIR
import KilnOps

extension Operators {
    static let control: [Operator] = [
        Operator("If", items: { node in
            let condition = try node.tensor(0)
            if let known = node.scope.contents.elements(of: condition)?.first?.scalar {
                return try node.importer.run(node.graph(known.isTrue ? "then_branch" : "else_branch"), [], in: Scope(in: node.scope))
            }
            return try branches(node, condition)
        }),
        Operator("Loop", items: { node in
            let graph = try node.graph("body")
            let carried = try (2..<max(node.inputCount, 2)).map { try node.item($0) }
            let stackCount = graph.output.count - 1 - carried.count
            guard stackCount >= 0, graph.input.count == carried.count + 2 else { throw node.mistake("its body does not fit what it carries") }
            let starts = try node.tensorIfPresent(1)
            return try Repetition(
                node: node, count: node.tensorIfPresent(0), starts: starts, carried: carried,
                stacking: Array(repeating: .init(axis: 0, isReversed: false), count: stackCount)
            ) { scope, round, carried in
                let going = Item.tensor(scope.builder.full(.bool(true), TensorType(.bool, [])))
                var results = try node.importer.run(graph, [.tensor(round), going] + carried, in: scope)
                guard case .tensor(let goesOn) = results.removeFirst() else { throw Unavailable() }
                return .init(goesOn: goesOn.value, carried: Array(results.prefix(carried.count)), stacked: Array(results.dropFirst(carried.count)))
            }.run()
        }),
        Operator("Scan", items: { node in
            if node.version < 9 { return try batchedScan(node) }
            let count = node.integer("num_scan_inputs", 0), states = node.inputCount &- count
            guard (1...max(node.inputCount, 1)).contains(count), states >= 0 else { throw node.mistake("says that \(count) of its \(node.inputCount) inputs are scanned") }
            let scanned = try (states..<node.inputCount).map { try node.stored($0) }
            return try scan(node, try (0..<states).map { try node.item($0) }, scanned, inputAxes: node.integers("scan_input_axes"),
                            inputDirections: node.integers("scan_input_directions"), outputAxes: node.integers("scan_output_axes"),
                            outputDirections: node.integers("scan_output_directions"))
        }),
        Operator("SequenceMap", items: { node in
            let graph = try node.graph("body")
            guard case .sequence(let first) = try node.item(0) else { throw node.mistake("input 0 is no sequence") }
            let others = try (1..<max(node.inputCount, 1)).map { try node.item($0) }
            let rounds = try first.indices.map { position in
                try node.importer.run(graph, [first[position]] + others.map { other in
                    guard case .sequence(let items) = other else { return other }
                    guard position < items.count else { throw node.mistake("its sequences differ in length") }
                    return items[position]
                }, in: Scope(in: node.scope))
            }
            return graph.output.indices.map { output in .sequence(rounds.map { $0[output] }) }
        }),
    ]

    /// Both branches as regions.
    private static func branches(_ node: NodeContext, _ condition: Value) throws -> [Item] {
        var regions: [(scope: Scope, name: String, results: [ImportedTensor])] = []
        for name in ["then_branch", "else_branch"] {
            let scope = Scope(in: node.scope, region: GraphBuilder(name))
            let results = try node.importer.run(node.graph(name), [], in: scope).map { item -> ImportedTensor in
                switch item {
                case .tensor(let tensor): return tensor
                case .unavailable: throw Unavailable()
                case .sequence, .optional, .absent: throw node.importer.unknown(node, "which branch gives the sequence or optional", [condition])
                }
            }
            regions.append((scope, String(name.prefix(4)), results))
        }
        // Texts are as wide as the wider branch's.
        for (number, (a, b)) in zip(regions[0].results, regions[1].results).enumerated() where a.element == .string && b.element == .string {
            let width = Dim.maximum(a.value.width, b.value.width)
            for branch in regions.indices { regions[branch].results[number].value = regions[branch].results[number].value.widened(to: width) }
        }
        for (a, b) in zip(regions[0].results, regions[1].results) where a.value.type != b.value.type {
            throw node.importer.unknown(node, "whether the result is \(a.value.type) or \(b.value.type)", [condition])
        }
        let made = try Scope.regions(regions.map { ($0.scope, $0.name, $0.results.map(\.value)) }, taking: 0)
        guard let op = Catalogue.op(named: "if") else { throw InternalError("onnx", "the catalogue has no `if`") }
        let results = Value.apply(op, [condition.reshaping(to: [])] + made.captured, .none, regions: made.graphs, at: node.builder.location)
        if let error = node.builder.error { throw error }
        return zip(results, regions[0].results).map { .tensor(ImportedTensor($0, $1.element)) }
    }

    private static func scan(_ node: NodeContext, _ states: [Item], _ scanned: [ImportedTensor], inputAxes: [Int]?, inputDirections: [Int]?,
                             outputAxes: [Int]?, outputDirections: [Int]?) throws -> [Item] {
        let graph = try node.graph("body")
        let stackCount = graph.output.count - states.count
        guard stackCount >= 0, graph.input.count == states.count + scanned.count else { throw node.mistake("its body does not fit its inputs") }
        // Time comes first, and runs forward.
        let ordered = try scanned.enumerated().map { number, tensor -> ImportedTensor in
            let axis = try node.axis(inputAxes?[safe: number] ?? 0, rank: tensor.value.rank)
            let first = axis == 0 ? tensor.value : tensor.value.movingAxis(axis, to: 0)
            return node.rows.restored(ImportedTensor(inputDirections?[safe: number] == 1 ? first.flipping([0]) : first, tensor.element))
        }
        let stacking = (0..<stackCount).map { Repetition.Stacking(axis: outputAxes?[safe: $0] ?? 0, isReversed: outputDirections?[safe: $0] == 1) }
        return try Repetition(node: node, count: node.sizes([ordered[0].value.size(axis: 0)]), starts: nil, carried: states, stacking: stacking) { scope, round, carried in
            let parts = ordered.map { tensor -> Item in
                guard case .tensor(let inner) = scope.builder === node.builder ? .tensor(tensor) : scope.capture(.tensor(tensor)) else { return .unavailable }
                if let known = scope.contents.elements(of: round)?.first?.size?.constant {
                    return .tensor(ImportedTensor(inner.value.select(axis: 0, index: known), tensor.element))
                }
                let part = inner.value.take(round.reshaping(to: [1]), axis: 0)
                return .tensor(ImportedTensor(part.reshaping(to: Array(part.dims.dropFirst())), tensor.element))
            }
            let results = try node.importer.run(graph, carried + parts, in: scope)
            return .init(goesOn: nil, carried: Array(results.prefix(carried.count)), stacked: Array(results.dropFirst(carried.count)))
        }.run()
    }

    /// The first version scans each member of a batch by itself.
    private static func batchedScan(_ node: NodeContext) throws -> [Item] {
        guard !node.has(0) else { throw Unsupported(reason: "sequences of different lengths in one batch (version 8)") }
        let count = node.integer("num_scan_inputs", 0), states = node.inputCount - 1 &- count
        guard (1...max(node.inputCount, 1)).contains(count), states >= 0 else { throw node.mistake("says that \(count) of its \(node.inputCount - 1) inputs are scanned") }
        let inputs = try (1..<node.inputCount).map { try node.stored($0) }
        guard let batch = inputs[0].value.dims.first?.constant, batch < 1 << 10 else { throw Unsupported(reason: "a batch whose size is not fixed (version 8)") }
        let members = try (0..<batch).map { member -> [ImportedTensor] in
            let own = inputs.map { node.rows.restored(ImportedTensor($0.value.select(axis: 0, index: member), $0.element)) }
            return try scan(node, own.prefix(states).map { .tensor($0) }, Array(own.dropFirst(states)), inputAxes: nil,
                            inputDirections: node.integers("directions"), outputAxes: nil, outputDirections: nil).map {
                guard case .tensor(let tensor) = $0 else { throw Unavailable() }
                return tensor
            }
        }
        return (members.first ?? []).indices.map { output in
            .tensor(ImportedTensor(Value.stack(members.map { $0[output].value }, axis: 0), members[0][output].element))
        }
    }
}

extension Array {
    /// The element at a position, or nil where there is none.
    subscript(safe position: Int) -> Element? { indices.contains(position) ? self[position] : nil }
}
