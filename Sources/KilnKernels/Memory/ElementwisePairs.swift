// Where a kernel's result may lie in the memory of what it is computed from. The loops of an elementwise kernel come in, and pairs of a
// buffer that is read and one that is written go out, of which each element is read only where, and before, it is written.

import KilnIR

/// Looks through the statement lists of one launch.
///
/// Each element of a result is stored once. So if every list that reads a buffer stores the result at the same address, and after
/// the read, then nobody reads an element of the buffer after it was overwritten.
struct ElementwisePairs {
    /// What one list does to one buffer.
    private struct Use {
        var address: Dim
        var isOneAddress = true
        var first: Int
        var last: Int

        mutating func add(_ other: Dim, _ position: Int) {
            if other != address { isOneAddress = false }
            last = position
        }
    }

    /// By buffer and list.
    private var reads: [Int: [Int: Use]] = [:]
    private var writes: [Int: [Int: Use]] = [:]
    /// Buffers that are used in ways that nothing is known of.
    private var others: Set<Int> = []
    private var lists = 0

    init(_ launch: KernelLaunch) {
        others.formUnion(launch.maps.map(\.buffer))
        add(launch.body)
    }

    /// Whether a result may take a buffer's place.
    func allows(_ read: Int, _ written: Int) -> Bool {
        guard read != written, !others.contains(read), !others.contains(written), writes[read] == nil, reads[written] == nil,
            let loads = reads[read], let stores = writes[written] else { return false }
        return stores.values.allSatisfy(\.isOneAddress) && loads.allSatisfy { list, load in
            guard let store = stores[list] else { return false }
            return load.isOneAddress && load.address == store.address && load.last < store.first
        }
    }

    private mutating func add(_ statements: [Statement]) {
        let list = lists
        lists += 1
        for (position, statement) in statements.enumerated() {
            switch statement {
            case .define(_, .load(let access, _)): Self.add(access, position, list, to: &reads)
            case .store(let access, _, _): Self.add(access, position, list, to: &writes)
            case .loop(let loop): add(loop.body)
            case .lanes(_, _, _, let body): add(body)
            case .branch(_, let then, let otherwise):
                add(then)
                add(otherwise)
            case .define(_, .reduceLanes(_, let memory, _, _)): exclude(memory)
            case .atomic(_, let access, _): exclude(access.memory)
            case .transpose(let transposition):
                exclude(transposition.source.memory)
                exclude(transposition.target.memory)
            case .threadBlock(let operation):
                guard case .copy(let target, let source, _) = operation else { continue }
                exclude(target.memory)
                exclude(source.memory)
            case .local, .define, .bind, .prefetch: continue
            }
        }
    }

    private static func add(_ access: Access, _ position: Int, _ list: Int, to uses: inout [Int: [Int: Use]]) {
        guard case .buffer(let buffer) = access.memory else { return }
        if uses[buffer]?[list]?.add(access.address, position) == nil {
            uses[buffer, default: [:]][list] = Use(address: access.address, first: position, last: position)
        }
    }

    private mutating func exclude(_ memory: Memory) { if case .buffer(let number) = memory { others.insert(number) } }
}
