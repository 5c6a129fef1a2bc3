// What is kept of a group once it is lowered: groups of the same shape, as a network's equal layers are, get its loops without being
// lowered again. In: a group and its buffers. Out: what decides its loops, and what its lowering asked of the program.

import KilnIR
import KilnPasses

/// All that decides the loops of a group, but for the numbers of its buffers. Making and comparing one costs about as much as copying the group.
struct GroupShape: Hashable {
    /// What schedules may ask of a buffer.
    private struct Content: Hashable {
        var type: TensorType
        /// Which case of `Buffer.Storage` the buffer is.
        var storage: Int
    }
    private let kind: GroupKind
    private let region: Graph
    /// For each input and output the first that is the same buffer: equal loads are written once.
    private let buffers: [Int]
    private let contents: [Content]

    init(_ kind: GroupKind, _ region: Graph, _ numbers: [Int], _ all: [Buffer]) {
        self.kind = kind
        self.region = region
        var first: [Int: Int] = [:]
        var contents: [Content] = []
        buffers = numbers.map { number in
            if let known = first[number] { return known }
            first[number] = contents.count
            contents.append(Content(type: all[number].type, storage: all[number].storage.number))
            return contents.count - 1
        }
        self.contents = contents
    }

    static func == (a: GroupShape, b: GroupShape) -> Bool {
        a.kind == b.kind && a.buffers == b.buffers && a.contents == b.contents && a.region.isCopy(of: b.region)
    }

    func hash(into hasher: inout Hasher) {
        hasher.combine(kind)
        hasher.combine(buffers)
        hasher.combine(contents)
        for operation in region.operations {
            hasher.combine(ObjectIdentifier(operation.op))
            hasher.combine(operation.operands)
            hasher.combine(operation.attributes)
        }
    }
}

/// A group that was lowered.
struct LoweredGroup {
    /// Something that lowering asked of the program, with the answer; in order, so that asking again gives the same where nothing is different.
    enum Request {
        case temporary(String, TensorType, Int)
        case packed(String, Packing, Int?)
        case panels(PanelContent, Int?)
        case packOnce(KernelLaunch, Int, PanelContent?, sources: [Int], isDone: Bool)
    }
    /// The kernel that it became.
    let kernel: Int
    /// Its inputs' and outputs' buffers.
    let buffers: [Int]
    let requests: [Request]
    let workspace: Dim
}

extension Buffer.Storage {
    fileprivate var number: Int {
        switch self {
        case .input: 0
        case .output: 1
        case .status: 2
        case .arena: 3
        case .constant: 4
        case .packed: 5
        }
    }
}

extension Graph {
    /// Whether both have the same operations over values of the same numbers and types; names and source lines don't count.
    fileprivate func isCopy(of other: Graph) -> Bool {
        operations.count == other.operations.count && inputs.map(\.value) == other.inputs.map(\.value)
            && outputs.map(\.value) == other.outputs.map(\.value) && types == other.types
            && zip(operations, other.operations).allSatisfy { mine, theirs in
                mine.op === theirs.op && mine.operands == theirs.operands && mine.results == theirs.results
                    && mine.attributes == theirs.attributes && mine.regions.count == theirs.regions.count
                    && zip(mine.regions, theirs.regions).allSatisfy { $0.isCopy(of: $1) }
            }
    }
}
