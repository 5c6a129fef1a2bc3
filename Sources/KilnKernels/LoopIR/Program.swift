// The loop IR's outermost level: a program of buffers and kernels, and the order in which the kernels run.
// Schedules write it; KilnLLVM turns it into machine code. Its text round-trips.

import KilnIR

/// A whole compiled function: what it reads and writes, its kernels, and the steps that run them.
public struct Program: Hashable, Sendable {
    public var name: String
    /// The names of the sizes that are known at run time only, in the order of the call's symbol array.
    public var symbols: [String]
    /// Sizes that the call itself finds out, which follow in that array.
    public var dataDependent: [DataDependentSymbol]
    /// Every memory that kernels share. Buffers never overlap while both are in use.
    public var buffers: [Buffer]
    public var kernels: [Kernel]
    public var steps: [Step]
    /// Bytes of the arena that all of `arena` buffers share, as a function of the symbols; data-dependent ones are at their bounds in it.
    public var arenaSize: Dim
    /// Bytes of scratch that each worker has beside, for workspace locals.
    public var workspaceSize: Dim
    /// Kernels that were lowered once for several; a backend can do without.
    package var likeness = KernelLikeness()

    public init(name: String, symbols: [String] = [], dataDependent: [DataDependentSymbol] = [], buffers: [Buffer] = [], kernels: [Kernel] = [],
                steps: [Step] = [], arenaSize: Dim = 0, workspaceSize: Dim = 0) {
        self.name = name
        self.symbols = symbols
        self.dataDependent = dataDependent
        self.buffers = buffers
        self.kernels = kernels
        self.steps = steps
        self.arenaSize = arenaSize
        self.workspaceSize = workspaceSize
    }

    /// The call's symbol array.
    public var allSymbols: [String] { symbols + dataDependent.map(\.name) }
}

/// Which kernels are others but for their buffers, as far as lowering knows: whoever asks need not compare loops. It says nothing that the
/// kernels don't, so it has no part in whether programs are equal.
package struct KernelLikeness: Hashable, Sendable {
    /// By kernel, an earlier one whose launches differ from its own in nothing but the buffers, and which are those of the one where the other has its own.
    package var likes: [Int: (kernel: Int, own: [Int], others: [Int])] = [:]

    package init() {}
    package static func == (a: KernelLikeness, b: KernelLikeness) -> Bool { true }
    package func hash(into hasher: inout Hasher) {}
}

/// A size that depends on data.
public struct DataDependentSymbol: Hashable, Sendable {
    public var name: String
    /// The most that it can be, over the symbols that are known before the call.
    public var bound: Dim

    public init(_ name: String, bound: Dim) {
        self.name = name
        self.bound = bound
    }
}

/// A dense, row-major memory of a program.
public struct Buffer: Hashable, Sendable {
    public enum Storage: Hashable, Sendable {
        /// The call's input or output with this number.
        case input(Int)
        case output(Int)
        /// The word in which the program says whether indices were in range: 0, or the worst of them in zigzag code. Words follow one another.
        case status(IndexCheck)
        /// Part of the arena, from a byte offset that the memory plan gives (a multiple of 64).
        case arena(offset: Dim)
        case constant(Literal)
        /// A constant's elements in another order; laid out when the code is loaded or linked.
        case packed(Packing)
    }
    public var name: String
    public var type: TensorType
    public var storage: Storage

    public init(_ name: String, _ type: TensorType, _ storage: Storage) {
        self.name = name
        self.type = type
        self.storage = storage
    }
}

/// One step of a program on the calling thread.
public indirect enum Step: Hashable, Sendable {
    /// Runs the kernel with this number, one launch after the other.
    case launch(Int)
    /// Fills a buffer from another, of which that many bytes are copied.
    case copy(from: Int, to: Int)
    /// Exchanges the memories of two buffers of the arena, of as many bytes: from here on each is where the other was.
    case exchange(Int, Int)
    /// Reads a data-dependent symbol's value, an i64, from a buffer: from here on, and as far as this list of steps reaches, it is known.
    /// It is at least 0, and at most the limit, whatever the buffer says.
    case measure(symbol: String, from: Int, limit: Dim)
    /// Fails the call with the message where the condition does not hold.
    case check(IndexCondition, message: String)
    /// Runs one of two lists, by the first element (bool) of a buffer.
    case branch(condition: Int, then: [Step], otherwise: [Step])
    /// Runs `test`, then, while the first element (bool) of the buffer is true, `body` and `test` again.
    case loop(test: [Step], condition: Int, body: [Step])
}

/// One kernel: launches that run one after the other, each over independent work items that threads share.
public struct Kernel: Hashable, Sendable {
    public var name: String
    public var location: SourceLocation
    public var launches: [KernelLaunch]

    public init(name: String, location: SourceLocation = .unknown, launches: [KernelLaunch]) {
        self.name = name
        self.location = location
        self.launches = launches
    }
}

/// A loop whose rounds may run at the same time and in any order.
public struct KernelLaunch: Hashable, Sendable {
    /// The index variable that holds the work item's number.
    public var variable: Int
    /// How many work items there are; set by shapes alone, never by the number of threads.
    public var workItems: Dim
    /// An estimate of the scalar operations of all work items together, by which small launches run on one thread.
    public var work: Dim
    /// The threads that run a work item together, on a GPU; nil where a work item is one thread's.
    public var threadBlock: ThreadBlock?
    /// What TMA moves tiles of.
    public var maps: [TensorMap]
    public var body: [Statement]

    public init(variable: Int, workItems: Dim, work: Dim, threadBlock: ThreadBlock? = nil, maps: [TensorMap] = [], body: [Statement]) {
        self.variable = variable
        self.workItems = workItems
        self.work = work
        self.threadBlock = threadBlock
        self.maps = maps
        self.body = body
    }

    /// Bytes of shared memory that a work item takes.
    public var sharedBytes: Int {
        func bytes(_ statements: [Statement]) -> Int {
            statements.reduce(0) { most, statement in
                switch statement {
                case .local(let local):
                    guard case .shared(let offset) = local.storage else { return most }
                    return max(most, offset + (local.count.constant ?? 0) * local.dtype.byteCount)
                case .loop(let loop): return max(most, bytes(loop.body))
                case .lanes(_, _, _, let body): return max(most, bytes(body))
                case .branch(_, let then, let otherwise): return max(most, bytes(then), bytes(otherwise))
                case .define, .bind, .store, .prefetch, .transpose, .atomic, .threadBlock: return most
                }
            }
        }
        return bytes(body)
    }
}

extension Program {
    /// What the words of `status` buffers are about, in order.
    package var indexChecks: [IndexCheck] { buffers.compactMap { if case .status(let check) = $0.storage { check } else { nil } } }
}
