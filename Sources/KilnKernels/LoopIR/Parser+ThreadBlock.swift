// Parses what thread blocks do together.

import KilnIR

extension ProgramParser {
    /// `threadBlock d1 of 128 resident 2`, or nothing.
    mutating func threadBlock() throws -> ThreadBlock? {
        guard try text.take("block") else { return nil }
        let variable = try variable()
        try text.expect("of")
        let threads = try text.integer()
        try text.expect("resident")
        return ThreadBlock(variable: variable, threads: threads, resident: try text.integer())
    }

    /// The maps before a launch's statements.
    mutating func maps() throws -> [TensorMap] {
        var maps: [TensorMap] = []
        while try text.take("map") {
            let number = try buffer()
            try text.expect("[")
            let offset = try text.dim()
            try text.expect("]")
            try text.expect("sizes")
            let sizes = try dims()
            try text.expect("strides")
            let strides = try dims()
            try text.expect("box")
            let box = try list { try $0.text.integer() }
            try text.expect("swizzle")
            maps.append(TensorMap(buffer: number, offset: offset, sizes: sizes, strides: strides, box: box, swizzle: try text.integer()))
        }
        return maps
    }

    private mutating func list<T>(_ element: (inout ProgramParser) throws -> T) throws -> [T] {
        try text.expect("(")
        var found: [T] = []
        while !text.isAt(")") {
            if !found.isEmpty { try text.expect(",") }
            found.append(try element(&self))
        }
        try text.advance()
        return found
    }

    private mutating func dims() throws -> [Dim] { try list { try $0.text.dim() } }

    mutating func shuffle() throws -> Shuffle {
        if try text.take("xor") { return .xor(try text.integer()) }
        if try text.take("up") { return .up(try text.integer()) }
        if try text.take("down") { return .down(try text.integer()) }
        try text.expect("lane")
        return .lane(try text.dim())
    }

    mutating func threadBlockOperation() throws -> ThreadBlockOperation {
        guard text.token.kind == .word else { throw text.expected("what a thread block does, such as `barrier`") }
        let word = text.text
        switch word {
        case "barrier", "warp_barrier", "commit_copies", "fence_barriers", "commit_tiles", "fence_shared", "group_fence", "commit_group":
            try text.advance()
            return Self.plain[word]!
        default: break
        }
        if try text.take("named_barrier") {
            let number = try text.integer()
            try text.expect("of")
            return .namedBarrier(number, threads: try text.integer())
        }
        if try text.take("copy") {
            let target = try access()
            try text.expect("=")
            let source = try access()
            return .copy(to: target, from: source, bytes: try labelled("bytes"))
        }
        if try text.take("wait_copies") { return .waitCopies(pending: try text.integer()) }
        if try text.take("wait_tiles") { return .waitTiles(pending: try text.integer()) }
        if try text.take("wait_group") { return .waitGroup(pending: try text.integer()) }
        if try text.take("load_matrices") {
            let target = try access()
            try text.expect("=")
            let source = try access()
            let count = try labelled("count")
            return .loadMatrices(to: target, from: source, count: count, isTransposed: try text.take("transposed"))
        }
        if try text.take("multiply_add") {
            let kind = try matrixKind()
            let sum = try access()
            try plusEquals()
            let left = try access()
            try text.expect("*")
            return .multiplyAdd(kind, sum: sum, left: left, right: try access())
        }
        return try tmaOperation()
    }

    private static let plain: [String: ThreadBlockOperation] = [
        "barrier": .barrier, "warp_barrier": .warpBarrier, "commit_copies": .commitCopies, "fence_barriers": .fenceBarriers,
        "commit_tiles": .commitTiles, "fence_shared": .fenceShared, "group_fence": .groupFence, "commit_group": .commitGroup,
    ]

    private mutating func tmaOperation() throws -> ThreadBlockOperation {
        if try text.take("initialize") {
            let barrier = try access()
            return .initialize(barrier: barrier, arrivals: try labelled("arrivals"))
        }
        if try text.take("arrive") { return .arrive(barrier: try access()) }
        if try text.take("expect") {
            let barrier = try access()
            return .expect(barrier: barrier, bytes: try labelled("bytes"))
        }
        if try text.take("await") {
            let barrier = try access()
            try text.expect("parity")
            return .await(barrier: barrier, parity: try text.dim())
        }
        if try text.take("load_tile") {
            let target = try access()
            try text.expect("=")
            let map = try text.integer()
            let at = try dims()
            try text.expect("barrier")
            return .loadTile(to: target, map: map, at: at, barrier: try access())
        }
        if try text.take("store_tile") {
            let map = try text.integer()
            let at = try dims()
            try text.expect("=")
            return .storeTile(map: map, at: at, from: try access())
        }
        if try text.take("group_multiply_add") {
            let kind = try matrixKind()
            let columns = try text.integer()
            let sum = try access()
            let accumulates = !text.isAt("=")
            if accumulates { try plusEquals() } else { try text.expect("=") }
            let left = try view()
            try text.expect("*")
            return .groupMultiplyAdd(kind, columns: columns, sum: sum, left: left, right: try view(), accumulates: accumulates)
        }
        guard try text.take("registers") else { throw text.expected("what a thread block does, such as `barrier`") }
        let increases = try text.take("up")
        if !increases { try text.expect("down") }
        return .registers(try text.integer(), increases: increases)
    }

    private mutating func labelled(_ label: StaticString) throws -> Int {
        try text.expect(label)
        return try text.integer()
    }

    private mutating func plusEquals() throws {
        try text.expect("+")
        try text.expect("=")
    }

    private mutating func matrixKind() throws -> MatrixKind {
        guard text.token.kind == .word, let kind = MatrixKind(rawValue: text.text) else { throw text.expected("an element type of matrices, such as `bf16`") }
        try text.advance()
        return kind
    }

    private mutating func view() throws -> MatrixView {
        let start = try access()
        let leading = try labelled("leading"), stride = try labelled("stride"), swizzle = try labelled("swizzle")
        return MatrixView(start, leadingBytes: leading, strideBytes: stride, swizzle: swizzle, isTransposed: try text.take("transposed"))
    }
}
