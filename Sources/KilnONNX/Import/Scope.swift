// The names that nodes see: a graph's own, and those of the graphs around it. A graph that becomes a region of an op has a builder
// of its own, and what it uses from outside becomes an input of the region.

import KilnIR
import KilnOps

/// The names of one graph or function under import. Not thread-safe.
final class Scope {
    let builder: GraphBuilder
    let contents: KnownElements
    /// The operator sets that hold here, by domain.
    let versions: [String: Int]
    /// What a function's node gave for its attributes, by name.
    let attributes: [String: ProtoAttribute]
    let parent: Scope?
    private var items: [String: Item] = [:]
    /// Names that this graph itself gives to something.
    private var own: Set<String> = []
    /// Values of the surrounding builder that this region uses, with the inputs that stand for them; only in regions.
    private(set) var captured: [(outer: Value, inner: Value)] = []
    private var capturedNumbers: [ValueID: Int] = [:]

    /// The scope of a model's graph or a function's body, which sees no names but its own.
    init(_ builder: GraphBuilder, _ contents: KnownElements, versions: [String: Int], attributes: [String: ProtoAttribute] = [:]) {
        self.builder = builder
        self.contents = contents
        self.versions = versions
        self.attributes = attributes
        parent = nil
    }

    /// The scope of a graph inside another: in the same builder where its nodes run in the place of its node, in one of its own where
    /// it becomes a region.
    init(in parent: Scope, region: GraphBuilder? = nil) {
        builder = region ?? parent.builder
        contents = region.map(KnownElements.init) ?? parent.contents
        versions = parent.versions
        attributes = parent.attributes
        self.parent = parent
    }

    /// False where this graph has something of that name already.
    @discardableResult func define(_ name: String, _ item: Item) -> Bool {
        if name.isEmpty { return true }
        items[name] = item
        return own.insert(name).inserted
    }

    /// What a name stands for; nil where nothing has that name.
    func find(_ name: String) -> Item? {
        if let item = items[name] { return item }
        guard let parent, let outer = parent.find(name) else { return nil }
        guard builder !== parent.builder else { return outer }
        let inner = capture(outer)
        items[name] = inner
        return inner
    }

    /// An item of the surrounding builder as one of this region. Small constants and sizes are made anew, so that they stay known.
    func capture(_ item: Item) -> Item {
        switch item {
        case .tensor(let tensor): .tensor(ImportedTensor(capture(tensor.value), tensor.element))
        case .sequence(let items): .sequence(items.map(capture))
        case .optional(let item): .optional(item.map(capture))
        case .absent, .unavailable: item
        }
    }

    private func capture(_ value: Value) -> Value {
        guard let parent else { return value }
        if let known = capturedNumbers[value.id] { return captured[known].inner }
        if let literal = parent.contents.literal(of: value, limit: 64) { return builder.literal(literal) }
        if value.dtype == .i64, let sizes = parent.contents.elements(of: value, limit: 64)?.compactMap(\.size), sizes.count == value.type.elementCount.constant {
            return builder.sizes(sizes).reshaping(to: value.dims)
        }
        let inner = builder.input("c\(captured.count)", value.type)
        capturedNumbers[value.id] = captured.count
        captured.append((value, inner))
        return inner
    }
}

extension GraphBuilder {
    /// Sizes as i64 of rank 1.
    func sizes(_ dims: [Dim]) -> Value {
        let numbers = dims.compactMap(\.constant)
        if numbers.count == dims.count { return literal(Literal(.i64, [dims.count], scalars: numbers.map { .integer(Int64($0)) })) }
        let parts = dims.map { dim -> Value in
            if let constant = dim.constant { return full(.integer(Int64(constant)), TensorType(.i64, [1])) }
            // The last of the positions up to it.
            return full(0, TensorType(.i64, [])).iota(.i64, [dim + 1], axis: 0).slicing(starts: [dim], ends: [dim + 1])
        }
        return parts.count == 1 ? parts[0] : Value.concatenate(parts)
    }
}
