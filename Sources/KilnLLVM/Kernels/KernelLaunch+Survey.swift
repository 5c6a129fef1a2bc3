// What a launch's statements touch: which buffers, whether the worker's scratch, and whether stores may stream.

import KilnIR
import KilnKernels

/// What a launch touches, from one walk over its statements.
struct LaunchSurvey: Sendable {
    /// The buffers that it reads or writes, in the order of their first use.
    private(set) var buffers: [Int] = []
    /// Whether it has locals in the worker's scratch.
    private(set) var usesWorkspace = false
    /// Whether a streaming store goes to memory of the caller's, whose alignment is only known at run time.
    private(set) var streams = false

    /// - Parameter program: the launch's, which says whose memory its buffers are; without it no store streams.
    init(_ launch: KernelLaunch, in program: Program?) {
        // A kernel has few buffers: a look through them is cheaper than a set.
        add(launch.body, program)
    }

    private mutating func add(_ memory: Memory) {
        if case .buffer(let number) = memory, !buffers.contains(number) { buffers.append(number) }
    }

    private mutating func add(_ statements: [Statement], _ program: Program?) {
        for statement in statements {
            switch statement {
            case .define(_, .load(let access, _)), .prefetch(let access), .atomic(_, let access, _): add(access.memory)
            case .define(_, .reduceLanes(_, let memory, _, _)): add(memory)
            case .store(let access, _, let isStreaming):
                add(access.memory)
                if isStreaming, let program, case .buffer(let number) = access.memory, program.buffers.indices.contains(number),
                    !program.buffers[number].isOwnMemory { streams = true }
            case .transpose(let transposition):
                add(transposition.source.memory)
                add(transposition.target.memory)
            case .threadBlock(let operation): for access in operation.accesses { add(access.memory) }
            case .local(let local): if case .workspace = local.storage { usesWorkspace = true }
            case .loop(let loop): add(loop.body, program)
            case .lanes(_, _, _, let body): add(body, program)
            case .branch(_, let then, let otherwise):
                add(then, program)
                add(otherwise, program)
            case .define, .bind: break
            }
        }
    }
}

extension KernelLaunch {
    /// The buffers that the launch reads or writes.
    var buffersUsed: Set<Int> { Set(bufferOrder) }

    var usesWorkspace: Bool { LaunchSurvey(self, in: nil).usesWorkspace }

    /// Whether a streaming store goes to memory of the caller's, whose alignment is only known at run time.
    func streams(in program: Program) -> Bool { LaunchSurvey(self, in: program).streams }

    /// The locals that four warps sum products in.
    var groupSums: Set<Int> {
        var found: Set<Int> = []
        for statement in body {
            _ = statement.contains {
                if case .threadBlock(.groupMultiplyAdd(_, _, let sum, _, _, _)) = $0, case .local(let id) = sum.memory { found.insert(id) }
                return false
            }
        }
        return found
    }

    /// How much code it is, for sharing the work of generating it.
    var weight: Int { body.reduce(0) { $0 + $1.weight } }
}

extension Program {
    /// The buffers that kernels and steps read or write.
    var buffersUsed: Set<Int> {
        var used: Set<Int> = []
        for launch in kernels.flatMap(\.launches) { used.formUnion(launch.buffersUsed.union(launch.maps.map(\.buffer))) }
        func visit(_ steps: [Step]) {
            for step in steps {
                switch step {
                case .launch, .check: continue
                case .copy(let source, let target), .exchange(let source, let target): used.formUnion([source, target])
                case .measure(_, let source, _): used.insert(source)
                case .branch(let condition, let then, let otherwise):
                    used.insert(condition)
                    visit(then + otherwise)
                case .loop(let test, let condition, let body):
                    used.insert(condition)
                    visit(test + body)
                }
            }
        }
        visit(steps)
        return used
    }
}

extension Statement {
    /// The statements directly inside.
    var children: [Statement] {
        switch self {
        case .local, .define, .bind, .store, .prefetch, .transpose, .atomic, .threadBlock: []
        case .loop(let loop): loop.body
        case .lanes(_, _, _, let body): body
        case .branch(_, let then, let otherwise): then + otherwise
        }
    }

