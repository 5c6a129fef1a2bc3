// Writes the fused graph: each group becomes one `group` op whose region holds clones of its members and of what they inline.

import KilnIR
import KilnOps

extension Fusion {
    /// The graph of groups, in an order in which every value is made before it is used.
    func emit() throws -> Graph {
        var emission = Emission(fusion: self, result: Graph(name: graph.name))
        for input in graph.inputs { emission.mapped[input.value] = emission.result.addInput(input.name, graph.type(of: input.value)) }
        for output in graph.outputs { try emission.require(output.value) }
        emission.result.outputs = graph.outputs.map { Port($0.name, emission.mapped[$0.value]) }
        return emission.result
    }

    /// Who reads a value, through what is cloned.
    enum Readers: Equatable {
        case none
        case group(Int)
        /// Several groups, or what is no group.
        case others

        mutating func add(_ more: Readers) {
            if self == .none { self = more } else if more != .none, more != self { self = .others }
        }
    }

    /// The readers of each value.
    func readers() -> [Readers] {
        var readers = [Readers](repeating: .none, count: graph.valueCount)
        for position in graph.operations.indices.reversed() {
            let operation = graph.operations[position]
            var found = Readers.none
            if let group = groupOf[position] { found = .group(group) } else if isClone(position) {
                for result in operation.results { found.add(readers[result]) }
            } else { found = .others }
            for operand in operation.operands { readers[operand].add(found) }
        }
        for output in graph.outputs { readers[output.value] = .others }
        return readers
    }
}

/// The fused graph under construction.
private struct Emission {
    let fusion: Fusion
    let readers: [Fusion.Readers]
    var result: Graph
    /// For each value what it is in the result, or -1.
    var mapped: [ValueID]
    /// For each value what it is in the region being written, if the region's number is beside it; and the last region's number.
    private var inner: [(region: Int, value: ValueID)]
    private var regions = 0
    /// Each value waits at most once for what it needs: one that waits again waits for itself.
    private var isWaiting: [Bool]
    private let group = Catalogue.op(named: "group")!
    /// What groups read, from when they are first needed until they are written.
    var boundaries: [Int: (inputs: [ValueID], sizes: [ValueID])] = [:]
    /// For each value the last boundary at which it was met, and how many boundaries there were.
    private var lastMet: [Int]
    private var boundaryCount = 0
    private let graph: Graph

    init(fusion: Fusion, result: Graph) {
        self.fusion = fusion
        graph = fusion.graph
        self.result = result
        readers = fusion.readers()
        mapped = Array(repeating: -1, count: fusion.graph.valueCount)
        inner = Array(repeating: (0, -1), count: fusion.graph.valueCount)
        isWaiting = Array(repeating: false, count: fusion.graph.valueCount)
        lastMet = Array(repeating: 0, count: fusion.graph.valueCount)
    }

    /// Emits whatever makes the value, once. Recursion is as deep as the chain of groups: an explicit stack keeps it off the thread's.
    mutating func require(_ value: ValueID) throws {
        var stack: [(value: ValueID, isReady: Bool)] = [(value, false)]
        while let (value, isReady) = stack.popLast() {
            if mapped[value] >= 0 { continue }
            guard let position = fusion.table.definitions[value] else {
                throw InternalError("fuse", "value %\(value) is made by nothing", context: graph.name)
            }
            if isReady {
                try emit(position)
            } else {
                guard !isWaiting[value] else {
                    throw InternalError("fuse", "the kernel that makes %\(value) would have to run before itself", context: graph.description(literalsAtMost: 256))
                }
                isWaiting[value] = true
                stack.append((value, true))
                let (inputs, sizes) = boundary(of: position)
                for needed in (inputs + sizes).reversed() where mapped[needed] < 0 { stack.append((needed, false)) }
            }
        }
    }

