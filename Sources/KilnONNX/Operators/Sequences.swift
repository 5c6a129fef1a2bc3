// Sequences and optionals, which exist only while a model is imported: their lengths and what they hold are known then.

import KilnIR
import KilnOps

extension Operators {
    static let sequences: [Operator] = [
        Operator("SequenceEmpty", items: { _ in [.sequence([])] }),
        Operator("SequenceConstruct", items: { node in [.sequence(try (0..<node.inputCount).map { try node.item($0) })] }),
        Operator("SequenceInsert", items: { node in
            var items = try sequence(node)
            let place = try node.has(2) ? position(node, 2, items.count, allowsEnd: true) : items.count
            items.insert(try node.item(1), at: place)
            return [.sequence(items)]
        }),
        Operator("SequenceErase", items: { node in
            var items = try sequence(node)
            guard !items.isEmpty else { throw node.mistake("takes from an empty sequence") }
            items.remove(at: try node.has(1) ? position(node, 1, items.count) : items.count - 1)
            return [.sequence(items)]
        }),
        Operator("SequenceAt", items: { node in
            let items = try sequence(node)
            return [items[try position(node, 1, items.count)]]
        }),
        Operator("SequenceLength") { node in node.full(.integer(Int64(try sequence(node).count)), TensorType(.i64, [])) },
        Operator("SplitToSequence", items: { node in
            let x = try node.stored(0), axis = try node.axis(node.integer("axis", 0), rank: x.value.rank)
            guard let extent = x.value.size(axis: axis).constant, extent < 1 << 31 else { throw Unsupported(reason: "a sequence whose length is not fixed") }
            let given = try node.has(1) ? node.integers(1, "the sizes of the parts") : nil
            var sizes: [Int] = []
            if let given {
                if try node.stored(1).value.rank == 0 {
                    guard let size = given.first, size > 0, extent / size < 1 << 16 else { throw node.mistake("parts have \(given) elements") }
                    sizes = stride(from: 0, to: extent, by: size).map { min(size, extent - $0) }
                } else { sizes = given }
            } else {
                guard extent < 1 << 16 else { throw Unsupported(reason: "a sequence of \(extent) parts") }
                sizes = Array(repeating: 1, count: extent)
            }
            guard sizes.allSatisfy({ (0...extent).contains($0) }), sizes.reduce(0, +) == extent else { throw node.mistake("the parts \(sizes) don't add up to \(extent)") }
            let keeps = given != nil || node.flag("keepdims", true)
            return [.sequence(x.value.split(sizes, axis: axis).map { part in
                var shape = part.dims
                shape.remove(at: axis)
                return .tensor(ImportedTensor(keeps ? part : part.reshaping(to: shape), x.element))
            })]
        }),
        Operator("ConcatFromSequence", items: { node in
            let parts = try sequence(node).map { item -> ImportedTensor in
                guard case .tensor(let tensor) = item else { throw node.mistake("its sequence holds something that is no tensor") }
                return node.numbered(tensor)
            }
            guard let first = parts.first else { throw node.mistake("puts together an empty sequence") }
            let isNew = node.flag("new_axis")
            let axis = try node.axis(node.integer("axis", 0), rank: first.value.rank, allowsEnd: isNew)
            let values = parts.map(\.value)
            return [.tensor(ImportedTensor(isNew ? Value.stack(values, axis: axis) : Value.concatenate(values, axis: axis), first.element))]
        }),
        Operator("Optional", items: { node in
            if case .absent = try node.item(0) { return [.optional(nil)] }
            return [.optional(try node.item(0))]
        }),
        Operator("OptionalHasElement") { node in
            let has = switch try node.item(0) {
            case .optional(let item): item != nil
            case .absent: false
            case .unavailable: throw Unavailable()
            case .tensor, .sequence: true
            }
            return node.full(.bool(has), TensorType(.bool, []))
        },
        Operator("OptionalGetElement", items: { node in
            switch try node.item(0) {
            case .optional(let item?): return [item]
            case .optional(nil), .absent: throw node.mistake("takes from an empty optional")
            case let item: return [item]
            }
        }),
    ]

    private static func sequence(_ node: NodeContext) throws -> [Item] {
        switch try node.item(0) {
        case .sequence(let items), .optional(.sequence(let items)?): return items
        case .unavailable: throw Unavailable()
        default: throw node.mistake("input 0 is no sequence")
        }
    }

    private static func position(_ node: NodeContext, _ input: Int, _ count: Int, allowsEnd: Bool = false) throws -> Int {
        let given = try node.integers(input, "the position in the sequence")
        guard let place = given.first else { throw node.mistake("has no position") }
        let counted = place < 0 ? place + count : place
        guard counted >= 0, counted < count + (allowsEnd ? 1 : 0) else { throw node.mistake("position \(place) is not in a sequence of \(count)") }
        return counted
    }
}
