// What ops take for granted of sizes that only a call knows, by the region that they are in: what is in a branch or a round that
// is not run must not fail the call. A graph comes in, and what passes made of it; lists of checks go out.

extension Graph {
    /// The attribute that numbers operations whose regions are not run in each call.
    private static let number = "number"

    /// The graph with such operations numbered, so that they are known again after passes.
    public func numberingRegions() throws -> Graph {
        var next = 0
        return try numberingRegions(&next)
    }

    private func numberingRegions(_ next: inout Int) throws -> Graph {
        var graph = self
        for position in operations.indices where !operations[position].regions.isEmpty {
            if try condition(of: operations[position]) != nil {
                graph.operations[position].attributes[Self.number] = .int(next)
                next += 1
            }
            for region in operations[position].regions.indices {
                graph.operations[position].regions[region] = try operations[position].regions[region].numberingRegions(&next)
            }
        }
        return graph
    }

    /// The control flow of an operation whose regions calls may pass by.
    fileprivate func condition(of operation: Operation) throws -> Control? {
        switch try form(of: operation) {
        case .control(.if): .if
        case .control(.while(let carried)): .while(carried: carried)
        default: nil
        }
    }

    /// Whether a symbol occurs in the types of an operation's operands and results, in its attributes, or maybe in its regions.
    fileprivate func hasOpenSizes(_ operation: Operation) -> Bool {
        func isOpen(_ shape: Shape) -> Bool { shape.contains { $0.constant == nil } }
        return !operation.regions.isEmpty || operation.operands.contains { isOpen(types[$0].shape) } || operation.results.contains { isOpen(types[$0].shape) }
            || operation.attributes.entries.contains { if case .dims(let dims) = $0.value { isOpen(dims) } else { false } }
    }

    fileprivate func collectNumbers(_ numbers: inout Set<Int>) {
        for operation in operations {
            if let number = operation.regionNumber { numbers.insert(number) }
            for region in operation.regions { region.collectNumbers(&numbers) }
        }
    }
}

extension Operation {
    /// The operation's number in `SizeChecks`.
    public var regionNumber: Int? { if case .int(let number)? = attributes["number"] { number } else { nil } }
}

/// The checks of a program, by where they are made.
public struct SizeChecks: Sendable {
    /// Those of each call.
    public private(set) var first: [SizeCheck] = []
    /// By an operation's number, those of each of its regions, made whenever the region is run.
    public private(set) var inside: [Int: [[SizeCheck]]] = [:]
    /// What the words are about that the graph's last outputs are: indices that were out of range.
    public var indices: [IndexCheck] = []

    public init() {}

    /// What the ops of a graph take for granted, for a program of what passes made of `graph.numberingRegions()`. Where a branch is gone,
    /// one of its regions may be in its place: what they take for granted is checked there. Of a loop that is gone nothing is left.
    public init(of graph: Graph, in result: Graph) throws {
        var left: Set<Int> = []
        result.collectNumbers(&left)
        var next = 0
        first = Self.unique(try collect(graph, left, &next))
    }

    private mutating func collect(_ graph: Graph, _ left: Set<Int>, _ next: inout Int) throws -> [SizeCheck] {
        var found: [SizeCheck] = []
        for operation in graph.operations {
            // Sizes that are all known leave nothing open.
            if graph.hasOpenSizes(operation) {
                for check in operation.op.checks(graph.context(of: operation)) {
                    // What is divided by nothing holds for no size.
                    found += check.condition.expression.openDivisors.map { SizeCheck(.isNonNegative($0 - 1), message: check.message) } + [check]
                }
            }
            if operation.regions.isEmpty { continue }
            let condition = try graph.condition(of: operation), number = next
            if condition != nil { next += 1 }
            let lists = try operation.regions.map { try collect($0, left, &next) }
            switch condition {
            case .some where left.contains(number): inside[number] = lists.map(Self.unique)
            case .while: continue
            default: found += lists.flatMap { $0 }
            }
        }
        return found
    }

    private static func unique(_ checks: [SizeCheck]) -> [SizeCheck] {
        var seen: Set<SizeCheck> = []
        return checks.filter { seen.insert($0).inserted }
    }
}

extension Dim {
    /// What the expression divides by, where that may be 0.
    fileprivate var openDivisors: [Dim] {
        terms.flatMap(\.atoms).flatMap { atom -> [Dim] in
            switch atom {
            case .symbol, .index: []
            case .floorDivide(let a, let b): a.openDivisors + b.openDivisors + (IndexRanges.isNonNegative(b - 1) ? [] : [b])
            case .maximum(let a, let b), .minimum(let a, let b): a.openDivisors + b.openDivisors
            }
        }
    }
}
