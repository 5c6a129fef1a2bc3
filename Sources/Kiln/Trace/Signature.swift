// One way to apply an op: the op, its operands' types and its attributes come in, the results' types go out, inferred once.
// Signatures and types are interned, so that recording compares pointers, and structures of traces are compared by number.
import KilnIR

/// A tensor type, interned: equal types are the same object unless the table was emptied in between.
final class TypeBox: @unchecked Sendable {
    let type: TensorType
    /// The sizes, -1 where a dimension is not a constant.
    let sizes: [Int]
    let hash: Int
    let id: Int
    /// Whether the shape holds symbols.
    let isSymbolic: Bool
    let byteCount: Int

    init(_ type: TensorType, id: Int) {
        self.type = type
        self.id = id
        sizes = type.shape.map { $0.constant ?? -1 }
        hash = (id &* 0x1E37_79B9_7F4A_7C15) >> 7
        isSymbolic = sizes.contains(-1)
        byteCount = isSymbolic ? 0 : sizes.reduce(type.dtype.byteCount) { $0.multipliedReportingOverflow(by: $1).partialValue }
    }

    func isSame(_ other: TypeBox) -> Bool { self === other || type == other.type }
    var count: Int { byteCount / type.dtype.byteCount }
}

/// An op with its operands' types and attributes, and what follows from them.
final class Signature: @unchecked Sendable {
    let op: OpDefinition
    let operands: [TypeBox]
    let attributes: Attributes
    let regions: [Graph]
    let results: [TypeBox]
    /// Equal numbers mean equal signatures.
    let id: Int
    /// Whether gradients can flow through.
    let isDifferentiable: Bool
    /// What the op's reverse rule records, by the operands whose gradients are wanted.
    var pullbacks: [PullbackKey: Result<Replay, any Error>] = [:]
    fileprivate let hash: Int
    fileprivate var next: Signature?

    fileprivate init(_ op: OpDefinition, _ operands: [TypeBox], _ attributes: Attributes, _ regions: [Graph], _ results: [TypeBox], id: Int,
                     hash: Int, next: Signature?) {
        self.op = op
        self.operands = operands
        self.attributes = attributes
        self.regions = regions
        self.results = results
        self.id = id
        self.hash = hash
        self.next = next
        isDifferentiable = results.contains { $0.type.dtype.isFloat }
    }

    /// Pullbacks hold signatures, in circles too; without them a table that is let go frees everything.
    fileprivate func releasePullbacks() {
        var signature: Signature? = self
        while let current = signature {
            current.pullbacks = [:]
            signature = current.next
            current.next = nil
        }
    }

    @inline(__always)
    fileprivate func matches<Typed: HasTypeBox>(_ op: OpDefinition, _ nodes: [Typed], _ attributes: Attributes, _ regions: [Graph],
                                                hash: Int) -> Bool {
        guard self.hash == hash, self.op === op, operands.count == nodes.count else { return false }
        for index in 0..<nodes.count where !operands[index].isSame(nodes[index].box) { return false }
        if !(attributes.entries.isEmpty && self.attributes.entries.isEmpty), attributes != self.attributes { return false }
        return regions.isEmpty && self.regions.isEmpty || regions.count == self.regions.count
            && zip(regions, self.regions).allSatisfy { $0.isSame($1) }
    }
}

/// What has an interned type.
protocol HasTypeBox {
    var box: TypeBox { get }
}

extension TypeBox: HasTypeBox {
    var box: TypeBox { self }
}

/// The tables of types and signatures. Used under the trace's lock.
struct SignatureTable {
    private var types: [TensorType: TypeBox] = [:]
    private var slots: [Signature?] = Array(repeating: nil, count: 4096)
    private var count = 0
    private var nextID = 1
    /// Tables are emptied past this many entries, so that a program with ever new shapes keeps its memory flat.
    private let limit = 65_536

    mutating func intern(_ type: TensorType) -> TypeBox {
        if let box = types[type] { return box }
        if types.count >= limit { types.removeAll() }
        nextID += 1
        let box = TypeBox(type, id: nextID)
        types[type] = box
        return box
    }