    func contains(_ matches: (Statement) -> Bool) -> Bool { matches(self) || children.contains { $0.contains(matches) } }

    /// What this statement alone reads and writes.
    private var accesses: [Access] {
        switch self {
        case .define(_, .load(let access, _)), .store(let access, _, _), .prefetch(let access), .atomic(_, let access, _): [access]
        case .transpose(let transposition): [transposition.source, transposition.target]
        case .define(_, .reduceLanes(_, let memory, let address, _)): [Access(memory, address)]
        case .threadBlock(let operation): operation.accesses
        case .local, .define, .bind, .loop, .lanes, .branch: []
        }
    }

    /// Calls `dim` with each index expression in the statement and in those inside.
    func visitDims(_ dim: (Dim) -> Void) {
        func visit(_ conditions: [IndexCondition]) { for condition in conditions { dim(condition.expression) } }
        for access in accesses {
            dim(access.address)
            visit(access.conditions)
        }
        switch self {
        case .define(_, .position(let position)), .define(_, .shuffle(_, .lane(let position))): dim(position)
        case .define(_, .holds(let conditions)), .branch(let conditions, _, _): visit(conditions)
        case .threadBlock(let operation): for position in operation.positions { dim(position) }
        case .loop(let loop):
            dim(loop.lower)
            dim(loop.upper)
        case .lanes(_, _, let count, _): dim(count)
        case .local(let local): dim(local.count)
        case .define, .bind, .store, .prefetch, .transpose, .atomic: break
        }
        for child in children { child.visitDims(dim) }
    }

    /// The memory that this statement alone writes.
    var written: Memory? {
        switch self {
        case .store(let access, _, _), .atomic(_, let access, _): access.memory
        case .transpose(let transposition): transposition.target.memory
        default: nil
        }
    }

    var weight: Int {
        var total = 1
        for child in children { total += child.weight }
        if case .loop(let loop) = self, loop.kind == .unrolled, let low = loop.lower.constant, let high = loop.upper.constant {
            total *= max(1, (high - low + loop.step - 1) / loop.step)
        }
        return total
    }
}

extension ThreadBlockOperation {
    /// What the operation reads and writes, tiles of maps aside.
    var accesses: [Access] {
        switch self {
        case .copy(let target, let source, _), .loadMatrices(let target, let source, _, _): [target, source]
        case .multiplyAdd(_, let sum, let left, let right): [sum, left, right]
        case .initialize(let barrier, _), .arrive(let barrier), .expect(let barrier, _), .await(let barrier, _): [barrier]
        case .loadTile(let target, _, _, let barrier): [target, barrier]
        case .storeTile(_, _, let source): [source]
        case .groupMultiplyAdd(_, _, let sum, let left, let right, _): [sum, left.start, right.start]
        case .barrier, .warpBarrier, .namedBarrier, .commitCopies, .waitCopies, .fenceBarriers, .commitTiles, .waitTiles, .fenceShared,
            .groupFence, .commitGroup, .waitGroup, .registers: []
        }
    }

    /// Index expressions beside those of accesses.
    var positions: [Dim] {
        switch self {
        case .await(_, let parity): [parity]
        case .loadTile(_, _, let at, _), .storeTile(_, let at, _): at
        default: []
        }
    }
}

/// What a launch's kernel is given, a word of eight bytes each: the addresses of buffers, then the values of symbols.
struct KernelParameters {
    let buffers: [Int]
    let symbols: [String]
    /// The buffers that the kernel writes.
    let written: Set<Int>

    init(_ launch: KernelLaunch, in program: Program) {
        buffers = launch.buffersUsed.sorted()
        var used: Set<String> = []
        var written: Set<Int> = []
        for statement in launch.body {
            statement.visitDims { $0.forEachVariable { if case .symbol(let name) = $0 { used.insert(name) } } }
            _ = statement.contains {
                if case .buffer(let number)? = $0.written { written.insert(number) }
                if case .threadBlock(.storeTile(let map, _, _)) = $0, launch.maps.indices.contains(map) { written.insert(launch.maps[map].buffer) }
                return false
            }
        }
        symbols = program.allSymbols.filter(used.contains)
        self.written = written
    }

    var count: Int { buffers.count + symbols.count }
}
