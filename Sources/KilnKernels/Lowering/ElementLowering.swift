// Writes what computes one element of a value: elementwise ops and views are followed back to memory, inlined on the way.
// Indices are over logical variables with known ranges; what loops make of those is put in when an address is written.

import KilnIR
import KilnPasses

/// Where a value's elements are in memory.
struct MemoryReference: Hashable {
    var memory: Memory
    var strides: [Dim]
    var offset: Dim = 0
    var dtype: DType

    func address(_ indices: [Dim]) -> Dim { zip(indices, strides).reduce(offset) { $0 + $1.0 * $1.1 } }
}

/// A load as it is over logical variables.
struct PlannedLoad: Hashable {
    var memory: Memory
    var dtype: DType
    var address: Dim
    var conditions: [IndexCondition]
    var fill: Scalar
}

/// Lowers elements of the values of one group.
final class ElementLowering {
    let graph: Graph
    let table: FormTable
    let writer: KernelWriter
    /// Values that are in memory.
    var places: [ValueID: MemoryReference]
    /// Values that the kernel has at hand for the element it works on, such as a finished reduction.
    var current: [ValueID: ValueNumber] = [:]
    /// The same, found anew in each place where it is used.
    var currentLoads: [ValueID: () -> ValueNumber] = [:]
    /// Values kept from an earlier pass over the same elements, with the position at which the current one is.
    var kept: [ValueID: (place: MemoryReference, position: Dim)] = [:]
    /// The sizes of the logical variables.
    var ranges = IndexRanges([:])
    /// What a logical variable is in terms of other logical variables, after axes were merged.
    var aliases: [Int: Dim] = [:]
    /// What a logical variable is in terms of loops.
    var substitution: [Int: Dim] = [:]
    /// Called with every address and condition as it is over logical variables, before substitution.
    var observer: ((Dim) -> Void)?
    /// The width of the lanes being written, where conditions that begin and end with whole vectors are to be the same for all lanes.
    var laneWidth = 0
    /// How many elements are being computed, each for the one before.
    private var depth = 0
    /// Elements that may be computed inside one another. Those further down are computed first.
    private static let greatestDepth = 32
    /// Asked for the element of a load before it is written; a schedule may have it at hand.
    var loadHook: ((PlannedLoad) -> ValueNumber?)?

    init(graph: Graph, table: FormTable, writer: KernelWriter, places: [ValueID: MemoryReference]) {
        self.graph = graph
        self.table = table
        self.writer = writer
        self.places = places
    }

    /// A logical variable of the given size.
    func makeVariable(size: Dim) -> Dim {
        let id = writer.makeVariable()
        ranges.sizes[id] = size
        return .index(id)
    }

    func setVariable(_ variable: Dim, to expression: Dim) {
        guard let id = variable.indices.first else { return }
        substitution[id] = expression
    }

    /// Makes a variable what another one is at this point.
    func copyVariable(_ source: Dim, to target: Dim) {
        guard let from = source.indices.first, let value = substitution[from] else { return }
        setVariable(target, to: value)
    }

    /// An index over the variables that merged axes left.
    func resolved(_ dim: Dim) -> Dim {
        var logical = dim
        // An alias may name a variable that was merged once more.
        while !aliases.isEmpty, logical.indices.contains(where: { aliases[$0] != nil }) {
            logical = logical.substituting(ranges: ranges) { if case .index(let i) = $0 { self.aliases[i] } else { nil } }
        }
        return logical
    }

    /// An index over loops' variables.
    func physical(_ dim: Dim) -> Dim {
        observer?(dim)
        return resolved(dim).substituting { if case .index(let i) = $0 { self.substitution[i] } else { nil } }
    }

    private func physical(_ conditions: [IndexCondition]) -> [IndexCondition] {
        conditions.map { condition in
            let physical = condition.mapping(physical)
            guard laneWidth > 1, let lane = writer.currentLane?.indices.first else { return physical }
            return physical.uniform(over: lane, width: laneWidth) ?? physical
        }
    }