    /// The signature of an application; throws the user's error where the op's rule refuses it.
    mutating func find<Typed: HasTypeBox>(_ op: OpDefinition, _ nodes: [Typed], _ attributes: Attributes, _ regions: [Graph],
                                          _ location: SourceLocation) throws -> Signature {
        let hash = Self.hash(op, nodes, attributes, regions)
        let slot = hash & (slots.count - 1)
        var candidate = slots[slot]
        while let found = candidate {
            if found.matches(op, nodes, attributes, regions, hash: hash) { return found }
            candidate = found.next
        }
        return try infer(op, nodes, attributes, regions, location, hash: hash)
    }

    private mutating func infer<Typed: HasTypeBox>(_ op: OpDefinition, _ nodes: [Typed], _ attributes: Attributes, _ regions: [Graph],
                                                   _ location: SourceLocation, hash: Int) throws -> Signature {
        let context = OpContext(op: op, operands: nodes.map(\.box.type), attributes: attributes, regions: regions, location: location)
        if let count = op.operandCount, count != nodes.count {
            throw context.error("takes \(count) operand\(count == 1 ? "" : "s"), was given \(nodes.count)", fix: "pass \(count)")
        }
        guard op.measures == nil else {
            throw context.error("gives a size that depends on elements, and a tensor's sizes are known before these",
                                fix: "compile the graph, and run it as a CompiledGraph")
        }
        let types = try op.infer(context)
        for type in types { if let wrong = Trace.badSize(type, location, op: op.name) { throw wrong } }
        let results = types.map { intern($0) }
        if count >= limit {
            for slot in slots { slot?.releasePullbacks() }
            slots = Array(repeating: nil, count: slots.count)
            count = 0
        }
        let slot = hash & (slots.count - 1)
        nextID += 1
        let signature = Signature(op, nodes.map(\.box), attributes, regions, results, id: nextID, hash: hash, next: slots[slot])
        slots[slot] = signature
        count += 1
        return signature
    }

    @inline(__always)
    private static func hash<Typed: HasTypeBox>(_ op: OpDefinition, _ nodes: [Typed], _ attributes: Attributes,
                                                _ regions: [Graph]) -> Int {
        var h = Int(bitPattern: Unmanaged.passUnretained(op).toOpaque()) >> 4
        for node in nodes { h = (h &* 31 &+ node.box.hash) &* 0x2545_F491_4F6C_DD1D }
        for entry in attributes.entries { h = (h &* 31 &+ entry.value.quickHash) &* 0x2545_F491_4F6C_DD1D }
        for region in regions { h = h &* 31 &+ region.operations.count &* 64 &+ region.types.count }
        return (h ^ h >> 29) & Int.max
    }
}

extension Attribute {
    /// A hash that costs little; equal attributes have equal hashes.
    fileprivate var quickHash: Int {
        switch self {
        case .bool(let b): b ? 1 : 2
        case .int(let i): i
        case .ints(let v): v.reduce(v.count) { $0 &* 31 &+ $1 }
        case .dims(let v): v.reduce(v.count) { $0 &* 31 &+ ($1.constant ?? 7) }
        case .scalar(let s): s.double.bitPattern.hashValue
        case .dtype(let d): Int(d.rawValue)
        case .string(let s): s.utf8.count
        case .literal(let l): l.byteCount
        }
    }
}

extension Graph {
    /// Whether another graph is the same operation for operation; names and source lines don't count.
    func isSame(_ other: Graph) -> Bool {
        types == other.types && operations.count == other.operations.count
            && inputs.map(\.value) == other.inputs.map(\.value) && outputs.map(\.value) == other.outputs.map(\.value)
            && zip(operations, other.operations).allSatisfy { a, b in
                a.op === b.op && a.operands == b.operands && a.results == b.results && a.attributes == b.attributes
                    && a.regions.count == b.regions.count && zip(a.regions, b.regions).allSatisfy { $0.isSame($1) }
            }
    }
}
