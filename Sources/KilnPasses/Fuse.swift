// Fusion: a graph of single ops comes in, a graph of `group` ops goes out, each of which becomes one kernel.
// Views and cheap producers are cloned into their consumers; elementwise ops join the groups of reductions and contractions.

import KilnIR
import KilnOps

/// Groups the operations of a graph into kernels.
public enum Fuse {
    /// The names of a group's kinds, kept in the `kind` attribute; schedules are chosen by them.
    public enum Kind: String, Sendable {
        /// Elements of one shape, each computed by itself.
        case pointwise
        /// Reductions over the same axes of one shape, with elementwise work before, between and after.
        case rows
        /// A contraction with elementwise work on its result.
        case contraction
        /// Attention or its gradients, alone.
        case attention
        case scan, scatter, sort
    }

    /// Fuses the graph, and the regions of its control flow.
    public static func run(_ graph: Graph) throws -> Graph {
        var fusion = try Fusion(graph.mappingControlRegions(run))
        fusion.form()
        return try fusion.emit()
    }
}

extension Graph {
    /// Applies a function to the regions of control flow operations.
    package func mappingControlRegions(_ transform: (Graph) throws -> Graph) throws -> Graph {
        var result = self
        for position in operations.indices where !operations[position].regions.isEmpty {
            guard case .control = try form(of: operations[position]) else { continue }
            result.operations[position].regions = try operations[position].regions.map(transform)
        }
        return result
    }
}

/// A group under construction.
struct FusionGroup {
    var kind: Fuse.Kind
    /// Positions of its operations.
    var members: [Int]
    /// The shape its kernel runs over: the elements of pointwise groups, the operand of reductions, the result of contractions.
    var domain: Shape
    /// The axes that a `rows` group reduces over.
    var axes: [Int] = []
}

struct Fusion {
    let table: FormTable
    var graph: Graph { table.graph }
    var groups: [Int: FusionGroup] = [:]
    /// The group of each operation; nil for views and what is cloned into its consumers.
    var groupOf: [Int?]
    /// The operations (not views) that read each operation's result, directly or through views, and whether only reshapes lie between.
    var uses: [[Use]]
    var isOutput: [Bool]
    /// The operations that have a value as an operand.
    var users: [ValueID: [Int]] = [:]
    /// The operations that make sizes known which an operation needs, for those that do.
    var measuring: [Int: Set<Int>] = [:]

    struct Use {
        var user: Int
        var isIdentity: Bool
    }

    init(_ graph: Graph) throws {
        table = try FormTable(graph)
        groupOf = Array(repeating: nil, count: graph.operations.count)
        uses = Array(repeating: [], count: graph.operations.count)
        isOutput = Array(repeating: false, count: graph.operations.count)
        for output in graph.outputs { if let d = table.definitions[output.value] { isOutput[d] = true } }
        for (position, operation) in graph.operations.enumerated() {
            for operand in Set(operation.operands) { users[operand, default: []].append(position) }
        }
        collectUses()
        let measured = graph.symbolDefinitions
        if measured.isEmpty { return }
        for (position, operation) in graph.operations.enumerated() {
            let positions = graph.measuring(operation, measured)
            if !positions.isEmpty { measuring[position] = positions }
        }
    }

    /// The operations that must have run before one: those that make its operands, and those that make sizes known.
    func dependencies(of position: Int) -> [Int] {
        graph.operations[position].operands.compactMap { table.definitions[$0] } + (measuring[position] ?? []).sorted()
    }

    /// Views, numbers everywhere and iotas have no group of their own unless somebody outside needs them in memory.
    func isTransparent(_ position: Int) -> Bool {
        switch table.forms[position] {
        case .view, .gather: true
        case .elementwise: graph.operations[position].operands.isEmpty
        default: false
        }
    }

    /// Whether an operation without a group is computed inside its consumers.
    func isClone(_ position: Int) -> Bool {
        guard groupOf[position] == nil else { return false }
        switch table.forms[position] {
        case .view, .gather, .elementwise: return true
        case .constant(let literal): return literal.count == 1
        default: return false
        }
    }

    private mutating func collectUses() {
        for position in graph.operations.indices.reversed() {
            for operand in Set(graph.operations[position].operands) {
                guard let producer = table.definitions[operand] else { continue }
                if isTransparent(position), !isOutput[position] {
                    let keeps = table.isLinearIdentity(position)
                    for use in uses[position] { uses[producer].append(Use(user: use.user, isIdentity: keeps && use.isIdentity)) }
                } else {
                    uses[producer].append(Use(user: position, isIdentity: !isTransparent(position) || table.isLinearIdentity(position)))
                }
            }
        }
    }
}