    /// The element of a value at the given indices, computed only where the conditions hold.
    func element(_ value: ValueID, _ indices: [Dim], where conditions: [IndexCondition] = []) throws -> ValueNumber {
        if let number = try atHand(value, indices, conditions) { return number }
        if depth == Self.greatestDepth { try computeOperands(of: value, indices, conditions) }
        depth += 1
        defer { depth -= 1 }
        let number = try compute(value, indices, conditions)
        writer.remember(KernelWriter.ElementKey(value: value, indices: indices, conditions: conditions), number)
        return number
    }

    /// The element where nothing is to be computed for it.
    private func atHand(_ value: ValueID, _ indices: [Dim], _ conditions: [IndexCondition]) throws -> ValueNumber? {
        if let number = current[value] { return number }
        if let load = currentLoads[value] { return load() }
        if let (place, position) = kept[value] { return writer.load(place.memory, physical(position), place.dtype) }
        return writer.element(KernelWriter.ElementKey(value: value, indices: indices, conditions: conditions))
    }

    /// Computes what a value is made of by elementwise ops and views, however long their chain is, on a stack of this function's own.
    private func computeOperands(of value: ValueID, _ indices: [Dim], _ conditions: [IndexCondition]) throws {
        typealias Key = KernelWriter.ElementKey
        let first = Key(value: value, indices: indices, conditions: conditions)
        var stack: [(key: Key, isReady: Bool)] = [(first, false)]
        var met: Set<Key> = []
        depth = 0
        defer { depth = Self.greatestDepth }
        while let (key, isReady) = stack.popLast() {
            if isReady {
                if key != first { _ = try element(key.value, key.indices, where: key.conditions) }
                continue
            }
            guard met.insert(key).inserted, places[key.value] == nil, current[key.value] == nil, currentLoads[key.value] == nil, kept[key.value] == nil,
                writer.element(key) == nil, let position = table.definitions[key.value] else { continue }
            let operands = graph.operations[position].operands
            var needed: [Key] = []
            switch table.forms[position] {
            case .elementwise: needed = operands.map { Key(value: $0, indices: key.indices, conditions: key.conditions) }
            case .view(let map):
                needed = parts(of: map, operands, key.indices, key.conditions).map {
                    Key(value: $0.operand, indices: $0.source, conditions: key.conditions + $0.needed)
                }
            default: continue
            }
            stack.append((key, true))
            for operand in needed.reversed() { stack.append((operand, false)) }
        }
    }

    func load(_ place: MemoryReference, _ indices: [Dim], where conditions: [IndexCondition] = [], fill: Scalar = 0) -> ValueNumber {
        if let loadHook, let number = loadHook(PlannedLoad(memory: place.memory, dtype: place.dtype, address: resolved(place.address(indices)),
                                                           conditions: conditions.map { $0.mapping(resolved) }, fill: fill)) { return number }
        return writer.load(place.memory, physical(place.address(indices)), place.dtype, where: physical(conditions), fill: fill)
    }

    private func compute(_ value: ValueID, _ indices: [Dim], _ conditions: [IndexCondition]) throws -> ValueNumber {
        if let place = places[value] { return load(place, indices, where: conditions) }
        guard let position = table.definitions[value] else {
            throw InternalError("schedule", "value %\(value) is neither in memory nor computed", context: graph.name)
        }
        let operands = graph.operations[position].operands
        let dtype = graph.type(of: value).dtype
        switch table.forms[position] {
        case .elementwise(let expression):
            return try instantiate(expression, indices) { try self.element(operands[$0], indices, where: conditions) }
        case .view(let map): return try view(map, operands, dtype, indices, conditions)
        case .gather(let coordinates): return try gather(coordinates, operands, indices, conditions)
        case .constant(let literal) where literal.count == 1: return writer.constant(literal[0], dtype)
        case .reduce(let kind, let axes): return try unrolled(kind, axes, operands[0], indices, conditions, dtype)
        case .contract(let contraction): return try unrolled(contraction, operands, indices, conditions, dtype)
        default:
            throw InternalError("schedule", "\(graph.operations[position].op.name) can't be computed element by element", context: graph.name)
        }
    }