    /// The values that an operation's group, or the operation itself, reads from memory, and those that make sizes known to it.
    private mutating func boundary(of position: Int) -> (inputs: [ValueID], sizes: [ValueID]) {
        guard let group = fusion.groupOf[position] else { return (graph.operations[position].operands, sizes(of: position)) }
        if let known = boundaries[group] { return known }
        var found: [ValueID] = []
        var sizes: [ValueID] = []
        boundaryCount += 1
        func visit(_ value: ValueID) {
            guard lastMet[value] != boundaryCount else { return }
            lastMet[value] = boundaryCount
            if let producer = fusion.table.definitions[value] {
                if fusion.groupOf[producer] == group { return }
                if fusion.isClone(producer) {
                    sizes += self.sizes(of: producer)
                    return graph.operations[producer].operands.forEach(visit)
                }
            }
            found.append(value)
        }
        for member in fusion.groups[group]!.members.sorted() {
            sizes += self.sizes(of: member)
            graph.operations[member].operands.forEach(visit)
        }
        boundaries[group] = (found, sizes)
        return (found, sizes)
    }

    private func sizes(of position: Int) -> [ValueID] {
        guard let positions = fusion.measuring[position] else { return [] }
        return positions.sorted().map { graph.operations[$0].results[0] }
    }

    private mutating func emit(_ position: Int) throws {
        let operation = graph.operations[position]
        guard let group = fusion.groupOf[position] else {
            // The graph is typed, so nothing is inferred anew here and below.
            var copy = operation
            copy.operands = operation.operands.map { mapped[$0] }
            copy.results = makeValues(operation.results)
            result.operations.append(copy)
            return
        }
        let inputs = boundary(of: position).inputs
        boundaries[group] = nil
        let members = fusion.groups[group]!.members.sorted()
        let outputs = members.flatMap { graph.operations[$0].results.filter { readers[$0] != .none && readers[$0] != .group(group) } }
        let kind = fusion.groups[group]!.kind.rawValue
        let region = region(kind, inputs: inputs, outputs: outputs)
        let root = graph.operations[rootMember(of: members)]
        let operands = inputs.map { mapped[$0] }, results = makeValues(outputs)
        result.operations.append(Operation(op: self.group, operands: operands, results: results, attributes: ["kind": .string(kind)],
                                           regions: [region], location: root.location))
    }

    /// Values of the result for those of the graph.
    private mutating func makeValues(_ values: [ValueID]) -> [ValueID] {
        for value in values { mapped[value] = result.makeValue(graph.type(of: value)) }
        return values.map { mapped[$0] }
    }

    private func rootMember(of members: [Int]) -> Int {
        members.first { position in
            if case .elementwise = fusion.table.forms[position] { return false }
            return true
        } ?? members.last!
    }

    private mutating func region(_ name: String, inputs: [ValueID], outputs: [ValueID]) -> Graph {
        var region = Graph(name: name)
        regions += 1
        for (number, value) in inputs.enumerated() { inner[value] = (regions, region.addInput("a\(number)", graph.type(of: value))) }
        for output in outputs { clone(output, into: &region) }
        region.outputs = outputs.enumerated().map { Port("r\($0.offset)", inner[$0.element].value) }
        return region
    }

    /// Copies what makes a value, as far as the region lacks it.
    private mutating func clone(_ value: ValueID, into region: inout Graph) {
        var stack: [(value: ValueID, isReady: Bool)] = [(value, false)]
        while let (value, isReady) = stack.popLast() {
            if inner[value].region == regions { continue }
            let operation = graph.operations[fusion.table.definitions[value]!]
            if isReady {
                var copy = operation
                copy.operands = operation.operands.map { inner[$0].value }
                for result in operation.results { inner[result] = (regions, region.makeValue(graph.type(of: result))) }
                copy.results = operation.results.map { inner[$0].value }
                region.operations.append(copy)
            } else {
                stack.append((value, true))
                for operand in operation.operands.reversed() where inner[operand].region != regions { stack.append((operand, false)) }
            }
        }
    }
}
