// Makes a program find indices that are out of range. In comes a graph whose operations demand some of their operands to be indices in
// range; out goes the same graph with one more output for each demand, a word that is 0 where all are, and else the worst index in zigzag code.
//
//     table ──────────────► take ──► y                     table ──────────────► take ──► y
//     tokens ─► checked ─────┘                    ──►      tokens ─► checked ─────┘
//                                                                └─► wrong? ─► worst ──► word
//
// Words of branches and loops' bodies leave them as results. What the condition of a loop looks up is not watched.

import KilnIR
import KilnOps

/// The pass that adds a word for each demand.
public struct CheckIndices {
    private var checks: [IndexCheck] = []

    /// A graph without calls, with words as its last outputs, and what each is about.
    public static func apply(to graph: Graph) throws -> (graph: Graph, checks: [IndexCheck]) {
        guard demandsIndices(graph) else { return (graph, []) }
        var pass = CheckIndices()
        return (try pass.adding(to: graph), pass.checks)
    }

    private static func demandsIndices(_ graph: Graph) -> Bool {
        graph.operations.contains { $0.op.indexCheck != nil || $0.regions.contains(where: demandsIndices) }
    }

    /// The graph with the words of its own operations and of those in its regions as outputs.
    private mutating func adding(to graph: Graph) throws -> Graph {
        var start = graph
        start.operations = []
        let builder = GraphBuilder(start, constants: Catalogue.constants)
        builder.takenSymbols = Set(graph.measurements.map(\.symbol))
        let known = KnownElements(builder)
        var words: [Value] = []
        for operation in graph.operations {
            switch try operation.regions.isEmpty ? nil : graph.form(of: operation) {
            case .control(.if): words += try branch(operation, builder)
            case .control(.while(let carried)): words += try loop(operation, carried, builder)
            default: builder.graph.operations.append(operation)
            }
            guard let check = operation.op.indexCheck?(graph.context(of: operation)) else { continue }
            let indices = builder.value(operation.operands[0])
            if Self.holds(check, known, indices) { continue }
            builder.location = operation.location
            words.append(.apply(Structural.worstIndex, indices.wrongIndices(check.size, countsFromEnd: check.countsFromEnd), at: operation.location))
            builder.location = .unknown
            checks.append(check)
        }
        if let error = builder.takeError() { throw InternalError("check-indices", "\(error)", context: graph.name) }
        Self.addOutputs(words, to: builder)
        return builder.graph
    }

    /// Whether the indices are known already, and in range.
    private static func holds(_ check: IndexCheck, _ known: KnownElements, _ indices: Value) -> Bool {
        guard let size = check.size.constant, let elements = known.elements(of: indices) else { return false }
        return elements.allSatisfy { $0.size?.constant.map { check.allows(Int64($0), size: size) } ?? false }
    }

    /// Words as the last outputs, under names that are free.
    private static func addOutputs(_ words: [Value], to builder: GraphBuilder) {
        var taken = Set(builder.graph.outputs.map(\.name)), number = 0
        for word in words {
            while !taken.insert("index\(number)").inserted { number += 1 }
            builder.graph.outputs.append(Port("index\(number)", word.id))
        }
    }

    private static func word(_ builder: GraphBuilder) -> Value { builder.full(0, TensorType(.u64, [])) }

    /// A branch whose regions give the words of both.
    private mutating func branch(_ operation: Operation, _ builder: GraphBuilder) throws -> [Value] {
        var operation = operation
        var counts: [Int] = []
        for number in operation.regions.indices {
            let before = checks.count
            operation.regions[number] = try adding(to: operation.regions[number])
            counts.append(checks.count - before)
        }
        // The region that is not taken finds nothing wrong: before and after a region's own words are the others'.
        for number in operation.regions.indices {
            let inner = GraphBuilder(operation.regions[number], constants: Catalogue.constants)
            let own = inner.graph.outputs.suffix(counts[number]).map { inner.value($0.value) }
            func nothing(_ counts: ArraySlice<Int>) -> [Value] { (0..<counts.reduce(0, +)).map { _ in Self.word(inner) } }
            let words = nothing(counts[..<number]) + own + nothing(counts[(number + 1)...])
            inner.graph.outputs.removeLast(counts[number])
            Self.addOutputs(words, to: inner)
            operation.regions[number] = inner.graph
        }
        return append(operation, counts.reduce(0, +), builder)
    }

    /// A loop that carries a word for each demand of its body; what was wrong in an earlier round stays.
    private mutating func loop(_ operation: Operation, _ carried: Int, _ builder: GraphBuilder) throws -> [Value] {
        var operation = operation
        let before = checks.count
        operation.regions[1] = try adding(to: operation.regions[1])
        let count = checks.count - before
        let start = (0..<count).map { _ in Self.word(builder).id }
        operation.operands.insert(contentsOf: start, at: carried)
        operation.attributes["carried"] = .int(carried + count)
        for number in operation.regions.indices {
            let inner = GraphBuilder(operation.regions[number], constants: Catalogue.constants)
            var taken = Set(inner.graph.inputs.map(\.name)), name = 0
            let old = (0..<count).map { _ in
                while !taken.insert("index\(name)").inserted { name += 1 }
                return inner.input("index\(name)", TensorType(.u64, []))
            }
            let ports = Array(inner.graph.inputs.suffix(count))
            inner.graph.inputs.removeLast(count)
            inner.graph.inputs.insert(contentsOf: ports, at: carried)
            if number == 1 {
                let new = inner.graph.outputs.suffix(count).map { inner.value($0.value) }
                inner.graph.outputs.removeLast(count)
                Self.addOutputs(zip(old, new).map { .apply(Elementwise.select, $0 .== 0, $1, $0, at: .unknown) }, to: inner)
            }
            if let error = inner.takeError() { throw InternalError("check-indices", "\(error)", context: inner.graph.name) }
            operation.regions[number] = inner.graph
        }
        return append(operation, count, builder)
    }

    /// Appends the operation with as many words among its results.
    private func append(_ operation: Operation, _ count: Int, _ builder: GraphBuilder) -> [Value] {
        var operation = operation
        let words = (0..<count).map { _ in builder.graph.makeValue(TensorType(.u64, [])) }
        // A loop's results are what it carries, in order: the words come last.
        operation.results += words
        builder.graph.operations.append(operation)
        return words.map(builder.value)
    }
}