    /// Writes an expression's nodes with the given arguments.
    func instantiate(_ expression: ScalarExpr, _ indices: [Dim], _ argument: (Int) throws -> ValueNumber) throws -> ValueNumber {
        var numbers = [ValueNumber](repeating: 0, count: expression.nodes.count)
        for (position, node) in expression.nodes.enumerated() {
            let dtype = expression.dtypes[position]
            switch node {
            case .argument(let i): numbers[position] = try argument(i)
            case .constant(let scalar): numbers[position] = writer.constant(scalar, dtype)
            case .index(let axis): numbers[position] = writer.position(physical(indices[axis]))
            case .apply(let function, let arguments): numbers[position] = writer.apply(function, arguments.map { numbers[$0] }, dtype)
            }
        }
        return numbers[expression.result]
    }

    /// A piece of a view whose conditions may hold.
    private struct Part {
        var operand: ValueID
        var source: [Dim]
        /// The conditions that are not decided, and those of them that are not known to hold where the view is read.
        var conditions: [IndexCondition]
        var needed: [IndexCondition]
    }

    /// The pieces of a view that may give an element, the last first.
    private func parts(of map: IndexMap, _ operands: [ValueID], _ indices: [Dim], _ outer: [IndexCondition]) -> [Part] {
        var parts: [Part] = []
        for piece in map.pieces.reversed() {
            var conditions: [IndexCondition] = []
            var isNever = false
            for condition in piece.conditions.map({ $0.mapping { $0.substituting(indices: indices, ranges: self.ranges) } }) {
                switch decide(condition) {
                case true?: continue
                case false?: isNever = true
                case nil: conditions.append(condition)
                }
            }
            if isNever { continue }
            parts.append(Part(operand: operands[piece.operand], source: piece.indices.map { $0.substituting(indices: indices, ranges: ranges) },
                              conditions: conditions, needed: conditions.filter { !outer.contains($0) }))
        }
        return parts
    }

    private func view(_ map: IndexMap, _ operands: [ValueID], _ dtype: DType, _ indices: [Dim], _ outer: [IndexCondition]) throws -> ValueNumber {
        var result: ValueNumber?
        for part in parts(of: map, operands, indices, outer) {
            if part.conditions.isEmpty {
                result = try element(part.operand, part.source, where: outer)
                continue
            }
            if result == nil, let place = places[part.operand], current[part.operand] == nil {
                result = load(place, part.source, where: outer + part.needed, fill: map.fill)
                continue
            }
            let inner = try element(part.operand, part.source, where: outer + part.needed)
            let otherwise = result ?? writer.constant(map.fill, dtype)
            let holds = writer.define(.holds(physical(part.conditions)), .bool)
            result = writer.apply(.select, holds, inner, otherwise)
        }
        return result ?? writer.constant(map.fill, dtype)
    }

    /// Whether a condition holds for all indices in range, for none, or depends.
    func decide(_ condition: IndexCondition) -> Bool? {
        switch condition {
        case .isNonNegative(let dim):
            if let least = ranges.bound(dim, upper: false), IndexRanges.isNonNegative(least) { return true }
            if let most = ranges.bound(dim, upper: true), IndexRanges.isNonNegative(-most - 1) { return false }
            return nil
        case .isZero(let dim):
            if let c = dim.constant { return c == 0 }
            return nil
        }
    }

