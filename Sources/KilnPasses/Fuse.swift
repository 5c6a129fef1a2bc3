// Fusion: a graph of single ops comes in, a graph of `group` ops goes out, each of which becomes one kernel.
// Views and cheap producers are cloned into their consumers; elementwise ops join the groups of reductions and contractions.

import KilnIR
import KilnOps

/// Groups the operations of a graph into kernels.
public enum Fuse {
    /// Fuses the graph, and the regions of its control flow.
    public static func run(_ graph: Graph) throws -> Graph { try run(graph, FusionModel()) }

    /// The same, by what kernels and memory cost a target.
    package static func run(_ graph: Graph, _ model: FusionModel) throws -> Graph {
        var fusion = try Fusion(graph.mappingControlRegions { try run($0, model) }, model)
        fusion.form()
        return try fusion.emit()
    }
}

/// What kernels may cost, in rough scalar operations an element; each bound also keeps code and compile time linear in the graph.
package struct FusionModel: Sendable {
    /// The length of a kernel to which more is added: past it, what a value costs in memory is little beside its computation.
    package var kernelLength = 512
    /// The length of a view, with all that is computed inside it, that its readers write out instead of reading it from memory.
    package var viewLength = 64
    /// The same for all its readers together.
    package var sharedViewLength = 256
    /// How long one index may get where views read views, as a multiple of what it was.
    package var indexLength = 128
    /// What a kernel computes again, at other places of the same value, rather than reading it from memory.
    package var recomputation = 64
    /// The places at which a kernel may want one value.
    package var sites = 32

    package init() {}
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
    var kind: GroupKind
    /// Positions of its operations, in no order.
    var members: [Int]
    /// The shape its kernel runs over: the elements of pointwise groups, the operand of reductions, the result of contractions.
    var domain: Shape
    /// The axes that a `rows` group reduces over.
    var axes: [Int] = []
    /// Rough scalar operations an element.
    var length = 0
    /// How many times longer than the kernel's own the indices get at which it reads.
    var indexLength = 1
}

struct Fusion {
    let table: FormTable
    let model: FusionModel
    let graph: Graph
    /// By name: the position of one of their members.
    var groups: [Int: FusionGroup] = [:]
    /// The group of each operation; nil for views and what is cloned into its consumers.
    var groupOf: [Int?]
    /// Up to two of the operations (not views) that read each operation's result, directly or through views, and whether only
    /// reshapes lie between.
    var uses: [[Use]]
    var isOutput: [Bool]
    /// The operations that have a value as an operand.
    var users: [[Int]]
    /// The operations that make sizes known which an operation needs, for those that do.
    var measuring: [Int: Set<Int>] = [:]
    /// The kernels, and what else is run, in an order in which they can be.
    var order: GroupOrder
    /// What each operation reads of other groups' results, as far as the operation has been met.
    var reads: [[Read]]
    /// Rough scalar operations for an element of each operation's result, with all that is cloned for it.
    var lengths: [Int]
    /// How many times longer than those of each operation's result the indices get at which memory is read for it.
    var indexLengths: [Int]
    /// Where members are computed, for those that are not only where their kernel is.
    var sites: [Int: [Int]] = [:]
    /// The sites' numbers.
    var siteNumbers: [Site: Int] = [:]

    /// By operation, what the last search for reads met; and how many searches there were.
    var marks: [Mark]
    var searches = 0

    struct Use {
        var user: Int
        var isIdentity: Bool
    }

    init(_ graph: Graph, _ model: FusionModel) throws {
        self.graph = graph
        table = try FormTable(graph)
        self.model = model
        let count = graph.operations.count
        groupOf = Array(repeating: nil, count: count)
        uses = Array(repeating: [], count: count)
        isOutput = Array(repeating: false, count: count)
        users = Array(repeating: [], count: graph.valueCount)
        order = GroupOrder(count: count)
        reads = Array(repeating: [], count: count)
        marks = Array(repeating: Mark(), count: count)
        lengths = Array(repeating: 1, count: count)
        indexLengths = Array(repeating: 1, count: count)
        for output in graph.outputs { if let d = table.definitions[output.value] { isOutput[d] = true } }
        for (position, operation) in graph.operations.enumerated() {
            for operand in operation.operands where users[operand].last != position { users[operand].append(position) }
        }
        collectUses()
        let measured = graph.symbolDefinitions
        if measured.isEmpty { return }
        for (position, operation) in graph.operations.enumerated() {
            let positions = graph.measuring(operation, measured)
            if !positions.isEmpty { measuring[position] = positions }
        }
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
            let operands = graph.operations[position].operands
            let found: [Use]
            if isTransparent(position), !isOutput[position] {
                let keeps = table.isLinearIdentity(position)
                found = uses[position].map { Use(user: $0.user, isIdentity: keeps && $0.isIdentity) }
            } else { found = [Use(user: position, isIdentity: !isTransparent(position) || table.isLinearIdentity(position))] }
            for operand in Set(operands) {
                // More than two are no different from two.
                guard let producer = table.definitions[operand], uses[producer].count < 2 else { continue }
                uses[producer] += found.prefix(2 - uses[producer].count)
            }
        }
    }
}