    private func gather(_ coordinates: [Coordinate], _ operands: [ValueID], _ indices: [Dim], _ conditions: [IndexCondition]) throws -> ValueNumber {
        let source = graph.type(of: operands[0])
        let position = try coordinates.enumerated().map { axis, coordinate -> Dim in
            switch coordinate {
            case .affine(let dim): return dim.substituting(indices: indices, ranges: ranges)
            case .lookup(let operand, let at):
                let at = at.map { $0.substituting(indices: indices, ranges: ranges) }
                let wrapped = wrapNegative(try element(operands[operand], at, where: conditions), size: source.shape[axis])
                let top = writer.position(physical(source.shape[axis] - 1))
                let clamped = writer.apply(.maximum, writer.apply(.minimum, wrapped, top), writer.constant(0, .i64))
                let variable = writer.bind(value: clamped)
                ranges.sizes[variable.indices.first!] = source.shape[axis]
                return variable
            }
        }
        return try element(operands[0], position, where: conditions)
    }

    /// An index as an i64. A negative number counts from the end; one that is more than an i64 holds is beyond every axis.
    func wrapNegative(_ number: ValueNumber, size: Dim) -> ValueNumber {
        let dtype = writer.dtypes[number]
        let least = dtype == .u64 ? writer.apply(.minimum, number, writer.constant(.unsigned(UInt64(Int64.max)), .u64)) : number
        let raw = writer.convert(least, to: .i64)
        if dtype.isUnsigned { return raw }
        let negative = writer.apply(.less, raw, writer.constant(0, .i64))
        return writer.apply(.select, negative, writer.apply(.add, raw, writer.position(physical(size))), raw)
    }

    private func unrolled(_ kind: ReductionKind, _ axes: [Int], _ operand: ValueID, _ indices: [Dim], _ conditions: [IndexCondition],
                            _ dtype: DType) throws -> ValueNumber {
        let type = graph.type(of: operand)
        let combine = ReductionCode(kind, operand: type.dtype, result: dtype)
        var state: ReductionCode.State?
        for (step, place) in try places(axes.map { type.shape[$0] }).enumerated() {
            var full: [Dim] = []
            var kept = indices.makeIterator()
            for axis in type.shape.indices {
                if let k = axes.firstIndex(of: axis) { full.append(.constant(place[k])) } else { full.append(kept.next()!) }
            }
            let value = try element(operand, full, where: conditions)
            let next = combine.lift(value, position: writer.constant(.integer(Int64(step)), .i64), writer)
            state = state.map { combine.combine($0, next, writer) } ?? next
        }
        return combine.result(state ?? combine.identity(writer), writer)
    }

    private func unrolled(_ contraction: Contraction, _ operands: [ValueID], _ indices: [Dim], _ conditions: [IndexCondition],
                            _ dtype: DType) throws -> ValueNumber {
        var sum = writer.constant(0, contraction.accumulator)
        for place in try places(Array(contraction.sizes[contraction.outputRank...])) {
            let at = indices + place.map { Dim.constant($0) }
            let a = try factor(contraction.left, operands[0], at, conditions)
            let b = try factor(contraction.right, operands[1], at, conditions)
            let (x, y) = (writer.convert(a, to: contraction.accumulator), writer.convert(b, to: contraction.accumulator))
            sum = contraction.accumulator.isFloat ? writer.apply(.fusedMultiplyAdd, x, y, sum)
                : writer.apply(.add, sum, writer.apply(.multiply, x, y))
        }
        return writer.convert(sum, to: dtype)
    }

    /// One factor of a contraction's product.
    func factor(_ piece: IndexMap.Piece, _ operand: ValueID, _ variables: [Dim], _ conditions: [IndexCondition] = []) throws -> ValueNumber {
        try view(IndexMap(pieces: [IndexMap.Piece(operand: 0, indices: piece.indices, conditions: piece.conditions)]), [operand],
                 graph.type(of: operand).dtype, variables, conditions)
    }

    /// The positions of an iteration space whose number of elements is a constant. Where a size is 0, others may be open.
    private func places(_ space: [Dim]) throws -> [[Int]] {
        if space.contains(0) { return [] }
        return try space.reduce([[]]) { places, dim in
            guard let size = dim.constant else { throw InternalError("schedule", "an inner reduction's size \(dim) is no constant", context: graph.name) }
            return places.flatMap { place in (0..<size).map { place + [$0] } }
        }
    }
}
